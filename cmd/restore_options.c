/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lkvm/command.h"
#include "lkvm/parse.h"
#include "lkvm/run_options.h"

static int take_prefault(void *target, char *value, struct error *error)
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

/* What is set here replaces what was saved. */
#define RUN(member) offsetof(struct run_options, member)

static const struct option_entry entries[] = {
	{ .name = "name", .kind = OPTION_STRING, .argument = "NAME", .offset = RUN(config.name),
	  .help = "Name for lkvm stop and others (as it was saved)" },
	{ .name = "paused", .kind = OPTION_FLAG, .offset = RUN(paused),
	  .help = "Do not let it go on yet: lkvm resume does" },
	{ .name = "eager", .kind = OPTION_FLAG, .offset = RUN(eager),
	  .help = "Read and check all RAM before the guest goes on,\nnot while it does" },
	{ .name = "prefault", .kind = OPTION_TAKEN, .take = take_prefault, .argument = "START-END|START+SIZE|none",
	  .choices = "none",
	  .help = "Read this guest physical memory ahead of the guest; several.\n"
		  "none: not what the snapshot has as its working set" },
	{ .name = "verify", .kind = OPTION_CHOICE, .argument = "background|before|none", .choices = "background|before|none",
	  .offset = RUN(verify),
	  .help = "Check RAM while the guest runs, before it does, or not\nat all (background)" },
	{ .name = "no-verify", .kind = OPTION_FLAG, .offset = RUN(no_verify),
	  .help = "The same as --verify=none" },
	{ .name = "hugetlbfs", .kind = OPTION_TAKEN, .take = run_options_take_huge_pages, .argument = "SIZE", .optional = true,
	  .help = "RAM out of the host's pool of huge pages, of that size;\nall of it is read first" },
	{ .name = "no-reboot", .kind = OPTION_FLAG, .offset = RUN(no_reboot),
	  .help = "End with status 5 when the guest resets" },
	{ .name = "detach", .kind = OPTION_FLAG, .offset = RUN(detach),
	  .help = "Return once the guest runs, and leave it running" },
	{ .name = "disk", .letter = 'd', .kind = OPTION_TAKEN, .take = run_options_take_disk,
	  .argument = "FILE", .help = "Where the first disk is now; the second; ..." },
	{ .name = "disk-overlay", .kind = OPTION_FILE, .argument = "DIR", .offset = RUN(disk_overlay),
	  .help = "Leave the disks as they are: what the guest writes goes\nto new files there" },
	{ .name = "disks-changed", .kind = OPTION_CHOICE, .argument = "refuse|allow", .choices = "refuse|allow",
	  .offset = RUN(disks_changed), .help = "Disks that were written after the save (refuse)" },
	{ .name = "network", .letter = 'n', .kind = OPTION_TAKEN, .take = run_options_take_network,
	  .argument = "mode=tap|user[,ITEM...]", .choices = "mode=tap|mode=user",
	  .help = "What the first interface is now; the second; ..." },
	{ .name = "vfio-pci", .kind = OPTION_TAKEN, .take = run_options_take_vfio, .argument = "[DOM:]BB:DD.F|UUID",
	  .help = "Where the first passed-through device is now; the second; ..." },
	{ .name = "kernel", .letter = 'k', .kind = OPTION_FILE, .argument = "FILE", .offset = RUN(config.kernel),
	  .help = "Kernel for when the guest restarts" },
	{ .name = "initrd", .letter = 'i', .kind = OPTION_FILE, .argument = "FILE", .offset = RUN(config.initrd),
	  .help = "Initial RAM disk for the same" },
	{ .name = "loglevel", .kind = OPTION_CHOICE, .argument = "error|warning|info|debug",
	  .choices = "error|warning|info|debug", .offset = RUN(log_level),
	  .help = "Messages about the machine, on standard error (warning)" },
};

static const struct run_options defaults = { .log_level = LOG_LEVEL_WARNING };
const struct option_table snapshot_restore_options_table = OPTION_TABLE(entries, defaults);
