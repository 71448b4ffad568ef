/* SPDX-License-Identifier: MIT */
/* The texts that a machine's configuration owns, and the overlays that are added to its disks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_private.h"

const char *machine_watchdog_name(enum machine_watchdog watchdog)
{
	static const char *const names[] = {
		[MACHINE_WATCHDOG_ABSENT] = "", [MACHINE_WATCHDOG_RESET] = "reset", [MACHINE_WATCHDOG_POWER_OFF] = "poweroff",
		[MACHINE_WATCHDOG_LOG] = "none",
	};

	return names[watchdog];
}

int machine_config_own(struct machine_config *config, const char *name, char *copy, const char **text, struct error *error)
{
	if (!copy)
		return error_system(error, ENOMEM, "%s", name);
	if (config->owned_count == MACHINE_MAX_TEXTS) {
		free(copy);
		return error_set(error, EBADMSG, "%s is one text too many", name);
	}
	config->owned[config->owned_count++] = copy;
	*text = copy;
	return 0;
}

void machine_config_free(struct machine_config *config)
{
	while (config->owned_count)
		free(config->owned[--config->owned_count]);
}

bool machine_config_push_overlay(struct virtio_block_config *disk, const char *path)
{
	unsigned count = 0;

	while (disk->overlay && count < VIRTIO_BLOCK_LOWER && disk->lower[count])
		count++;
	if (count == VIRTIO_BLOCK_LOWER)
		return false;
	if (disk->overlay) {
		disk->lower[count] = disk->overlay;
		disk->lower_identities[count] = disk->overlay_identity;
	}
	disk->overlay = path;
	disk->overlay_identity = (struct disk_identity){ .known = false };
	return true;
}

static bool has_overlay(const struct virtio_block_config *disk, const char *path)
{
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER && disk->lower[i]; i++)
		if (!strcmp(disk->lower[i], path))
			return true;
	return disk->overlay && !strcmp(disk->overlay, path);
}

int machine_config_overlay(struct machine_config *config, const char *folder, struct error *error)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const char *text = "";
		char *path;

		if (config->disks[i].read_only)
			continue;
		if (asprintf(&path, "%s/" MACHINE_OVERLAY_NAME, folder, config->name, i) < 0)
			path = NULL;
		if (machine_config_own(config, "overlay", path, &text, error) < 0)
			return -1;
		/* A new overlay must not have the path of an overlay that this disk uses. */
		if (has_overlay(&config->disks[i], text))
			return error_set(error, EEXIST, "disk %u has the overlay %s already: choose another folder", i, text);
		if (!machine_config_push_overlay(&config->disks[i], text))
			return error_set(error, EMLINK, "disk %u has %u overlays already, and cannot have more", i,
					 VIRTIO_BLOCK_LOWER + 1);
	}
	return 0;
}
