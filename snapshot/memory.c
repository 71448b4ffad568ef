/* SPDX-License-Identifier: MIT */
/*
 * RAM in the file, read where it is looked at. By pread: a file that is cut meanwhile, or a disk that fails, is a sentence,
 * where a mapping would be a signal.
 */
#include <errno.h>

#include "image.h"
#include "lkvm/io.h"
#include "lkvm/snapshot.h"

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct snapshot *snapshot = owner;
	ssize_t got = pread_full(snapshot->fd, to, size, (off_t)(snapshot->ram_offset + (address - snapshot->ram_base)));

	if (got < 0)
		return error_system(error, (int)-got, "reading RAM at 0x%llx", (unsigned long long)address);
	if ((size_t)got < size)
		return error_set(error, EBADMSG, "the file was cut short while it was read");
	return 0;
}

struct guest_memory snapshot_memory(struct snapshot *snapshot)
{
	return (struct guest_memory){
		.base = snapshot->ram_base,
		.size = snapshot->ram_size,
		.read = read_ram,
		.owner = snapshot,
	};
}

uint32_t snapshot_zero_checksum(void)
{
	return image_zero_checksum(FORMAT_RAM_CHUNK);
}
