/* SPDX-License-Identifier: MIT */
/*
 * The options of `lkvm run` and their checks. They open no files, so tests can check all messages anywhere.
 */
#ifndef LKVM_CMD_RUN_OPTIONS_H
#define LKVM_CMD_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/run_items.h"
#include "machine/machine.h"
#include "util/err.h"
#include "util/log.h"
#include "util/options.h"

#define RUN_MEMORY_MINIMUM (64ull << 20)

struct run_options {
	struct machine_config config;
	uint64_t cpus;
	enum log_level log_level;
	bool disable_sve, disable_pauth, disable_pvpanic;
	bool paused, detach, no_reboot;
	bool no_network; /* --network mode=none */
	unsigned overlay_count;
	const char *overlays[VIRTIO_BLOCK_LOWER + 1]; /* folders, the lowest overlay's first */
	enum run_disks_changed { RUN_DISKS_CHANGED_REFUSE, RUN_DISKS_CHANGED_ALLOW, RUN_DISKS_CHANGED_OPEN } disks_changed;
	bool eager, no_verify, no_working_set; /* of a restore */
	enum run_verify { RUN_VERIFY_BACKGROUND, RUN_VERIFY_BEFORE, RUN_VERIFY_NONE } verify; /* the same */
	char name[32]; /* the name of a machine without --name */
};

/*
 * Checks combinations of options and completes the configuration. Call it after the options are parsed. `kernel` is the operand
 * or NULL. Strings stay in argv. The caller sets config.log.
 */
int run_options_finish(struct run_options *options, const char *kernel, struct error *error);

/*
 * Names the machine "guest-PID" unless it has a name. Gives each network interface without a MAC address one that depends on the
 * name.
 */
void run_options_name(struct run_options *options, pid_t pid);

/* Parse one --disk or --network. A number of queues that is not given is 0. */
int run_options_parse_disk(void *options, char *value, struct error *error);
int run_options_parse_network(void *options, char *value, struct error *error);

/* Parses one --disk-overlay: a folder. */
int run_options_parse_overlays(void *options, char *value, struct error *error);

/*
 * Replaces saved disks, interfaces and devices by those that were given to the restore. Refuses an item that would change what
 * the guest sees of them, and options that have no effect together.
 */
int run_options_replace(struct machine_config *saved, const struct run_options *given, struct error *error);

/* Parses one --vfio-pci: a device. */
int run_options_parse_vfio(void *options, char *value, struct error *error);

/* Parses --hugetlbfs: a size, or the folder of a mounted hugetlbfs, which may be the next word. */
bool run_options_is_folder(const char *word);
int run_options_parse_huge_pages(void *options, char *value, struct error *error);

#endif
