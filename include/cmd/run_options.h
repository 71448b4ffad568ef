/* SPDX-License-Identifier: MIT */
/*
 * What `lkvm run` was asked for. No file is opened, so that every sentence about a command line can be
 * tested anywhere.
 */
#ifndef LKVM_CMD_RUN_OPTIONS_H
#define LKVM_CMD_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/machine.h"
#include "util/err.h"
#include "util/log.h"
#include "util/options.h"

#define RUN_MEMORY_MINIMUM (64ull << 20)

struct run_options {
	struct machine_config config;
	uint64_t cpus;
	enum log_level log_level;
	bool disable_sve, disable_pauth;
	bool paused, detach, no_reboot;
	bool no_network; /* --network mode=none */
	unsigned overlay_count;
	const char *overlays[VIRTIO_BLOCK_LOWER + 1]; /* folders, the lowest overlay's first */
	enum run_disks_changed { RUN_DISKS_CHANGED_REFUSE, RUN_DISKS_CHANGED_ALLOW, RUN_DISKS_CHANGED_OPEN } disks_changed;
	bool eager, no_verify, no_working_set; /* when restoring */
	enum run_verify { RUN_VERIFY_BACKGROUND, RUN_VERIFY_BEFORE, RUN_VERIFY_NONE } verify; /* the same */
	char name[32]; /* the name of a machine that was given none */
};

/*
 * To be called once the options are parsed: checks what concerns several of them and completes the
 * configuration. `kernel` is the operand or NULL. Strings stay where they are (in argv). config.log is left
 * to the caller.
 */
int run_options_finish(struct run_options *options, const char *kernel, struct error *error);

/*
 * Gives the machine the name "guest-PID" unless it has one, and each network interface without a MAC address
 * one that follows from the name.
 */
void run_options_name(struct run_options *options, pid_t pid);

/* The options --disk and --network: an item each. Numbers of queues that are not given are 0. */
int run_options_parse_disk(void *options, char *value, struct error *error);
int run_options_parse_network(void *options, char *value, struct error *error);

/* The option --disk-overlay: a folder each. */
int run_options_parse_overlays(void *options, char *value, struct error *error);

/* The items of --disk and of --network (but mode, and passt-options, which ends the list); the last has no key. */
extern const struct run_disk_item {
	const char *key;
	bool has_value;
	int (*take)(struct virtio_block_config *disk, const char *value, struct error *error);
} run_disk_items[];
extern const struct run_network_item {
	const char *key;
	int (*take)(struct virtio_net_config *net, const char *value, struct error *error);
} run_network_items[];

/*
 * Puts the disks, interfaces and devices that a restore was given in the place of the saved ones. What the guest knows of
 * them stays: an item that would change it is refused. Refuses options that have no effect together, too.
 */
int run_options_replace(struct machine_config *saved, const struct run_options *given, struct error *error);

/* The option --vfio-pci: a device. */
int run_options_parse_vfio(void *options, char *value, struct error *error);

/* The option --hugetlbfs: a size, or the folder of a mounted hugetlbfs, which may be the next word. */
bool run_options_is_folder(const char *word);
int run_options_parse_huge_pages(void *options, char *value, struct error *error);

#endif
