/* SPDX-License-Identifier: MIT */
/* The host's files that a machine uses. lkvm must not replace any of them. Opens those of the kernel and the initrd. */
#include <errno.h>
#include <sys/stat.h>

#include "components.h"
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

/* Opens the files of the kernel and the initrd. A restored machine does not need them until its next reset. */
static int component_files_open(struct machine *machine, struct error *error)
{
	const struct machine_config *config = &machine->config;

	if (machine_check_dump(machine, error) < 0)
		return -1;
	if (boot_open(&machine->boot, config->kernel, config->initrd, error) == 0) {
		if (machine->boot.flat && !config->snapshot)
			log_message(config->log, LOG_LEVEL_WARNING, "kernel %s has no header of an arm64 Image: it is run as a "
				    "flat program", config->kernel);
		return 0;
	}
	if (!config->snapshot || error->code == EMFILE || error->code == ENFILE || error->code == ENOMEM)
		return -1;
	/* A restored guest needs the files only at its next reset, and they may exist again by then. */
	log_message(config->log, LOG_LEVEL_WARNING, "%s; the guest runs, but cannot restart without it: --kernel and --initrd "
		    "name other files", error->text);
	boot_defer(&machine->boot, config->kernel, config->initrd);
	return 0;
}

static void component_files_close(struct machine *machine)
{
	boot_close(&machine->boot);
}

const struct component component_files = { .open = component_files_open, .close = component_files_close };
