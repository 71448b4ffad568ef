/* SPDX-License-Identifier: MIT */
/* Builds the guest's device tree. */
#include <errno.h>
#include <libfdt.h>
#include <linux/input-event-codes.h>
#include <stdio.h>

#include "arm/fdt.h"
#include "arm/its.h"
#include "util/bits.h"

/* Cells of an interrupt specifier (arm,gic-v3.yaml). */
#define GIC_SPI 0
#define GIC_PPI 1
#define IRQ_EDGE_RISING 1
#define IRQ_LEVEL_HIGH 4

enum phandle { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK, PHANDLE_GPIO };

/* libfdt's writer does not keep errors. This keeps the first one, and later calls do nothing. */
struct writer {
	void *fdt;
	int result;
};

#define TRY(writer, call)                                                                                  \
	do {                                                                                               \
		if ((writer)->result == 0)                                                                 \
			(writer)->result = (call);                                                         \
	} while (0)

static void begin(struct writer *w, const char *name)
{
	TRY(w, fdt_begin_node(w->fdt, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(w, full);
}

static void end(struct writer *w)
{
	TRY(w, fdt_end_node(w->fdt));
}

static void string(struct writer *w, const char *name, const char *value)
{
	TRY(w, fdt_property_string(w->fdt, name, value));
}

static void bytes(struct writer *w, const char *name, const void *value, size_t size)
{
	TRY(w, fdt_property(w->fdt, name, value, (int)size));
}

static void flag(struct writer *w, const char *name)
{
	bytes(w, name, NULL, 0);
}

static void cell(struct writer *w, const char *name, uint32_t value)
{
	TRY(w, fdt_property_u32(w->fdt, name, value));
}

static void cells(struct writer *w, const char *name, const uint32_t *values, unsigned count)
{
	void *to = NULL;

	TRY(w, fdt_property_placeholder(w->fdt, name, (int)(count * sizeof(fdt32_t)), &to));
	if (w->result == 0)
		for (unsigned i = 0; i < count; i++)
			fdt32_st((char *)to + i * sizeof(fdt32_t), values[i]);
}
#define CELLS(w, name, ...)                                                                                \
	cells(w, name, (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

static void range(struct writer *w, const char *name, uint64_t base, uint64_t size)
{
	CELLS(w, name, (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32), (uint32_t)size);
}

static void interrupt(struct writer *w, unsigned spi)
{
	CELLS(w, "interrupts", GIC_SPI, spi, IRQ_LEVEL_HIGH);
}

static void chosen(struct writer *w, const struct fdt_machine *machine)
{
	char console[32];

	snprintf(console, sizeof(console), "/serial@%llx", (unsigned long long)machine->uart);
	begin(w, "chosen");
	string(w, "bootargs", machine->bootargs);
	string(w, "stdout-path", console);
	if (machine->initrd_size) {
		TRY(w, fdt_property_u64(w->fdt, "linux,initrd-start", machine->initrd));
		TRY(w, fdt_property_u64(w->fdt, "linux,initrd-end", machine->initrd + machine->initrd_size));
	}
	TRY(w, fdt_property_u64(w->fdt, "kaslr-seed", machine->kaslr_seed));
	bytes(w, "rng-seed", machine->rng_seed, sizeof(machine->rng_seed));
	end(w);
}

static void processors(struct writer *w, const struct vm *vm)
{
	begin(w, "cpus");
	cell(w, "#address-cells", 1);
	cell(w, "#size-cells", 0);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		uint32_t affinity = (uint32_t)vm->vcpus[i].mpidr & 0xffffff; /* 512 vCPUs do not reach Aff3 */

		begin_at(w, "cpu", affinity);
		string(w, "device_type", "cpu");
		string(w, "compatible", "arm,arm-v8");
		string(w, "enable-method", "psci");
		cell(w, "reg", affinity);
		end(w);
	}
	end(w);

	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(w, "psci");
	bytes(w, "compatible", compatible, sizeof(compatible));
	string(w, "method", "hvc");
	end(w);
}

/* systemd-detect-virt finds KVM by this node. */
static void hypervisor(struct writer *w)
{
	begin(w, "hypervisor");
	string(w, "compatible", "linux,kvm");
	end(w);
}

static void timer_and_pmu(struct writer *w, const struct fdt_machine *machine)
{
	/* Secure, non-secure, virtual and hypervisor timer, as KVM wires them. */
	begin(w, "timer");
	string(w, "compatible", "arm,armv8-timer");
	CELLS(w, "interrupts", GIC_PPI, 13, IRQ_LEVEL_HIGH, GIC_PPI, 14, IRQ_LEVEL_HIGH, GIC_PPI, 11, IRQ_LEVEL_HIGH,
	      GIC_PPI, 10, IRQ_LEVEL_HIGH);
	flag(w, "always-on");
	end(w);
	if (!machine->pmu)
		return;
	begin(w, "pmu");
	string(w, "compatible", "arm,armv8-pmuv3");
	CELLS(w, "interrupts", GIC_PPI, machine->pmu_ppi, IRQ_LEVEL_HIGH);
	end(w);
}

/* A PrimeCell: its bus clock only has to be there. */
static void begin_primecell(struct writer *w, const char *name, uint64_t base, unsigned line, const char *compatible,
			    size_t compatible_size)
{
	begin_at(w, name, base);
	bytes(w, "compatible", compatible, compatible_size);
	range(w, "reg", base, 0x1000);
	interrupt(w, line);
	cell(w, "clocks", PHANDLE_CLOCK);
	string(w, "clock-names", "apb_pclk");
}

static void key(struct writer *w, const char *name, unsigned line, unsigned code)
{
	begin(w, name);
	string(w, "label", name);
	cell(w, "linux,code", code);
	CELLS(w, "gpios", PHANDLE_GPIO, line, 0);
	flag(w, "wakeup-source"); /* lkvm stop and lkvm reboot reach a suspended guest */
	end(w);
}

static void board(struct writer *w, const struct fdt_machine *machine)
{
	static const char rtc[] = "arm,pl031\0arm,primecell";
	static const char gpio[] = "arm,pl061\0arm,primecell";

	begin_at(w, "serial", machine->uart);
	string(w, "compatible", "ns16550a");
	range(w, "reg", machine->uart, 0x1000);
	interrupt(w, machine->uart_line);
	cell(w, "clock-frequency", 1843200);
	end(w);

	begin(w, "apb-pclk");
	string(w, "compatible", "fixed-clock");
	cell(w, "#clock-cells", 0);
	cell(w, "clock-frequency", 24000000);
	string(w, "clock-output-names", "clk24mhz");
	cell(w, "phandle", PHANDLE_CLOCK);
	end(w);

	begin_primecell(w, "rtc", machine->rtc, machine->rtc_line, rtc, sizeof(rtc));
	end(w);

	begin_primecell(w, "gpio", machine->gpio, machine->gpio_line, gpio, sizeof(gpio));
	flag(w, "gpio-controller");
	cell(w, "#gpio-cells", 2);
	flag(w, "interrupt-controller");
	cell(w, "#interrupt-cells", 2);
	cell(w, "phandle", PHANDLE_GPIO);
	end(w);

	begin(w, "gpio-keys");
	string(w, "compatible", "gpio-keys");
	key(w, "poweroff", machine->power_key_line, KEY_POWER);
	key(w, "restart", machine->restart_key_line, KEY_RESTART);
	end(w);

	begin_at(w, "rng", machine->generation);
	string(w, "compatible", "microsoft,vmgenid");
	range(w, "reg", machine->generation, machine->generation_size);
	CELLS(w, "interrupts", GIC_SPI, machine->generation_line, IRQ_EDGE_RISING);
	end(w);
}

/* Adds a line of `ranges`: the space and an address on the bus (3 cells), the processor's address (2), the size (2). */
static void add_range(uint32_t *ranges, unsigned *count, uint32_t space, uint64_t bus, const struct fdt_window *window)
{
	const uint32_t line[] = {
		space, (uint32_t)(bus >> 32), (uint32_t)bus, (uint32_t)(window->base >> 32), (uint32_t)window->base,
		(uint32_t)(window->size >> 32), (uint32_t)window->size,
	};

	for (unsigned i = 0; window->size && i < COUNT(line); i++)
		ranges[(*count)++] = line[i];
}

/* One line of interrupt-map: child address (3 cells), pin, the GIC, its unit address (2 cells), specifier. */
#define MAP_CELLS 10

static void pci(struct writer *w, const struct vm *vm, const struct fdt_machine *machine)
{
	/*
	 * First cell of a range (IEEE 1275 PCI binding): ports; 32-bit memory space; 64-bit memory space. That is not
	 * marked prefetchable, because then only prefetchable BARs could go there.
	 */
	const uint32_t ports = 0x01000000, memory32 = 0x02000000, memory64 = 0x03000000;
	uint32_t map[32 * MAP_CELLS], ranges[3 * 7];
	unsigned count = 0, range_cells = 0;

	begin_at(w, "pcie", machine->ecam);
	string(w, "compatible", "pci-host-ecam-generic");
	string(w, "device_type", "pci");
	cell(w, "#address-cells", 3);
	cell(w, "#size-cells", 2);
	cell(w, "#interrupt-cells", 1);
	CELLS(w, "bus-range", 0, 0);
	cell(w, "linux,pci-domain", 0);
	flag(w, "dma-coherent");
	range(w, "reg", machine->ecam, machine->ecam_size);
	add_range(ranges, &range_cells, ports, 0, &machine->io);
	add_range(ranges, &range_cells, memory32, machine->pci32.base, &machine->pci32);
	add_range(ranges, &range_cells, memory64, machine->pci64.base, &machine->pci64);
	cells(w, "ranges", ranges, range_cells);
	for (unsigned slot = 0; slot < machine->pci_slots && slot < 32; slot++) {
		const uint32_t line[MAP_CELLS] = {
			slot << 11, 0, 0, 1, PHANDLE_GIC, 0, 0, GIC_SPI, machine->pci_first_line + slot, IRQ_LEVEL_HIGH,
		};

		for (unsigned i = 0; i < MAP_CELLS; i++)
			map[count++] = line[i];
	}
	cells(w, "interrupt-map", map, count);
	CELLS(w, "interrupt-map-mask", 0xf800, 0, 0, 7);
	if (vm->its_fd >= 0)
		CELLS(w, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	end(w);
}

int fdt_build(void *buffer, size_t size, const struct vm *vm, const struct fdt_machine *machine, struct error *error)
{
	struct writer writer = { .fdt = buffer };
	struct writer *w = &writer;

	TRY(w, fdt_create(buffer, (int)size));
	TRY(w, fdt_finish_reservemap(buffer));
	begin(w, "");
	string(w, "compatible", "linux,dummy-virt");
	string(w, "model", "lkvm");
	cell(w, "#address-cells", 2);
	cell(w, "#size-cells", 2);
	cell(w, "interrupt-parent", PHANDLE_GIC);
	chosen(w, machine);
	begin_at(w, "memory", vm->ram.base);
	string(w, "device_type", "memory");
	range(w, "reg", vm->ram.base, vm->ram.size);
	end(w);
	hypervisor(w);
	processors(w, vm);
	timer_and_pmu(w, machine);
	TRY(w, gic_fdt_begin(buffer, vm, &machine->gic, PHANDLE_GIC));
	if (vm->its_fd >= 0)
		TRY(w, its_fdt(buffer, machine->its, PHANDLE_ITS));
	end(w);
	board(w, machine);
	pci(w, vm, machine);
	end(w);
	TRY(w, fdt_finish(buffer));
	if (writer.result)
		return error_set(error, 0, "building the device tree: %s", fdt_strerror(writer.result));
	return 0;
}

size_t fdt_size(const void *fdt)
{
	return fdt_totalsize(fdt);
}
