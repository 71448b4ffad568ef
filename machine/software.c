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

/* Opens the files of the kernel and the initrd. A restored machine does not need them until its next reset. */
static int component_files_open(struct machine *machine, struct error *error)
{
	const struct machine_config *config = &machine->config;

	if (machine_check_dump(machine, error) < 0)
		return -1;
	if (boot_open(&machine->boot, config->kernel, config->initrd, error) == 0) {
		if (machine->boot.flat && !config->snapshot)
			log_message(config->log, LOG_LEVEL_WARNING, "kernel %s has no header of an arm64 Image: it is run as a "
				    "flat program", config->kernel);
		return 0;
	}
	if (!config->snapshot || error->code == EMFILE || error->code == ENFILE || error->code == ENOMEM)
		return -1;
	/* A restored guest needs the files only at its next reset, and they may exist again by then. */
	log_message(config->log, LOG_LEVEL_WARNING, "%s; the guest runs, but cannot restart without it: --kernel and --initrd "
		    "name other files", error->text);
	boot_defer(&machine->boot, config->kernel, config->initrd);
	return 0;
}

static void component_files_close(struct machine *machine)
{
	boot_close(&machine->boot);
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
		.uart = MACHINE_UART, .uart_line = MACHINE_LINE_UART,
		.rtc = MACHINE_RTC, .rtc_line = MACHINE_LINE_RTC,
		.gpio = MACHINE_GPIO, .gpio_line = MACHINE_LINE_GPIO,
		.generation = MACHINE_GENERATION, .generation_line = MACHINE_LINE_GENERATION,
		.generation_size = VMGENID_SIZE,
		.power_key_line = GPIO_LINE_POWER, .restart_key_line = GPIO_LINE_RESTART,
		.ecam = MACHINE_ECAM, .ecam_size = MACHINE_ECAM_SIZE,
		.io = { machine->pci_layout.io, machine->pci_layout.io_size },
		.pci32 = { machine->pci_layout.window32, machine->pci_layout.window32_size },
		.pci64 = { machine->pci_layout.window64, machine->pci_layout.window64_size },
		.pci_first_line = MACHINE_LINE_PCI, .pci_slots = PCI_SLOTS,
		.pmu = machine->cpu_features.pmu, .pmu_ppi = MACHINE_PMU_PPI,
	};

	/* With --nodefaults the guest gets exactly the user's parameters, as with kvmtool. */
	if (bootargs_build(bootargs, sizeof(bootargs), config->parameters, config->no_defaults ? NULL : console,
			   root_disk && !config->no_defaults) < 0)
		return error_set(error, E2BIG, "the kernel's parameters are longer than the %d bytes that Linux takes",
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

/* Loads the software unless the machine is restored. Then writes the device tree to the file of --dump-dtb, if one was given. */
static int component_software_open(struct machine *machine, struct error *error)
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

	return write_file_atomic(dump, fdt, fdt_size(fdt), 0666, error);
}

int machine_check_kernel(struct machine *machine, struct error *error)
{
	return boot_check(&machine->boot, &machine->vm.ram, error);
}

const struct component component_files = { .open = component_files_open, .close = component_files_close };
const struct component component_software = { .open = component_software_open };
