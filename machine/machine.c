/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "arm/bootargs.h"
#include "arm/fdt.h"
#include "arm/its.h"
#include "arm/migrate.h"
#include "check_host.h"
#include "machine/machine.h"
#include "ram_private.h"
#include "util/newfile.h"
#include "vfio_private.h"
#include "virtio_private.h"

#define PMU_PPI 7 /* INTID 23, as other VMMs and the SBSA have it */
#define COMMAND_LINE_MAX 2048

/*
 * One part of the machine. Opened in the catalogue's order, closed in the opposite one; all but open may be absent.
 * pause returns when the part writes no guest memory and raises no interrupt.
 */
struct part {
	const char *name;
	int (*open)(struct machine *machine, struct error *error);
	void (*close)(struct machine *machine);
	void (*pause)(struct machine *machine);
	void (*resume)(struct machine *machine);
	void (*reset)(struct machine *machine);
};

/*
 * Kernel and initrd files first: a misspelt name should not cost the making of a VM.
 */

static int files_open(struct machine *machine, struct error *error)
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
	/* A restored guest needs them at its next reset only, and they may be back by then. */
	log_message(config->log, LOG_LEVEL_WARNING, "%s; the guest runs, but cannot restart without it: --kernel and --initrd "
		    "name other files", error->text);
	boot_defer(&machine->boot, config->kernel, config->initrd);
	return 0;
}

static void files_close(struct machine *machine)
{
	boot_close(&machine->boot);
}

static int core_open(struct machine *machine, struct error *error)
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

static void core_close(struct machine *machine)
{
	machine_ram_close(machine);
	vm_close(&machine->vm);
}

/*
 * The order that KVM wants: the vGIC and the ITS exist and have their addresses, then the vCPUs are initialised, then the
 * vGIC is, then the PMUs that hang on it.
 */
static int processors_open(struct machine *machine, struct error *error)
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
	return machine->cpu_features.pmu ? vcpus_initialise_pmu(vm, PMU_PPI, error) : 0;
}

static int pci_open(struct machine *machine, struct error *error)
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

static void pci_close(struct machine *machine)
{
	pci_bus_close(&machine->pci);
}

static int uart_open(struct machine *machine, struct error *error)
{
	/* It is always there, for early messages; the terminal belongs to one console. */
	struct terminal *terminal = machine->config.console == CONSOLE_SERIAL ? machine->terminal : NULL;

	return serial_open(&machine->serial, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_UART, MACHINE_UART,
			   terminal, error);
}

static void uart_close(struct machine *machine)
{
	serial_close(&machine->serial);
}

static void uart_reset(struct machine *machine)
{
	serial_reset(&machine->serial);
}

static int clock_open(struct machine *machine, struct error *error)
{
	return rtc_open(&machine->rtc, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_RTC, MACHINE_RTC,
			machine->loop, error);
}

static void clock_close(struct machine *machine)
{
	rtc_close(&machine->rtc);
}

static void clock_reset(struct machine *machine)
{
	rtc_reset(&machine->rtc);
}

static int keys_open(struct machine *machine, struct error *error)
{
	return gpio_open(&machine->gpio, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_GPIO, MACHINE_GPIO,
			 machine->loop, error);
}

static void keys_close(struct machine *machine)
{
	gpio_close(&machine->gpio);
}

static void keys_reset(struct machine *machine)
{
	gpio_reset(&machine->gpio);
}

/* It has no reset: what a guest starts with again belongs to the same machine. */
static int generation_part_open(struct machine *machine, struct error *error)
{
	return vmgenid_open(&machine->vmgenid, &machine->vm, MACHINE_LINE_GENERATION, MACHINE_GENERATION, error);
}

static void generation_part_close(struct machine *machine)
{
	vmgenid_close(&machine->vmgenid);
}

static void generation_part_resume(struct machine *machine)
{
	vmgenid_resume(&machine->vmgenid);
}

static void generation_part_reset(struct machine *machine)
{
	vmgenid_reset(&machine->vmgenid);
}

/*
 * What the guest finds in memory, at the start and after each reset.
 */

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
		.pmu = machine->cpu_features.pmu, .pmu_ppi = PMU_PPI,
	};

	/* Without defaults the guest gets exactly what the user gave, as from kvmtool. */
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

static int load(struct machine *machine, struct error *error)
{
	if (boot_load(&machine->boot, &machine->vm.ram, error) < 0 || build_fdt(machine, error) < 0)
		return -1;
	ram_mark(&machine->vm.ram, machine->vm.ram.host, machine->vm.ram.size);
	return vcpus_set_entry(&machine->vm, machine->boot.entry, machine->boot.fdt, error);
}

static int software_open(struct machine *machine, struct error *error)
{
	const char *dump = machine->config.dump_fdt;

	if (machine->config.snapshot)
		return 0; /* it is in RAM */
	if (load(machine, error) < 0)
		return -1;
	if (!dump)
		return 0;
	if (machine_check_dump(machine, error) < 0) /* once more: new overlays exist by now */
		return -1;

	const void *fdt = ram_at(&machine->vm.ram, machine->boot.fdt, FDT_MAX_SIZE);

	return write_file_atomic(dump, fdt, fdt_size(fdt), 0666, error);
}

