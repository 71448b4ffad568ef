/* SPDX-License-Identifier: MIT */
/* The items of --disk, --network and --vfio-pci. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cmd/run_options.h"
#include "util/parse.h"

#define MAX_QUEUES 8

static int parse_queues(unsigned *queues, const char *value, struct error *error)
{
	uint64_t number;

	if (parse_number(value, 1, MAX_QUEUES, &number, error) < 0)
		return -1;
	*queues = (unsigned)number;
	return 0;
}

static int parse_read_only(struct virtio_block_config *disk, const char *value, struct error *error)
{
	(void)value;
	(void)error;
	disk->read_only = true;
	return 0;
}

static int parse_disk_queues(struct virtio_block_config *disk, const char *value, struct error *error)
{
	return parse_queues(&disk->queues, value, error);
}

static int parse_serial(struct virtio_block_config *disk, const char *value, struct error *error)
{
	(void)error;
	disk->serial = value;
	return 0;
}

static int parse_format(struct virtio_block_config *disk, const char *value, struct error *error)
{
	disk->raw = !strcmp(value, "raw");
	return disk->raw ? 0 : error_set(error, EINVAL, "\"%.100s\" is not raw: convert the image (qemu-img convert -O raw)", value);
}

#define DISK_ITEM(key, value, function) { key, sizeof(value) > 1, function },
const struct run_disk_item run_disk_items[] = {
	RUN_DISK_ITEMS(DISK_ITEM, DISK_ITEM)
	{ NULL, false, NULL },
};

static int parse_disk_item(struct virtio_block_config *disk, const char *key, const char *value, struct error *error)
{
	for (const struct run_disk_item *item = run_disk_items; item->key; item++) {
		if (strcmp(item->key, key) != 0 || item->has_value != (value != NULL))
			continue;
		if (item->parse(disk, value, error) < 0)
			return error_context(error, "%s", key);
		return 0;
	}
	return error_set(error, EINVAL, "\"%.100s\" is none of " RUN_DISK_ITEMS(RUN_ITEM_FIRST, RUN_ITEM_NEXT), key);
}

int run_options_parse_disk(void *target, char *value, struct error *error)
{
	struct machine_config *config = &((struct run_options *)target)->config;
	struct virtio_block_config disk = { .path = value };
	char *rest = strchrnul(value, ','); /* not by parse_pair(): a path may contain an equal sign */
	const char *key, *item;
	int more;

	if (*rest)
		*rest++ = '\0';
	if (!*value)
		return error_set(error, EINVAL, "no file was given");
	while ((more = parse_pair(&rest, &key, &item, error)) > 0)
		if (parse_disk_item(&disk, key, item, error) < 0)
			return -1;
	if (more < 0)
		return -1;
	if (config->disk_count == MACHINE_MAX_DISKS)
		return error_set(error, ENOSPC, "there are more than %d disks", MACHINE_MAX_DISKS);
	config->disks[config->disk_count++] = disk;
	return 0;
}

static int parse_net_mac(struct virtio_net_config *net, const char *value, struct error *error)
{
	return parse_mac(value, net->mac, error);
}

static int parse_tap(struct virtio_net_config *net, const char *value, struct error *error)
{
	/* IFNAMSIZ: the kernel would truncate the name and use another interface. */
	if (!*value || strlen(value) > 15 || strchr(value, '/'))
		return error_set(error, EINVAL, "\"%.100s\" is not the name of an interface", value);
	net->tap = value;
	return 0;
}

static int parse_script(struct virtio_net_config *net, const char *value, struct error *error)
{
	(void)error;
	net->script = strcmp(value, "none") ? value : NULL;
	return 0;
}

static int parse_vhost(struct virtio_net_config *net, const char *value, struct error *error)
{
	bool on = !strcmp(value, "on") || !strcmp(value, "1");
	bool off = !strcmp(value, "off") || !strcmp(value, "0");

	net->vhost_required = !strcmp(value, "required");
	net->vhost = on || net->vhost_required;
	if (!on && !off && !net->vhost_required)
		return error_set(error, EINVAL, "\"%.100s\" is none of on, off, required", value);
	return 0;
}

static int parse_net_queues(struct virtio_net_config *net, const char *value, struct error *error)
{
	return parse_queues(&net->queues, value, error);
}

static int parse_fd(struct virtio_net_config *net, const char *value, struct error *error)
{
	uint64_t number;

	if (parse_number(value, 3, INT_MAX, &number, error) < 0)
		return -1;
	net->tap_fd = (int)number;
	return 0;
}

static int parse_passt(struct virtio_net_config *net, const char *value, struct error *error)
{
	(void)error;
	net->passt = value;
	return 0;
}

static int parse_trans(struct virtio_net_config *net, const char *value, struct error *error)
{
	(void)net;
	if (strcmp(value, "virtio"))
		return error_set(error, EINVAL, "\"%.100s\" is not supported: only virtio", value);
	return 0;
}

