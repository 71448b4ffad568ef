/* SPDX-License-Identifier: MIT */
/* Reads ranges of guest memory ahead, in a thread. */
#include "memory/prefault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/thread.h"

#define STEP (1u << 20) /* bytes between two checks for cancellation */

/* Errors are ignored: a later access to the same page fails, and reports the error. */
static void prefault_touch_range(struct prefault *prefault, const struct prefault_range *range)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t at = (range->from - prefault->ram.base) & -page, end = (range->end - prefault->ram.base + page - 1) & -page;

	for (; at < end && !atomic_load(&prefault->cancelled); at += STEP)
		madvise(prefault->ram.host + at, MIN(end - at, STEP), MADV_POPULATE_READ);
}

/*
 * Reads the range step by step. With MADV_WILLNEED the disk would read all of it before the pages that the guest waits for.
 */
static void prefault_read_range(struct prefault *prefault, const struct prefault_range *range)
{
	const struct guest_memory *file = &prefault->file;
	struct error error;

	for (uint64_t at = range->from; at < range->end && !atomic_load(&prefault->cancelled); at += STEP)
		file->read(file->owner, at, prefault->bytes, MIN(range->end - at, STEP), &error);
}

static void *prefault_run(void *argument)
{
	struct prefault *prefault = argument;

	thread_lowest_priority();
	for (size_t i = 0; i < prefault->count; i++)
		(i < prefault->touched ? prefault_touch_range : prefault_read_range)(prefault, &prefault->ranges[i]);
	return NULL;
}

int prefault_open(struct prefault *prefault, const struct ram *ram, const struct prefault_range *ranges, size_t count,
		  size_t touched, const struct guest_memory *file, struct error *error)
{
	int result;

	for (size_t i = 0; i < count; i++)
		if (ranges[i].from >= ranges[i].end || !ram_at(ram, ranges[i].from, ranges[i].end - ranges[i].from))
			return error_set(error, EINVAL, "0x%" PRIx64 "-0x%" PRIx64 " is not in RAM, which is 0x%" PRIx64 "-0x%" PRIx64,
					 ranges[i].from, ranges[i].end, ram->base, ram->base + ram->size);
	*prefault = (struct prefault){ .ram = *ram, .ranges = ranges, .count = count, .touched = touched };
	if (touched < count) {
		prefault->file = *file;
		prefault->bytes = malloc(STEP);
		if (!prefault->bytes)
			return error_system(error, ENOMEM, "memory");
	}
	result = thread_create(&prefault->thread, prefault_run, prefault);
	if (result) {
		free(prefault->bytes);
		return error_start(error, result, "a thread to read RAM ahead");
	}
	prefault->is_open = true;
	return 0;
}

void prefault_close(struct prefault *prefault)
{
	if (!prefault->is_open)
		return;
	atomic_store(&prefault->cancelled, true);
	pthread_join(prefault->thread, NULL);
	free(prefault->bytes);
	prefault->is_open = false;
}
