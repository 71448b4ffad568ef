/* SPDX-License-Identifier: MIT */
/*
 * The options of `lkvm run` and their checks. They open no files, so tests can check all messages anywhere.
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
 * The items of --disk and of --network, as lists. F is the first item, X is each other one, with three arguments: the key, the
 * value as the help text shows it, and the function of cmd/run_devices.c that parses it. The parser's tables, the help texts and
 * the messages are made of these lists. The items mode and passt-options of --network are parsed apart.
 */
#define RUN_DISK_ITEMS(F, X) \
	F("ro", "", parse_read_only) \
	X("queues", "=N", parse_disk_queues) \
	X("serial", "=TEXT", parse_serial) \
	X("format", "=raw", parse_format)
#define RUN_TAP_ITEMS(F, X) \
	F("tapif", "=NAME", parse_tap) \
	X("script", "=FILE", parse_script) \
	X("fd", "=N", parse_fd) \
	X("vhost", "=on|off|required", parse_vhost)
#define RUN_USER_ITEMS(F, X) F("passt", "=FILE", parse_passt)
#define RUN_NETWORK_ITEMS(F, X) \
	F("mac", "=MAC", parse_net_mac) \
	X("queues", "=N", parse_net_queues)

#define RUN_NETWORK_MODES "mode=tap|user|none"
#define RUN_PASST_OPTIONS "passt-options=TEXT"

/* "ro, queues=N", or in an argument "[,ro][,queues=N]". */
#define RUN_ITEM_FIRST(key, value, function) key value
#define RUN_ITEM_NEXT(key, value, function) ", " key value
#define RUN_ITEM_IN_BRACKETS(key, value, function) "[," key value "]"

/* As tables; the last item has no key. */
extern const struct run_disk_item {
	const char *key;
	bool has_value;
	int (*parse)(struct virtio_block_config *disk, const char *value, struct error *error);
} run_disk_items[];
extern const struct run_network_item {
	const char *key;
	int (*parse)(struct virtio_net_config *net, const char *value, struct error *error);
} run_network_items[];

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