#define NETWORK_ITEM(key, value, function) { key, function },
const struct run_network_item run_network_items[] = {
	RUN_TAP_ITEMS(NETWORK_ITEM, NETWORK_ITEM)
	RUN_USER_ITEMS(NETWORK_ITEM, NETWORK_ITEM)
	RUN_NETWORK_ITEMS(NETWORK_ITEM, NETWORK_ITEM)
	/* The same items by kvmtool's names. */
	{ "guest_mac", parse_net_mac },
	{ "mq", parse_net_queues },
	{ "trans", parse_trans },
	{ NULL, NULL },
};

static int parse_net_item(struct virtio_net_config *net, const char *key, const char *value,
			 struct error *error)
{
	for (const struct run_network_item *item = run_network_items; item->key; item++) {
		if (strcmp(item->key, key) != 0)
			continue;
		if (!value)
			return error_set(error, EINVAL, "%s needs a value", key);
		if (item->parse(net, value, error) < 0)
			return error_context(error, "%s", key);
		return 0;
	}
	return error_set(error, EINVAL, "\"%.100s\" is none of " RUN_NETWORK_MODES RUN_TAP_ITEMS(RUN_ITEM_NEXT, RUN_ITEM_NEXT)
			 RUN_USER_ITEMS(RUN_ITEM_NEXT, RUN_ITEM_NEXT) RUN_NETWORK_ITEMS(RUN_ITEM_NEXT, RUN_ITEM_NEXT)
			 ", " RUN_PASST_OPTIONS, key);
}

/* Parses the mode; NULL is the default. `*wanted` is false for mode none: no interface. */
static int choose_mode(struct virtio_net_config *net, const char *mode, bool *wanted, struct error *error)
{
	*wanted = true;
	if (!mode || !strcmp(mode, "tap"))
		net->mode = NET_TAP;
	else if (!strcmp(mode, "user"))
		net->mode = NET_USER;
	else if (!strcmp(mode, "none"))
		*wanted = false;
	else
		return error_set(error, EINVAL, "mode: \"%.100s\" is none of tap, user, none", mode);
	return 0;
}

/* `vhost`: the item was given. */
static int check_combination(const struct virtio_net_config *net, bool vhost, struct error *error)
{
	if (net->mode == NET_USER && (net->tap || net->script || net->tap_fd >= 0 || (vhost && net->vhost)))
		return error_set(error, EINVAL, "tapif, script, fd and vhost are for mode=tap");
	if (net->mode == NET_USER && net->queues > 1)
		return error_set(error, EINVAL, "several queues are for mode=tap");
	if (net->mode == NET_TAP && (net->passt || net->passt_options))
		return error_set(error, EINVAL, "passt and passt-options are for mode=user");
	if (net->tap && net->tap_fd >= 0)
		return error_set(error, EINVAL, "tapif and fd exclude each other");
	if (net->tap_fd >= 0 && net->queues > 1)
		return error_set(error, EINVAL, "several queues need tapif: fd gives one queue pair");
	return 0;
}

/* "passt-options=..." contains the rest of the line, with its commas. Cuts it off and returns it, or NULL. */
static const char *cut_passt_options(char *value)
{
	static const char key[] = "passt-options=";
	char *at = value;

	while (at && strncmp(at, key, sizeof(key) - 1)) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return NULL;
	if (at > value)
		at[-1] = '\0';
	else
		*value = '\0';
	return at + sizeof(key) - 1;
}

int run_options_parse_network(void *target, char *value, struct error *error)
{
	struct machine_config *config = &((struct run_options *)target)->config;
	struct virtio_net_config net = { .tap_fd = -1, .vhost = true };
	const char *key, *item, *mode = NULL;
	bool wanted, vhost = false, others = false;
	int more;

	net.passt_options = cut_passt_options(value);
	while ((more = parse_pair(&value, &key, &item, error)) > 0) {
		if (!strcmp(key, "mode") && item) {
			mode = item;
			continue;
		}
		if (parse_net_item(&net, key, item, error) < 0)
			return -1;
		vhost |= !strcmp(key, "vhost");
		others = true;
	}
	if (more < 0 || choose_mode(&net, mode, &wanted, error) < 0)
		return -1;
	if (!wanted && (others || net.passt_options))
		return error_set(error, EINVAL, "mode=none makes no interface: it excludes all other items");
	if (!wanted) {
		((struct run_options *)target)->no_network = true;
		return 0;
	}
	if (check_combination(&net, vhost, error) < 0)
		return -1;
	if (config->network_count == MACHINE_MAX_NETWORKS)
		return error_set(error, ENOSPC, "there are more than %d interfaces", MACHINE_MAX_NETWORKS);
	config->networks[config->network_count++] = net;
	return 0;
}

int run_options_parse_vfio(void *target, char *value, struct error *error)
{
	struct vfio_config *config = &((struct run_options *)target)->config.vfio;
	char address[VFIO_ADDRESS_SIZE];

	if (vfio_address(value, address, error) < 0)
		return -1;
	for (unsigned i = 0; i < config->count; i++)
		if (!strcmp(config->devices[i], address))
			return error_set(error, EINVAL, "%s is given twice", address);
	if (config->count == VFIO_MAX_DEVICES)
		return error_set(error, ENOSPC, "there are more than %d devices", VFIO_MAX_DEVICES);
	memcpy(config->devices[config->count++], address, sizeof(address));
	return 0;
}
