/* SPDX-License-Identifier: MIT */
/* Describes why guest memory was lost, and which disks the guest wrote since the restore. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "machine/machine.h"

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
}

#define WROTE "; since the restore the guest wrote to "
#define MORE 32 /* bytes for " and N more" */

/* Disks are the first devices. Lists as many as fit, and the number of the others. */
static void list_written(const struct machine *machine, char *text, size_t size)
{
	size_t length = 0;
	unsigned more = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < machine->config.disk_count && i < machine->virtio_count; i++) {
		const char *path = virtio_block_written(machine->virtio[i]);

		if (!path)
			continue;
		if (more || length + strlen(path) + 2 + MORE > size)
			more++;
		else
			length += (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "", path);
	}
	if (more)
		snprintf(text + length, size - length, length ? " and %u more" : "%u disks", more);
}

void machine_explain_loss(const struct machine *machine, const struct memory_loss *loss, struct error *error)
{
	char disks[sizeof(error->text)];
	size_t used;

	explain(machine, loss, error);
	if (!machine->config.snapshot || !atomic_load(&machine->was_resumed))
		return;
	used = strlen(error->text) + strlen(WROTE);
	list_written(machine, disks, used + MORE < sizeof(disks) ? sizeof(disks) - used : MORE);
	error_set(error, error->code, "%s" WROTE "%s", error->text, disks[0] ? disks : "no disk");
}
