/* SPDX-License-Identifier: MIT */
/* Builds the guest's device tree: processors, memory, interrupt controller. Devices write their own nodes. */
#include <libfdt.h>
#include <stdio.h>

#include "arm/fdt.h"
#include "arm/its.h"

#define TRY(writer, call)                                                                                  \
	do {                                                                                               \
		if ((writer)->result == 0)                                                                 \
			(writer)->result = (call);                                                         \
	} while (0)

static void chosen(struct fdt_writer *w, const struct fdt_machine *machine)
{
	char console[32];

	snprintf(console, sizeof(console), "/serial@%llx", (unsigned long long)machine->uart);
	fdt_writer_begin(w, "chosen");
	fdt_writer_string(w, "bootargs", machine->bootargs);
	fdt_writer_string(w, "stdout-path", console);
	if (machine->initrd_size) {
		fdt_writer_number(w, "linux,initrd-start", machine->initrd);
		fdt_writer_number(w, "linux,initrd-end", machine->initrd + machine->initrd_size);
	}
	fdt_writer_number(w, "kaslr-seed", machine->kaslr_seed);
	fdt_writer_bytes(w, "rng-seed", machine->rng_seed, sizeof(machine->rng_seed));
	fdt_writer_end(w);
}

static void processors(struct fdt_writer *w, const struct vm *vm)
{
	fdt_writer_begin(w, "cpus");
	fdt_writer_cell(w, "#address-cells", 1);
	fdt_writer_cell(w, "#size-cells", 0);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		uint32_t affinity = (uint32_t)vm->vcpus[i].mpidr & 0xffffff; /* 512 vCPUs do not reach Aff3 */

		fdt_writer_begin_at(w, "cpu", affinity);
		fdt_writer_string(w, "device_type", "cpu");
		fdt_writer_string(w, "compatible", "arm,arm-v8");
		fdt_writer_string(w, "enable-method", "psci");
		fdt_writer_cell(w, "reg", affinity);
		fdt_writer_end(w);
	}
	fdt_writer_end(w);

	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	fdt_writer_begin(w, "psci");
	fdt_writer_bytes(w, "compatible", compatible, sizeof(compatible));
	fdt_writer_string(w, "method", "hvc");
	fdt_writer_end(w);
}

/* systemd-detect-virt finds KVM by this node. */
static void hypervisor(struct fdt_writer *w)
{
	fdt_writer_begin(w, "hypervisor");
	fdt_writer_string(w, "compatible", "linux,kvm");
	fdt_writer_end(w);
}

static void timer_and_pmu(struct fdt_writer *w, const struct fdt_machine *machine)
{
	/* Secure, non-secure, virtual and hypervisor timer, as KVM wires them. */
	fdt_writer_begin(w, "timer");
	fdt_writer_string(w, "compatible", "arm,armv8-timer");
	FDT_WRITER_CELLS(w, "interrupts", FDT_GIC_PPI, 13, FDT_IRQ_LEVEL_HIGH, FDT_GIC_PPI, 14, FDT_IRQ_LEVEL_HIGH,
			 FDT_GIC_PPI, 11, FDT_IRQ_LEVEL_HIGH, FDT_GIC_PPI, 10, FDT_IRQ_LEVEL_HIGH);
	fdt_writer_flag(w, "always-on");
	fdt_writer_end(w);
	if (!machine->pmu)
		return;
	fdt_writer_begin(w, "pmu");
	fdt_writer_string(w, "compatible", "arm,armv8-pmuv3");
	FDT_WRITER_CELLS(w, "interrupts", FDT_GIC_PPI, machine->pmu_ppi, FDT_IRQ_LEVEL_HIGH);
	fdt_writer_end(w);
}

/* The bus clock of the PrimeCells. It only has to be there. */
static void primecell_clock(struct fdt_writer *w)
{
	fdt_writer_begin(w, "apb-pclk");
	fdt_writer_string(w, "compatible", "fixed-clock");
	fdt_writer_cell(w, "#clock-cells", 0);
	fdt_writer_cell(w, "clock-frequency", 24000000);
	fdt_writer_string(w, "clock-output-names", "clk24mhz");
	fdt_writer_cell(w, "phandle", FDT_PHANDLE_CLOCK);
	fdt_writer_end(w);
}

int fdt_build(void *buffer, size_t size, const struct vm *vm, const struct fdt_machine *machine, struct error *error)
{
	struct fdt_writer writer = { .fdt = buffer };
	struct fdt_writer *w = &writer;

	TRY(w, fdt_create(buffer, (int)size));
	TRY(w, fdt_finish_reservemap(buffer));
	fdt_writer_begin(w, "");
	fdt_writer_string(w, "compatible", "linux,dummy-virt");
	fdt_writer_string(w, "model", "lkvm");
	fdt_writer_cell(w, "#address-cells", 2);
	fdt_writer_cell(w, "#size-cells", 2);
	fdt_writer_cell(w, "interrupt-parent", FDT_PHANDLE_GIC);
	chosen(w, machine);
	fdt_writer_begin_at(w, "memory", vm->ram.base);
	fdt_writer_string(w, "device_type", "memory");
	fdt_writer_range(w, vm->ram.base, vm->ram.size);
	fdt_writer_end(w);
	hypervisor(w);
	processors(w, vm);
	timer_and_pmu(w, machine);
	TRY(w, gic_fdt_begin(buffer, vm, &machine->gic, FDT_PHANDLE_GIC));
	if (vm->its_fd >= 0)
		TRY(w, its_fdt(buffer, machine->its, FDT_PHANDLE_ITS));
	fdt_writer_end(w);
	primecell_clock(w);
	machine->devices(machine->owner, w);
	fdt_writer_end(w);
	TRY(w, fdt_finish(buffer));
	if (writer.result)
		return error_set(error, 0, "building the device tree: %s", fdt_strerror(writer.result));
	return 0;
}

size_t fdt_size(const void *fdt)
{
	return fdt_totalsize(fdt);
}
