/* SPDX-License-Identifier: MIT */
/* The options of lkvm snapshot restore. */
#include <errno.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/run_options.h"
#include "util/parse.h"

static int parse_prefault(void *target, char *value, struct error *error)
{
	struct run_options *options = target;
	struct machine_config *config = &options->config;
	struct prefault_range *range = &config->prefault[config->prefault_count];

	if (!strcmp(value, "none")) {
		options->no_working_set = true;
		return 0;
	}
	if (config->prefault_count == MACHINE_MAX_PREFAULT)
		return error_set(error, E2BIG, "there are more than %u", MACHINE_MAX_PREFAULT);
	config->prefault_count++;
	return parse_range(value, &range->from, &range->end, error);
}

/* Options that are given replace the saved configuration. */
#define RUN(member) offsetof(struct run_options, member)

static const struct option_entry entries[] = {
	{ .name = "name", .kind = OPTION_STRING, .argument = "NAME", .offset = RUN(config.name),
	  .help = "Name of the VM (the saved name)" },
	{ .name = "paused", .kind = OPTION_FLAG, .offset = RUN(paused),
	  .help = "Leave the VM paused; lkvm resume resumes it" },
	{ .name = "eager", .kind = OPTION_FLAG, .offset = RUN(eager),
	  .help = "Load and verify all RAM before the guest resumes,\nnot while it runs" },
	{ .name = "prefault", .kind = OPTION_PARSED, .parse = parse_prefault, .argument = "START-END|START+SIZE|none",
	  .choices = "none",
	  .help = "Load this guest physical memory ahead of the guest; repeatable.\n"
		  "none: do not load the snapshot's working set ahead" },
	{ .name = "verify", .kind = OPTION_CHOICE, .argument = "background|before|none", .choices = "background|before|none",
	  .offset = RUN(verify),
	  .help = "Verify RAM while the guest runs, before it runs, or not\nat all (background)" },
	{ .name = "no-verify", .kind = OPTION_FLAG, .offset = RUN(no_verify),
	  .help = "The same as --verify=none" },
	{ .name = "hugetlbfs", .kind = OPTION_PARSED, .parse = run_options_parse_huge_pages, .argument = "SIZE|DIR", .optional = true,
	  .is_value = run_options_is_folder,
	  .help = "Use the host's pool of huge pages of this size for RAM;\nall of it is loaded first" },
	{ .name = "no-reboot", .kind = OPTION_FLAG, .offset = RUN(no_reboot),
	  .help = "End with status 5 when the guest resets" },
	{ .name = "detach", .kind = OPTION_FLAG, .offset = RUN(detach),
	  .help = "Return once the guest runs, and keep it running" },
	{ .name = "disk", .letter = 'd', .kind = OPTION_PARSED, .parse = run_options_parse_disk,
	  .argument = "FILE", .help = "New path of the first disk; of the second; ..." },
	{ .name = "disk-overlay", .kind = OPTION_PARSED, .parse = run_options_parse_overlays, .argument = "DIR",
	  .help = "Do not change the disks: the guest writes to new overlays\nin this folder" },
	{ .name = "disks-changed", .kind = OPTION_CHOICE, .argument = "refuse|allow", .choices = "refuse|allow",
	  .offset = RUN(disks_changed), .help = "What to do if disks were written after the save (refuse)" },
	{ .name = "network", .letter = 'n', .kind = OPTION_PARSED, .parse = run_options_parse_network,
	  .argument = "mode=tap|user[,ITEM...]", .choices = "mode=tap|mode=user",
	  .help = "New backend of the first interface; of the second; ..." },
	{ .name = "vfio-pci", .kind = OPTION_PARSED, .parse = run_options_parse_vfio, .argument = "[DOM:]BB:DD.F|UUID",
	  .help = "New address of the first passed-through device; of the second; ..." },
	{ .name = "kernel", .letter = 'k', .kind = OPTION_FILE, .argument = "FILE", .offset = RUN(config.kernel),
	  .help = "Kernel that the guest restarts with" },
	{ .name = "initrd", .letter = 'i', .kind = OPTION_FILE, .argument = "FILE", .offset = RUN(config.initrd),
	  .help = "Initial RAM disk that it restarts with" },
	{ .name = "loglevel", .kind = OPTION_CHOICE, .argument = "error|warning|info|debug",
	  .choices = "error|warning|info|debug", .offset = RUN(log_level),
	  .help = "Level of messages on standard error (warning)" },
};

