/* SPDX-License-Identifier: MIT */
/* The host's files that a machine uses. lkvm must not replace any of them. */
#include <errno.h>
#include <sys/stat.h>

#include "machine/machine.h"
#include "snapshot/snapshot.h"

struct replaced {
	uint64_t device, inode;
};

static bool is_at(const struct replaced *replaced, const char *path)
{
	struct stat status;

	return path && stat(path, &status) == 0 && status.st_dev == replaced->device && status.st_ino == replaced->inode;
}

static bool is_of_disk(const struct replaced *replaced, const struct virtio_block_config *disk)
{
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER; i++)
		if (is_at(replaced, disk->lower[i]))
			return true;
	return is_at(replaced, disk->path) || is_at(replaced, disk->overlay);
}

/* How the machine uses the file; NULL if it does not. */
static const char *use_of(const struct machine_config *config, const struct replaced *replaced)
{
	if (snapshot_chain_has(config->snapshot, replaced->device, replaced->inode))
		return "the snapshot that the guest was restored from, or one that it is based on";
	for (unsigned i = 0; i < config->disk_count; i++)
		if (is_of_disk(replaced, &config->disks[i]))
			return "a disk of the guest";
	if (is_at(replaced, config->kernel) || is_at(replaced, config->initrd))
		return "the guest's kernel or initial RAM disk";
	return NULL;
}

int machine_check_replaced(const struct machine *machine, uint64_t device, uint64_t inode, struct error *error)
{
	const struct replaced replaced = { .device = device, .inode = inode };
	const char *use = use_of(&machine->config, &replaced);

	return use ? error_set(error, EBUSY, "the file to be replaced is %s: save to another file", use) : 0;
}

int machine_check_dump(const struct machine *machine, struct error *error)
{
	const char *path = machine->config.dump_fdt, *use;
	struct replaced replaced;
	struct stat status;

	if (!path || stat(path, &status) < 0)
		return 0;
	replaced = (struct replaced){ .device = status.st_dev, .inode = status.st_ino };
	use = use_of(&machine->config, &replaced);
	return use ? error_set(error, EBUSY, "--dump-dtb %s: the file is %s: write to another file", path, use) : 0;
}
