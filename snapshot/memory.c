/* SPDX-License-Identifier: MIT */
/* RAM in the file, for who looks at it here and there. */
#include "image.h"
#include "snapshot/snapshot.h"

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct snapshot *snapshot = owner;

	return snapshot_read_ram(snapshot, address - snapshot->ram_base, to, size, error);
}

struct guest_memory snapshot_memory(const struct snapshot *snapshot)
{
	return (struct guest_memory){
		.base = snapshot->ram_base,
		.size = snapshot->ram_size,
		.read = read_ram,
		.owner = (void *)(uintptr_t)snapshot,
	};
}

uint32_t snapshot_zero_checksum(void)
{
	return image_zero_checksum(FORMAT_RAM_CHUNK);
}
