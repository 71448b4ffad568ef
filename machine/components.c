/* SPDX-License-Identifier: MIT */
/* The components of a machine, in the order in which they open. */
#include "components.h"

#include <string.h>

#include "arm/its.h"
#include "ram_private.h"
#include "software_private.h"
#include "vfio_private.h"
#include "virtio_private.h"

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

static int component_serial_open(struct machine *machine, struct error *error)
{
	/* It is always there, for early messages; the terminal belongs to one console. */
	struct terminal *terminal = machine->config.console == CONSOLE_SERIAL ? machine->terminal : NULL;

	return serial_open(&machine->serial, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_UART, MACHINE_UART,
			   terminal, error);
}

static void component_serial_close(struct machine *machine)
{
	serial_close(&machine->serial);
}

static void component_serial_reset(struct machine *machine)
{
	serial_reset(&machine->serial);
}

static int component_rtc_open(struct machine *machine, struct error *error)
{
	return rtc_open(&machine->rtc, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_RTC, MACHINE_RTC,
			machine->loop, error);
}

static void component_rtc_close(struct machine *machine)
{
	rtc_close(&machine->rtc);
}

static void component_rtc_reset(struct machine *machine)
{
	rtc_reset(&machine->rtc);
}

static int component_gpio_open(struct machine *machine, struct error *error)
{
	return gpio_open(&machine->gpio, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_GPIO, MACHINE_GPIO,
			 machine->loop, error);
}

static void component_gpio_close(struct machine *machine)
{
	gpio_close(&machine->gpio);
}

static void component_gpio_reset(struct machine *machine)
{
	gpio_reset(&machine->gpio);
}

/* It has no reset: what a guest starts with again belongs to the same machine. */
static int component_vmgenid_open(struct machine *machine, struct error *error)
{
	return vmgenid_open(&machine->vmgenid, &machine->vm, MACHINE_LINE_GENERATION, MACHINE_GENERATION, error);
}

static void component_vmgenid_close(struct machine *machine)
{
	vmgenid_close(&machine->vmgenid);
}

static void component_vmgenid_resume(struct machine *machine)
{
	vmgenid_resume(&machine->vmgenid);
}

static void component_vmgenid_reset(struct machine *machine)
{
	vmgenid_reset(&machine->vmgenid);
}

static int component_threads_open(struct machine *machine, struct error *error)
{
	return vcpus_start(&machine->vm, error);
}

const struct component machine_components[] = {
	/* First: a misspelt name should not cost the making of a VM. */
	{ "files", .open = machine_files_open, .close = machine_files_close },
	{ "vm", .open = component_vm_open, .close = component_vm_close, .resume = machine_working_set_resume,
	  .reset = machine_working_set_invalidate },
	{ "processors", .open = component_processors_open },
	{ "pci", .open = component_pci_open, .close = component_pci_close },
	{ "serial", .open = component_serial_open, .close = component_serial_close, .reset = component_serial_reset },
	{ "rtc", .open = component_rtc_open, .close = component_rtc_close, .reset = component_rtc_reset },
	{ "gpio", .open = component_gpio_open, .close = component_gpio_close, .reset = component_gpio_reset },
	{ "generation", .open = component_vmgenid_open, .close = component_vmgenid_close, .resume = component_vmgenid_resume,
	  .reset = component_vmgenid_reset },
	{ "virtio", .open = machine_virtio_open, .close = machine_virtio_close, .pause = machine_virtio_pause,
	  .resume = machine_virtio_resume, .reset = machine_virtio_reset },
	{ "vfio", .open = machine_vfio_open, .close = machine_vfio_close, .pause = machine_vfio_pause,
	  .resume = machine_vfio_resume, .reset = machine_vfio_reset },
	{ "software", .open = machine_software_open },
	{ "threads", .open = component_threads_open },
};

const size_t machine_component_count = sizeof(machine_components) / sizeof(machine_components[0]);
