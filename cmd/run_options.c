/* SPDX-License-Identifier: MIT */
/* The options of lkvm run, and the checks that concern several of them. */
#include "cmd/run_options.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cmd/command.h"
#include "control/control.h"
#include "util/hash.h"
#include "util/parse.h"

#define CONFIG(member) offsetof(struct run_options, config.member)

static int parse_kaslr_seed(void *target, char *value, struct error *error)
{
	struct run_options *options = target;

	options->config.kaslr_seed_given = true;
	return parse_number(value, 0, UINT64_MAX, &options->config.kaslr_seed, error);
}

/* kvmtool's option for more messages. */
static int parse_debug(void *target, char *value, struct error *error)
{
	struct run_options *options = target;

	(void)value;
	(void)error;
	options->log_level = LOG_LEVEL_DEBUG;
	return 0;
}

static int parse_transport(void *target, char *value, struct error *error)
{
	(void)target;
	if (strcmp(value, "pci"))
		return error_set(error, EINVAL, "\"%.100s\" is not supported: virtio devices are on PCI", value);
	return 0;
}

bool run_options_is_folder(const char *word)
{
	struct stat status;

	/* An absolute path that does not exist cannot be the kernel either. */
	return stat(word, &status) == 0 ? S_ISDIR(status.st_mode) : word[0] == '/' && errno == ENOENT;
}

/* As in kvmtool, the value may be the folder of a mounted hugetlbfs. Its block size is the page size. */
static int parse_mounted_huge_pages(const char *path, uint64_t *page, struct error *error)
{
	struct statfs status;

	if (statfs(path, &status) < 0)
		return error_system(error, errno, "%.200s", path);
	if (status.f_type != HUGETLBFS_MAGIC)
		return error_set(error, EINVAL, "%.200s is not a mounted hugetlbfs; give the size of the pages instead, such as 2M",
						path);
	*page = (uint64_t)status.f_bsize;
	return 0;
}

int run_options_parse_huge_pages(void *target, char *value, struct error *error)
{
	struct run_options *options = target;

	options->config.huge_page = RAM_HUGE_DEFAULT;
	if (value && (strchr(value, '/') || run_options_is_folder(value)))
		return parse_mounted_huge_pages(value, &options->config.huge_page, error);
	return value ? parse_size(value, &options->config.huge_page, error) : 0;
}

static int parse_watchdog(void *field, char *value, struct error *error)
{
	enum machine_watchdog *watchdog = field;

	for (unsigned i = MACHINE_WATCHDOG_RESET; i <= MACHINE_WATCHDOG_LOG; i++) {
		if (strcmp(value, machine_watchdog_name((enum machine_watchdog)i)))
			continue;
		*watchdog = (enum machine_watchdog)i;
		return 0;
	}
	return error_set(error, EINVAL, "\"%.100s\" is none of reset, poweroff, none", value);
}

int run_options_parse_overlays(void *target, char *value, struct error *error)
{
	struct run_options *options = target;

	if (options->overlay_count > VIRTIO_BLOCK_LOWER)
		return error_set(error, E2BIG, "a disk can have %u overlays", VIRTIO_BLOCK_LOWER + 1);
	options->overlays[options->overlay_count++] = value;
	return 0;
}

