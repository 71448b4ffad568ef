/* SPDX-License-Identifier: MIT */
/* Why a machine's memory was lost, and what its guest may have done with that: a sentence. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/machine.h"

static void explain(const struct machine *machine, const struct memory_loss *loss, struct error *error)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	uint64_t offset = loss->at ? (uint64_t)(loss->at - loss->host) : SNAPSHOT_ANYWHERE;
	uint64_t address = MACHINE_RAM + offset;
	bool by_access = loss->at || loss->error.code == EFAULT;

	*error = loss->error;
	if (loss->hardware)
		error_set(error, EIO, "the host's memory failed under guest address 0x%" PRIx64, address);
	else if (by_access && snapshot && snapshot_find_lost(snapshot, offset, error))
		return;
	else if (loss->at)
		error_set(error, EFAULT, "guest memory at 0x%" PRIx64 " cannot be accessed", address);
	else if (!by_access && snapshot)
		error_context(error, "the snapshot %s", snapshot_path(snapshot, path, sizeof(path)));
}

/* Disks come first among the devices. */
static void list_written(const struct machine *machine, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < machine->config.disk_count && i < machine->virtio_count; i++) {
		const char *path = virtio_block_written(machine->virtio[i]);

		if (path && length < size)
			length += (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "", path);
	}
}

void machine_explain_loss(const struct machine *machine, const struct memory_loss *loss, struct error *error)
{
	char disks[sizeof(error->text)];

	explain(machine, loss, error);
	if (!machine->config.snapshot || !atomic_load(&machine->went_on))
		return;
	list_written(machine, disks, sizeof(disks));
	error_set(error, error->code, disks[0] ? "%s; since the restore the guest wrote to %s" :
		  "%s; since the restore the guest wrote to no disk", error->text, disks);
}