static int threads_open(struct machine *machine, struct error *error)
{
	return vcpus_start(&machine->vm, error);
}

static const struct part catalogue[] = {
	{ "files", .open = files_open, .close = files_close },
	{ "vm", .open = core_open, .close = core_close, .resume = machine_working_set_go_on,
	  .reset = machine_working_set_disturb },
	{ "processors", .open = processors_open },
	{ "pci", .open = pci_open, .close = pci_close },
	{ "serial", .open = uart_open, .close = uart_close, .reset = uart_reset },
	{ "rtc", .open = clock_open, .close = clock_close, .reset = clock_reset },
	{ "gpio", .open = keys_open, .close = keys_close, .reset = keys_reset },
	{ "generation", .open = generation_part_open, .close = generation_part_close, .resume = generation_part_resume,
	  .reset = generation_part_reset },
	{ "virtio", .open = machine_virtio_open, .close = machine_virtio_close, .pause = machine_virtio_pause,
	  .resume = machine_virtio_resume, .reset = machine_virtio_reset },
	{ "vfio", .open = machine_vfio_open, .close = machine_vfio_close, .pause = machine_vfio_pause,
	  .resume = machine_vfio_resume, .reset = machine_vfio_reset },
	{ "software", .open = software_open },
	{ "threads", .open = threads_open },
};

#define PARTS (sizeof(catalogue) / sizeof(catalogue[0]))
#define PARTS_BEFORE_DEVICES 3 /* up to "processors" */

static int open_parts(struct machine *machine, size_t count, struct error *error)
{
	for (; machine->opened < count; machine->opened++) {
		if (catalogue[machine->opened].open(machine, error) == 0)
			continue;
		machine_close(machine);
		return -1;
	}
	return 0;
}

int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error)
{
	*machine = (struct machine){ .config = *config, .loop = loop, .terminal = terminal, .pager.done_fd = -1,
				     .snapshot_watch.fd = -1 };
	return open_parts(machine, PARTS, error);
}

int machine_open_processors(struct machine *machine, const struct machine_config *config,
			    const struct error_collector *refused, struct error *error)
{
	*machine = (struct machine){ .config = *config, .refused = refused, .pager.done_fd = -1, .snapshot_watch.fd = -1 };
	return open_parts(machine, PARTS_BEFORE_DEVICES, error);
}

void machine_stop(struct machine *machine)
{
	/* vCPUs first: they call into every other part. */
	if (machine->opened > 1)
		vcpus_close(&machine->vm);
	machine->running = false;
	machine_virtio_pause(machine);
	machine_ram_close(machine); /* nobody waits for what it loads */
}

void machine_close(struct machine *machine)
{
	machine_untrack(machine);
	machine_stop(machine);
	while (machine->opened > 0)
		if (catalogue[--machine->opened].close)
			catalogue[machine->opened].close(machine);
}

void machine_pause(struct machine *machine)
{
	struct error error;

	if (!machine->running)
		return;
	vcpus_pause(&machine->vm);
	/* The counter last: what the workers still did belongs to the time before the pause. */
	for (size_t i = 0; i < PARTS; i++)
		if (catalogue[i].pause)
			catalogue[i].pause(machine);
	machine->running = false;
	if (vcpus_get_counter(&machine->vm, &machine->clock.counter, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest's clock runs on while paused: %s", error.text);
}

void machine_resume(struct machine *machine)
{
	struct error error;

	if (machine->running)
		return;
	if (vcpus_set_counter(&machine->vm, machine->clock.counter, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest's clock ran on while paused: %s", error.text);
	for (size_t i = 0; i < PARTS; i++)
		if (catalogue[i].resume)
			catalogue[i].resume(machine);
	machine->running = true;
	atomic_store(&machine->went_on, true);
	vcpus_resume(&machine->vm);
}

int machine_reset(struct machine *machine, struct error *error)
{
	const struct migrate migrate = {
		.vm = &machine->vm,
		.features = &machine->cpu_features,
		.interrupts = machine->gic_layout.interrupts,
	};

	for (size_t i = 0; i < PARTS; i++)
		if (catalogue[i].reset)
			catalogue[i].reset(machine);
	interrupts_reset_lines(&machine->vm.interrupts);
	if (migrate_reset(&migrate, error) < 0 || load(machine, error) < 0)
		return -1;
	machine->clock.counter = 0;
	machine->clock.resets++;
	return 0;
}

int machine_check_kernel(struct machine *machine, struct error *error)
{
	return boot_check(&machine->boot, &machine->vm.ram, error);
}

int machine_press(struct machine *machine, enum machine_key key, struct error *error)
{
	bool power = key == MACHINE_KEY_POWER;

	/* Debian's cloud kernels have no gpio-keys but virtio-input, others the other way round. One press, not two. */
	if (gpio_press(&machine->gpio, power ? GPIO_LINE_POWER : GPIO_LINE_RESTART) ||
	    (machine->input && virtio_input_press(machine->input, power ? 116 : 408)))
		return 0;
	return error_set(error, ENODEV, "the guest does not listen to its %s key (no driver for gpio-keys or virtio-input)",
			 power ? "power" : "restart");
}
