/* SPDX-License-Identifier: MIT */
#include "save/precopy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "save/throttle.h"

#define MOST_ROUNDS 30u
#define FEWEST_BYTES (1u << 20) /* so little never waits for another round */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t count(const struct rounds *rounds)
{
	uint64_t set = 0;

	for (uint64_t i = 0; i < rounds->chunk_count; i++)
		set += (unsigned)__builtin_popcount(rounds->pages[i]);
	return set;
}

int rounds_open(struct rounds *rounds, struct machine *machine, struct snapshot_writer *writer, struct error *error)
{
	*rounds = (struct rounds){
		.machine = machine, .writer = writer, .max_pause = rounds->max_pause, .throttle = rounds->throttle,
		.chunk_count = (machine->vm.ram.size + FORMAT_RAM_CHUNK - 1) / FORMAT_RAM_CHUNK,
	};
	rounds->pages = calloc(rounds->chunk_count, sizeof(*rounds->pages));
	if (!rounds->pages)
		return error_system(error, ENOMEM, "memory");
	if (machine_track(machine, error) < 0) {
		free(rounds->pages);
		rounds->pages = NULL;
		return -1;
	}
	/* Where account is kept since just that base, what it says is all that can be other than there. */
	rounds->knows = machine->dirty_log.is_exact && writer->base &&
			memcmp(machine->tracked_since, writer->base->header.identity, sizeof(machine->tracked_since)) == 0;
	memset(machine->tracked_since, 0, sizeof(machine->tracked_since));
	return 0;
}

void rounds_close(struct rounds *rounds)
{
	free(rounds->pages);
	rounds->pages = NULL;
}

/* Takes what was written since, on top of what is known and not yet in the file. */
static int take(struct rounds *rounds, struct error *error)
{
	return machine_take_written(rounds->machine, rounds->pages, false, error);
}

/* Copies what is known to be other than in the file, or all if that is not known. */
static int copy(struct rounds *rounds, struct error *error)
{
	const uint16_t *pages = rounds->knows ? rounds->pages : NULL;

	if (snapshot_copy(rounds->writer, pages, error) < 0)
		return -1;
	memset(rounds->pages, 0, rounds->chunk_count * sizeof(*rounds->pages));
	rounds->knows = true;
	rounds->count++;
	return 0;
}

/* One round: nanoseconds a page. What is not known is what is in the file in the end. */
static int copy_round(struct rounds *rounds, uint64_t *pace, struct error *error)
{
	uint64_t start = now(), pages = rounds->knows ? count(rounds) : 0;

	if (copy(rounds, error) < 0)
		return -1;
	vfio_precopy(rounds->machine->vfio);
	if (!pages)
		pages = snapshot_written(rounds->writer).data / FORMAT_RAM_PAGE + 1;
	*pace = (now() - start) / pages;
	return take(rounds, error);
}

/* What is left fits into the pause, or is nothing to speak of. */
static bool fits(const struct rounds *rounds, uint64_t left, uint64_t pace)
{
	return left * pace <= rounds->max_pause || left * FORMAT_RAM_PAGE <= FEWEST_BYTES;
}

int rounds_copy(struct rounds *rounds, struct error *error)
{
	uint64_t before = UINT64_MAX, pace;

	if (take(rounds, error) < 0)
		return -1;
	for (;;) {
		uint64_t left;

		if (copy_round(rounds, &pace, error) < 0)
			return -1;
		left = count(rounds);
		if (!rounds->max_pause || fits(rounds, left, pace) || rounds->count == MOST_ROUNDS)
			return 0;
		/* A guest that writes as fast as we do is slowed down, more and more, until the rounds get shorter. */
		rounds->slow += left > before / 4 * 3 && rounds->slow < THROTTLE_STEPS;
		before = left;
		if (rounds->throttle)
			atomic_store(rounds->throttle, rounds->slow);
	}
}

int rounds_finish(struct rounds *rounds, bool goes_on, struct error *error)
{
	return machine_take_written(rounds->machine, rounds->pages, !goes_on, error);
}
