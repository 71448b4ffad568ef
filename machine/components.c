/* SPDX-License-Identifier: MIT */
/* The components of a machine, in the order in which they open. */
#include "components.h"

#include <string.h>

#include "arm/its.h"
#include "ram_private.h"
#include "software_private.h"
#include "state/names.h"
#include "util/bits.h"

static int component_vm_open(struct machine *machine, struct error *error)
{
	struct vm_config config = {
		.log = machine->config.log,
		.ram_base = MACHINE_RAM,
		.ram_size = machine->config.memory,
		.vcpu_count = machine->config.cpus,
		.address_bits = machine->config.address_bits,
	};

	if (machine_ram_open(machine, &config.ram, error) < 0)
		return -1;
	if (vm_open(&machine->vm, &config, error) == 0) {
		if (!machine->config.snapshot)
			memory_loss_watch(machine->vm.ram.host, machine->vm.ram.size);
		return 0;
	}
	machine_ram_close(machine); /* the pager first: it fills RAM */
	ram_close(&config.ram);
	return -1;
}

static void component_vm_close(struct machine *machine)
{
	machine_ram_close(machine);
	vm_close(&machine->vm);
}

/*
 * The order that KVM wants: the vGIC and the ITS exist and have their addresses, then the vCPUs are initialised, then the
 * vGIC is, then the PMUs that hang on it.
 */
static int component_processors_open(struct machine *machine, struct error *error)
{
	const struct machine_config *config = &machine->config;
	struct cpu_features wanted = {
		.sve = config->sve, .pauth = config->pauth, .pmu = config->pmu, .exact = config->snapshot != NULL,
	};
	struct vm *vm = &machine->vm;

	memcpy(wanted.sve_lengths, config->sve_lengths, sizeof(wanted.sve_lengths));
	machine->gic_layout = (struct gic_layout){
		.distributor = MACHINE_GICD,
		.redistributors = MACHINE_GICR,
		.interrupts = MACHINE_INTERRUPTS,
	};
	if (cpu_features_choose(vm, &wanted, &machine->cpu_features, machine->refused, error) < 0 ||
	    gic_open(vm, &machine->gic_layout, error) < 0)
		return -1;
	if (config->irqchip == IRQCHIP_GICV3_ITS) {
		if (its_open(vm, MACHINE_ITS, error) < 0 && error_collect(machine->refused, error) < 0)
			return -1;
		vm->interrupts.has_msi = vm->its_fd >= 0;
	}
	if (vcpus_initialise(vm, &machine->cpu_features, true, error) < 0 || gic_initialise(vm, error) < 0)
		return -1;
	return machine->cpu_features.pmu ? vcpus_initialise_pmu(vm, MACHINE_PMU_PPI, error) : 0;
}

static int component_pci_open(struct machine *machine, struct error *error)
{
	/* 64-bit BARs go to the upper half of the guest physical addresses, unless RAM needs it. */
	uint64_t half = 1ull << (machine->vm.address_bits - 1);
	bool room = MACHINE_RAM + machine->config.memory <= half;

	machine->pci_layout = (struct pci_layout){
		.ecam = MACHINE_ECAM,
		.io = MACHINE_IO,
		.io_size = MACHINE_IO_SIZE,
		.window32 = MACHINE_PCI32,
		.window32_size = MACHINE_PCI32_SIZE,
		.window64 = room ? half : 0,
		.window64_size = room ? half : 0,
		.first_line = MACHINE_LINE_PCI,
	};
	return pci_bus_open(&machine->pci, &machine->vm.bus, &machine->vm.interrupts, &machine->pci_layout, error);
}

static void component_pci_close(struct machine *machine)
{
	pci_bus_close(&machine->pci);
}

static void component_pci_fdt(struct machine *machine, struct fdt_writer *writer)
{
	pci_bus_fdt(&machine->pci, writer);
}

static int component_threads_open(struct machine *machine, struct error *error)
{
	return vcpus_start(&machine->vm, error);
}

static int component_vm_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	return visitor->visit(visitor, SECTION_CLOCK, &machine_clock_table, &machine->clock, error);
}

static const struct component component_vm = {
	.open = component_vm_open, .close = component_vm_close, .resume = machine_working_set_resume,
	.reset = machine_working_set_invalidate, .visit = component_vm_visit,
};
static const struct component component_processors = { .open = component_processors_open };
static const struct component component_pci = {
	.open = component_pci_open, .close = component_pci_close, .fdt = component_pci_fdt,
};
static const struct component component_threads = { .open = component_threads_open };

const struct component *const machine_components[] = {
	&component_files, /* first: a misspelt name should not cost the making of a VM */
	&component_vm,
	&component_processors,
	&component_serial,
	&component_rtc,
	&component_gpio,
	&component_vmgenid,
	&component_watchdog,
	&component_pci,
	&component_virtio,
	&component_vfio,
	&component_pvpanic,
	&component_threads,
};

const size_t machine_component_count = COUNT(machine_components);