static const struct option_entry entries[] = {
	{ .name = "kernel", .letter = 'k', .kind = OPTION_FILE, .argument = "FILE", .offset = CONFIG(kernel),
	  .help = "Kernel: an arm64 Image, gzip-compressed or not" },
	{ .name = "initrd", .letter = 'i', .kind = OPTION_FILE, .argument = "FILE", .offset = CONFIG(initrd),
	  .help = "Initial RAM disk" },
	{ .name = "params", .letter = 'p', .kind = OPTION_STRING, .argument = "TEXT",
	  .offset = CONFIG(parameters), .help = "Kernel command line" },
	{ .name = "cpus", .letter = 'c', .kind = OPTION_NUMBER, .argument = "N",
	  .offset = offsetof(struct run_options, cpus), .minimum = 1, .maximum = MACHINE_MAX_VCPUS,
	  .help = "Number of vCPUs (1)" },
	{ .name = "mem", .letter = 'm', .kind = OPTION_SIZE, .argument = "SIZE", .offset = CONFIG(memory),
	  .help = "RAM: 512 (MiB), 512M, 2G (256M, and 64M for each further vCPU)" },
	{ .name = "hugetlbfs", .kind = OPTION_PARSED, .parse = run_options_parse_huge_pages, .argument = "SIZE|DIR", .optional = true,
	  .is_value = run_options_is_folder,
	  .help = "Use the host's pool of huge pages of this size for RAM" },
	{ .name = "disk", .letter = 'd', .kind = OPTION_PARSED, .parse = run_options_parse_disk,
	  .argument = "FILE" RUN_DISK_ITEMS(RUN_ITEM_IN_BRACKETS, RUN_ITEM_IN_BRACKETS), .help = "Disk image or block device; repeatable" },
	{ .name = "disk-overlay", .kind = OPTION_PARSED, .parse = run_options_parse_overlays, .argument = "DIR",
	  .help = "Do not change the disks: the guest writes to overlays in\nthis folder; repeatable, each over the one before" },
	{ .name = "disks-changed", .kind = OPTION_CHOICE, .argument = "refuse|allow", .choices = "refuse|allow",
	  .offset = offsetof(struct run_options, disks_changed),
	  .help = "What to do if disks were written since their overlays were\nmade (refuse)" },
	{ .name = "network", .letter = 'n', .kind = OPTION_PARSED, .parse = run_options_parse_network,
	  .argument = RUN_NETWORK_MODES "[,ITEM...]", .choices = "mode=tap|mode=user|mode=none",
	  .help = "Network interface; repeatable. With tap:\n"
		  RUN_TAP_ITEMS(RUN_ITEM_FIRST, RUN_ITEM_NEXT) ".\n"
		  "With user: " RUN_USER_ITEMS(RUN_ITEM_FIRST, RUN_ITEM_NEXT) ", " RUN_PASST_OPTIONS " (last).\n"
		  "With both: " RUN_NETWORK_ITEMS(RUN_ITEM_FIRST, RUN_ITEM_NEXT) },
	{ .name = "vfio-pci", .kind = OPTION_PARSED, .parse = run_options_parse_vfio, .argument = "[DOM:]BB:DD.F|UUID",
	  .help = "PCI device bound to vfio-pci, or mediated device; repeatable" },
	{ .name = "console", .kind = OPTION_CHOICE, .argument = "serial|virtio", .choices = "serial|virtio",
	  .offset = CONFIG(console), .help = "The guest's device for standard input and output (serial)" },
	{ .name = "watchdog", .kind = OPTION_PARSED, .parse = parse_watchdog, .argument = "reset|poweroff|none",
	  .choices = "reset|poweroff|none", .offset = CONFIG(watchdog),
	  .help = "Add a watchdog: what happens if the guest lets it expire" },
	{ .name = "rng", .kind = OPTION_FLAG, .offset = CONFIG(entropy),
	  .help = "Add a virtio entropy source" },
	{ .name = "balloon", .kind = OPTION_FLAG, .offset = CONFIG(balloon),
	  .help = "Add a virtio memory balloon, for lkvm balloon" },
	{ .name = "name", .kind = OPTION_STRING, .argument = "NAME", .offset = CONFIG(name),
	  .help = "Name of the VM (guest-PID)" },
	{ .name = "irqchip", .kind = OPTION_CHOICE, .argument = "gicv3|gicv3-its",
	  .choices = "gicv3|gicv3-its", .offset = CONFIG(irqchip),
	  .help = "Interrupt controller, without or with MSIs (gicv3-its)" },
	{ .name = "nodefaults", .kind = OPTION_FLAG, .offset = CONFIG(no_defaults),
	  .help = "Omit defaults: the power button, pvpanic, and console= and\nroot= on the kernel command line" },
	{ .name = "pmu", .kind = OPTION_FLAG, .offset = CONFIG(pmu), .help = "Give the guest performance counters" },
	{ .name = "disable-sve", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, disable_sve),
	  .help = "Hide scalable vectors, if the host has them" },
	{ .name = "disable-pauth", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, disable_pauth),
	  .help = "Hide pointer authentication, if the host has it" },
	{ .name = "disable-pvpanic", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, disable_pvpanic),
	  .help = "Omit pvpanic: a guest that panics does not end the VM" },
	{ .name = "kaslr-seed", .kind = OPTION_PARSED, .parse = parse_kaslr_seed, .argument = "N",
	  .help = "Seed of the kernel's load address (random)" },
	{ .name = "dump-dtb", .kind = OPTION_FILE, .argument = "FILE", .offset = CONFIG(dump_fdt),
	  .help = "Write the guest's device tree to FILE" },
	{ .name = "loglevel", .kind = OPTION_CHOICE, .argument = "error|warning|info|debug",
	  .choices = "error|warning|info|debug", .offset = offsetof(struct run_options, log_level),
	  .help = "Level of messages on standard error (warning)" },
	{ .name = "paused", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, paused),
	  .help = "Start the VM paused; lkvm resume resumes it" },
	{ .name = "no-reboot", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, no_reboot),
	  .help = "End with status 5 when the guest resets" },
	{ .name = "detach", .kind = OPTION_FLAG, .offset = offsetof(struct run_options, detach),
	  .help = "Return once the guest runs, and keep it running" },

	/* kvmtool's options for what is always so. */
	{ .name = "debug", .kind = OPTION_PARSED, .parse = parse_debug },
	{ .name = "virtio-transport", .kind = OPTION_PARSED, .parse = parse_transport, .argument = "pci" },
	{ .name = "force-pci", .kind = OPTION_IGNORED },
	{ .name = "no-dhcp", .kind = OPTION_IGNORED },
	{ .name = "no-pvtime", .kind = OPTION_IGNORED },
	{ .name = "disable-mte", .kind = OPTION_IGNORED },
};

