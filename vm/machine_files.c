/* SPDX-License-Identifier: MIT */
/* The host's files that a machine uses: none of them may be replaced by a save of it. */
#include <errno.h>
#include <sys/stat.h>

#include "lkvm/machine.h"
#include "lkvm/snapshot.h"

struct replaced {
	uint64_t device, inode;
};

static bool is_at(const struct replaced *replaced, const char *path)
{
	struct stat status;

	return path && stat(path, &status) == 0 && status.st_dev == replaced->device && status.st_ino == replaced->inode;
}

static int refuse(struct error *error, const char *what)
{
	return error_set(error, EBUSY, "the file to be replaced is %s: save to another file", what);
}

int machine_check_replaced(const struct machine *machine, uint64_t device, uint64_t inode, struct error *error)
{
	const struct machine_config *config = &machine->config;
	const struct replaced replaced = { .device = device, .inode = inode };

	if (snapshot_chain_has(config->snapshot, device, inode))
		return refuse(error, "the snapshot that the guest was restored from, or one that it is based on");
	for (unsigned i = 0; i < config->disk_count; i++)
		if (is_at(&replaced, config->disks[i].path) || is_at(&replaced, config->disks[i].overlay))
			return refuse(error, "a disk of the guest");
	if (is_at(&replaced, config->kernel) || is_at(&replaced, config->initrd))
		return refuse(error, "the guest's kernel or initial RAM disk");
	return 0;
}