static const struct run_options defaults = { .log_level = LOG_LEVEL_WARNING, .disks_changed = RUN_DISKS_CHANGED_OPEN };
const struct option_table snapshot_restore_options_table = OPTION_TABLE(entries, defaults);

/* Replaces a disk. What the guest sees of it cannot change: refuses an item that differs from the saved one. */
static int replace_disk(struct virtio_block_config *disk, const struct virtio_block_config *given, struct error *error)
{
	if (given->read_only && !disk->read_only)
		return error_set(error, EINVAL, "--disk %s,ro: the guest was saved with a writable disk; --disk-overlay leaves the "
				 "file unchanged", given->path);
	if (given->queues && given->queues != disk->queues)
		return error_set(error, EINVAL, "--disk %s,queues=%u: the guest was saved with queues=%u, which cannot change",
						given->path,
				 given->queues, disk->queues);
	if (given->serial && (!disk->serial || strncmp(given->serial, disk->serial, VIRTIO_BLOCK_SERIAL)))
		return error_set(error, EINVAL, "--disk %s,serial=%s: the guest was saved with the serial number %s, which cannot "
						"change",
				 given->path, given->serial, disk->serial ? disk->serial : "of its old path");
	disk->path = given->path;
	disk->chosen = true;
	return 0;
}

static int replace_network(struct virtio_net_config *network, const struct virtio_net_config *given, struct error *error)
{
	struct virtio_net_config saved = *network;

	if (given->queues && given->queues != saved.queues)
		return error_set(error, EINVAL, "--network: queues=%u: the guest was saved with queues=%u, which cannot change",
				 given->queues, saved.queues);
	if (given->mode == NET_USER && saved.queues > 1)
		return error_set(error, EINVAL, "--network: the guest was saved with queues=%u, which mode=user does not have",
				 saved.queues);
	*network = *given;
	memcpy(network->mac, saved.mac, sizeof(saved.mac));
	memcpy(network->new_mac, given->mac, sizeof(saved.mac));
	network->queues = saved.queues;
	return 0;
}

/* --prefault has no effect if all of RAM is loaded first. */
static int check_options(const struct run_options *options, struct error *error)
{
	if (options->no_network)
		return error_set(error, EINVAL, "--network: mode=none: the guest keeps the interfaces that it was saved with");
	if (options->config.prefault_count && (options->eager || options->config.huge_page))
		return error_set(error, EINVAL, "--prefault: %s reads all memory before the guest resumes",
				 options->eager ? "--eager" : "--hugetlbfs");
	return 0;
}

/* Replaces the host's side of disks, interfaces and devices. The guest's side cannot change. */
int run_options_replace(struct machine_config *config, const struct run_options *options, struct error *error)
{
	const struct machine_config *given = &options->config;

	if (check_options(options, error) < 0)
		return -1;
	if (given->disk_count > config->disk_count)
		return error_set(error, EINVAL, "--disk: the snapshot has %u disks, not %u", config->disk_count,
				 given->disk_count);
	if (given->network_count > config->network_count)
		return error_set(error, EINVAL, "--network: the snapshot has %u interfaces, not %u", config->network_count,
				 given->network_count);
	if (given->vfio.count > config->vfio.count)
		return error_set(error, EINVAL, "--vfio-pci: the snapshot has %u devices, not %u", config->vfio.count,
				 given->vfio.count);
	memcpy(config->vfio.devices, given->vfio.devices, given->vfio.count * sizeof(given->vfio.devices[0]));
	/* Passed-through devices must be able to access all of RAM from the beginning. */
	config->eager |= config->vfio.count > 0;
	if (config->vfio.count && given->prefault_count)
		return error_set(error, EINVAL, "--prefault: all memory is read before a guest with passed-through devices "
						"resumes");
	for (unsigned i = 0; i < given->disk_count; i++)
		if (replace_disk(&config->disks[i], &given->disks[i], error) < 0)
			return -1;
	for (unsigned i = 0; i < given->network_count; i++)
		if (replace_network(&config->networks[i], &given->networks[i], error) < 0)
			return -1;
	return 0;
}