static const struct run_options defaults = {
	.config = {
		.irqchip = IRQCHIP_GICV3_ITS,
		.console = CONSOLE_SERIAL,
	},
	.cpus = 1,
	.log_level = LOG_LEVEL_WARNING,
};

const struct option_table run_options_table = OPTION_TABLE(entries, defaults);

/* Sets defaults late: a restore must tell them from values that were given. */
static void finish_queues(struct machine_config *config)
{
	for (unsigned i = 0; i < config->disk_count; i++)
		if (!config->disks[i].queues)
			config->disks[i].queues = 1;
	for (unsigned i = 0; i < config->network_count; i++)
		if (!config->networks[i].queues)
			config->networks[i].queues = 1;
}

int run_options_finish(struct run_options *options, const char *kernel, struct error *error)
{
	struct machine_config *config = &options->config;

	if (kernel && config->kernel)
		return error_set(error, EINVAL, "there are two kernels, %.100s and %.100s", config->kernel,
				 kernel);
	if (kernel)
		config->kernel = kernel;
	if (!config->kernel)
		return error_set(error, EINVAL, "no kernel was given; --kernel FILE names it");
	if (config->name && control_check_name(config->name, error) < 0)
		return error_context(error, "--name");

	if (config->vfio.count && config->balloon)
		return error_set(error, EINVAL, "--balloon: a device of --vfio-pci may write to any page of the guest's memory, so "
				 "no page can be given back");

	if (options->no_network && config->network_count)
		return error_set(error, EINVAL, "--network: mode=none and interfaces exclude each other");
	if (options->disks_changed == RUN_DISKS_CHANGED_ALLOW && !options->overlay_count)
		return error_set(error, EINVAL, "--disks-changed is for disks under overlays: it needs --disk-overlay");
	finish_queues(config);

	config->cpus = (unsigned)options->cpus;
	if (!config->memory) /* kvmtool's rule, which is enough to boot many vCPUs */
		config->memory = (options->cpus + 3) * (64ull << 20);
	if (config->memory < RUN_MEMORY_MINIMUM)
		return error_set(error, EINVAL, "--mem: a guest needs at least 64 MiB");
	if (config->memory % (1ull << 20))
		return error_set(error, EINVAL, "--mem: the size must be a multiple of 1 MiB");

	config->sve = !options->disable_sve;
	config->pauth = !options->disable_pauth;
	config->power_buttons = !config->no_defaults;
	config->pvpanic = !config->no_defaults && !options->disable_pvpanic;
	for (unsigned i = 0; i < config->disk_count; i++)
		config->disks[i].changed_allowed = options->disks_changed == RUN_DISKS_CHANGED_ALLOW;
	return 0;
}

void run_options_name(struct run_options *options, pid_t pid)
{
	struct machine_config *config = &options->config;

	if (!config->name) {
		snprintf(options->name, sizeof(options->name), "guest-%d", (int)pid);
		config->name = options->name;
	}
	for (unsigned i = 0; i < config->network_count; i++) {
		uint8_t *mac = config->networks[i].mac;
		uint64_t value = hash_text(HASH_TEXT_START ^ i, config->name);

		if (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5])
			continue;
		mac[0] = 0x02; /* locally administered, one interface */
		for (unsigned byte = 1; byte < 6; byte++)
			mac[byte] = (uint8_t)(value >> 8 * byte);
	}
}
