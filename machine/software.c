/* SPDX-License-Identifier: MIT */
/* Loads kernel, initrd and device tree into RAM, at the start and after each reset. */
#include "components.h"
#include "software_private.h"

#include <errno.h>
#include <sys/random.h>

#include "arm/bootargs.h"
#include "arm/fdt.h"
#include "util/newfile.h"

#define COMMAND_LINE_MAX 2048

static void software_write_devices(void *owner, struct fdt_writer *writer)
{
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->fdt)
			machine_components[i]->fdt(owner, writer);
}

static int build_fdt(struct machine *machine, struct error *error)
{
	const struct machine_config *config = &machine->config;
	const char *console = config->console == CONSOLE_VIRTIO ? "hvc0" : "ttyS0";
	bool root_disk = config->disk_count && !config->initrd;
	char bootargs[COMMAND_LINE_MAX];
	struct fdt_machine fdt = {
		.bootargs = bootargs,
		.initrd = machine->boot.initrd,
		.initrd_size = machine->boot.initrd_size,
		.kaslr_seed = config->kaslr_seed,
		.gic = machine->gic_layout,
		.its = MACHINE_ITS,
		.uart = MACHINE_UART,
		.pmu = machine->cpu_features.pmu, .pmu_ppi = MACHINE_PMU_PPI,
		.devices = software_write_devices, .owner = machine,
	};

	/* With --nodefaults the guest gets exactly the user's parameters, as with kvmtool. */
	if (bootargs_build(bootargs, sizeof(bootargs), config->parameters, config->no_defaults ? NULL : console,
			   root_disk && !config->no_defaults) < 0)
		return error_set(error, E2BIG, "the kernel's parameters are longer than the %d bytes that Linux accepts",
				 COMMAND_LINE_MAX - 1);
	if (getrandom(fdt.rng_seed, sizeof(fdt.rng_seed), 0) != sizeof(fdt.rng_seed) ||
	    (!config->kaslr_seed_given &&
	     getrandom(&fdt.kaslr_seed, sizeof(fdt.kaslr_seed), 0) != sizeof(fdt.kaslr_seed)))
		return error_system(error, errno, "random numbers for the guest");
	return fdt_build(ram_at(&machine->vm.ram, machine->boot.fdt, FDT_MAX_SIZE), FDT_MAX_SIZE, &machine->vm, &fdt,
			 error);
}

int machine_software_load(struct machine *machine, struct error *error)
{
	if (boot_load(&machine->boot, &machine->vm.ram, error) < 0 || build_fdt(machine, error) < 0)
		return -1;
	ram_mark(&machine->vm.ram, machine->vm.ram.host, machine->vm.ram.size);
	return vcpus_set_entry(&machine->vm, machine->boot.entry, machine->boot.fdt, error);
}

int machine_software_open(struct machine *machine, struct error *error)
{
	const char *dump = machine->config.dump_fdt;

	if (machine->config.snapshot)
		return 0; /* RAM has it */
	if (machine_software_load(machine, error) < 0)
		return -1;
	if (!dump)
		return 0;
	if (machine_check_dump(machine, error) < 0) /* again: new overlays exist now */
		return -1;

	const void *fdt = ram_at(&machine->vm.ram, machine->boot.fdt, FDT_MAX_SIZE);

	return write_file_atomic(dump, fdt, fdt_size(fdt), error);
}

int machine_check_kernel(struct machine *machine, struct error *error)
{
	return boot_check(&machine->boot, &machine->vm.ram, error);
}
