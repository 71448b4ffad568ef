/* SPDX-License-Identifier: MIT */
/* Divides RAM into pieces, and works on them on every processor at once. */
#include "parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/thread.h"

#define MAX_THREADS 64

struct crew {
	const struct pieces *pieces;
	_Atomic uint64_t next; /* the next piece to work on: offset in RAM */
	_Atomic uint64_t done; /* bytes */
	atomic_bool stop;
	pthread_mutex_t lock;
	int result;            /* -1: a thread failed, and `error` is the first failure */
	struct error error;
};

static void fail(struct crew *crew, const struct error *error)
{
	pthread_mutex_lock(&crew->lock);
	if (crew->result == 0)
		crew->error = *error;
	crew->result = -1;
	pthread_mutex_unlock(&crew->lock);
	atomic_store(&crew->stop, true);
}

/* Works on pieces until none is left. `progress` is NULL for all threads but the caller's. */
static void work(struct crew *crew, const struct snapshot_progress *progress)
{
	const struct pieces *pieces = crew->pieces;
	uint8_t *room = malloc(pieces->room);
	struct error error;

	if (!room) {
		error_system(&error, ENOMEM, "memory");
		fail(crew, &error);
	}
	while (!atomic_load(&crew->stop)) {
		uint64_t at = atomic_fetch_add(&crew->next, PIECE);
		uint64_t end = pieces->total - at < PIECE ? pieces->total : at + PIECE;

		if (at >= pieces->total)
			break;
		if (progress && !progress->step(progress->owner, atomic_load(&crew->done), pieces->total)) {
			error_set(&error, ECANCELED, "it was called off");
			fail(crew, &error);
		} else if (pieces->work(pieces->owner, at, end, room, &error) < 0) {
			fail(crew, &error);
		}
		atomic_fetch_add(&crew->done, end - at);
	}
	free(room);
}

static void *run(void *argument)
{
	work(argument, NULL);
	return NULL;
}

/*
 * Runs one thread per processor, but no more than there are pieces. The calling thread is one of them. If a thread cannot be
 * created, fewer threads do the work.
 */
static void run_all(struct crew *crew)
{
	const struct snapshot_progress *progress = crew->pieces->progress;
	uint64_t count_of_pieces = (crew->pieces->total + PIECE - 1) / PIECE;
	long wanted = crew->pieces->in_order ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_THREADS];
	unsigned count = 0;
	struct error error;

	/* The other threads may be done before this one gets a piece. So check for cancellation before they start. */
	if (progress && !progress->step(progress->owner, 0, crew->pieces->total)) {
		error_set(&error, ECANCELED, "it was called off");
		fail(crew, &error);
		return;
	}
	while (count + 1 < MAX_THREADS && (long)count + 1 < wanted && count + 1 < count_of_pieces &&
	       thread_create(&threads[count], run, crew) == 0)
		count++;
	work(crew, progress);
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

int pieces_work(const struct pieces *pieces, struct error *error)
{
	struct crew crew = { .pieces = pieces };

	pthread_mutex_init(&crew.lock, NULL);
	run_all(&crew);
	pthread_mutex_destroy(&crew.lock);
	if (crew.result < 0)
		*error = crew.error;
	return crew.result;
}
