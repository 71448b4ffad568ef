/* SPDX-License-Identifier: MIT */
/*
 * The items of --disk and of --network: each is declared once, for the parser, the help text and the messages.
 */
#ifndef LKVM_CMD_RUN_ITEMS_H
#define LKVM_CMD_RUN_ITEMS_H

#include <stdbool.h>

#include "machine/machine.h"
#include "util/err.h"

/*
 * Lists of items. F is the first item, X is each other one, with three arguments: the key, the
 * value as the help text shows it, and the function of cmd/run_items.c that parses it. The parser's tables, the help texts and
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

#endif
