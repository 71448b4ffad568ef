/* SPDX-License-Identifier: MIT */
/* Precopy: copies RAM in rounds while the guest runs, until the rest fits into the pause. */
#include "save/precopy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "save/throttle.h"
#include "util/clock.h"

#define MOST_ROUNDS 30u
#define FEWEST_BYTES (1u << 20) /* a rest this small never gets another round */

static uint64_t count(const struct precopy *precopy)
{
	uint64_t set = 0;

	for (uint64_t i = 0; i < precopy->chunk_count; i++)
		set += (unsigned)__builtin_popcount(precopy->dirty[i]);
	return set;
}

int precopy_open(struct precopy *precopy, struct machine *machine, struct snapshot_writer *writer, struct error *error)
{
	*precopy = (struct precopy){
		.machine = machine, .writer = writer, .max_pause = precopy->max_pause, .throttle = precopy->throttle,
		.chunk_count = (machine->vm.ram.size + FORMAT_RAM_CHUNK - 1) / FORMAT_RAM_CHUNK,
	};
	precopy->dirty = calloc(precopy->chunk_count, sizeof(*precopy->dirty));
	if (!precopy->dirty)
		return error_system(error, ENOMEM, "memory");
	if (machine_track(machine, error) < 0) {
		free(precopy->dirty);
		precopy->dirty = NULL;
		return -1;
	}
	/* If writes have been tracked since exactly this base, the log has all pages that differ from it. */
	precopy->has_map = machine->dirty_log.is_exact && writer->base &&
			memcmp(machine->tracked_since, writer->base->header.identity, sizeof(machine->tracked_since)) == 0;
	memset(machine->tracked_since, 0, sizeof(machine->tracked_since));
	return 0;
}

void precopy_close(struct precopy *precopy)
{
	free(precopy->dirty);
	precopy->dirty = NULL;
}

/* Adds the pages written since the last fetch to those that are not yet in the file. */
static int take(struct precopy *precopy, struct error *error)
{
	return machine_fetch_dirty(precopy->machine, precopy->dirty, false, error);
}

/* Copies the pages that differ from the file, or all of RAM if they are not known. */
static int copy(struct precopy *precopy, struct error *error)
{
	const uint16_t *pages = precopy->has_map ? precopy->dirty : NULL;

	if (snapshot_copy(precopy->writer, pages, error) < 0)
		return -1;
	memset(precopy->dirty, 0, precopy->chunk_count * sizeof(*precopy->dirty));
	precopy->has_map = true;
	precopy->rounds++;
	return 0;
}

/* Copies one round and measures nanoseconds a page. Without a map, counts the pages that the file has. */
static int copy_round(struct precopy *precopy, uint64_t *pace, struct error *error)
{
	uint64_t start = monotonic_ns(), pages = precopy->has_map ? count(precopy) : 0;

	if (copy(precopy, error) < 0)
		return -1;
	vfio_precopy(precopy->machine->vfio);
	if (!pages)
		pages = snapshot_written(precopy->writer).data / FORMAT_RAM_PAGE + 1;
	*pace = (monotonic_ns() - start) / pages;
	return take(precopy, error);
}

/* Returns whether the rest fits into the pause or is negligible. */
static bool fits(const struct precopy *precopy, uint64_t left, uint64_t pace)
{
	return left * pace <= precopy->max_pause || left * FORMAT_RAM_PAGE <= FEWEST_BYTES;
}

int precopy_copy(struct precopy *precopy, struct error *error)
{
	uint64_t before = UINT64_MAX, pace;

	if (take(precopy, error) < 0)
		return -1;
	for (;;) {
		uint64_t left;

		if (copy_round(precopy, &pace, error) < 0)
			return -1;
		left = count(precopy);
		if (!precopy->max_pause || fits(precopy, left, pace) || precopy->rounds == MOST_ROUNDS)
			return 0;
		/* A guest that writes as fast as the rounds copy is throttled more and more, until the rounds get shorter. */
		precopy->throttle_step += left > before / 4 * 3 && precopy->throttle_step < THROTTLE_STEPS;
		before = left;
		if (precopy->throttle)
			atomic_store(precopy->throttle, precopy->throttle_step);
	}
}

int precopy_finish(struct precopy *precopy, bool goes_on, struct error *error)
{
	return machine_fetch_dirty(precopy->machine, precopy->dirty, !goes_on, error);
}
