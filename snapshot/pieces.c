/* SPDX-License-Identifier: MIT */
#include "pieces.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lkvm/thread.h"

#define MAX_THREADS 64

struct pieces {
	uint64_t total;
	int (*work)(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error);
	void *owner;
	_Atomic uint64_t next; /* the piece that nobody took yet */
	_Atomic uint64_t done; /* bytes */
	atomic_bool stop;
	pthread_mutex_t lock;
	int result;            /* -1: `error` is the first one */
	struct error error;
};

static void fail(struct pieces *pieces, const struct error *error)
{
	pthread_mutex_lock(&pieces->lock);
	if (pieces->result == 0)
		pieces->error = *error;
	pieces->result = -1;
	pthread_mutex_unlock(&pieces->lock);
	atomic_store(&pieces->stop, true);
}

/* Takes pieces as long as there are some. `progress` is NULL but for one of the threads. */
static void work(struct pieces *pieces, const struct snapshot_progress *progress)
{
	uint64_t total = pieces->total;
	uint8_t *bytes = malloc(PIECE);
	struct error error;

	if (!bytes) {
		error_system(&error, ENOMEM, "memory");
		fail(pieces, &error);
	}
	while (!atomic_load(&pieces->stop)) {
		uint64_t at = atomic_fetch_add(&pieces->next, PIECE);
		uint64_t end = total - at < PIECE ? total : at + PIECE;

		if (at >= total)
			break;
		if (progress && !progress->step(progress->owner, atomic_load(&pieces->done), total)) {
			error_set(&error, ECANCELED, "it was called off");
			fail(pieces, &error);
		} else if (pieces->work(pieces->owner, at, end, bytes, &error) < 0) {
			fail(pieces, &error);
		}
		atomic_fetch_add(&pieces->done, end - at);
	}
	free(bytes);
}

static void *run(void *argument)
{
	work(argument, NULL);
	return NULL;
}

/* As many as there are processors and pieces; the calling thread is one. Where no more can be made, fewer do it. */
static void run_all(struct pieces *pieces, const struct snapshot_progress *progress)
{
	long wanted = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t number = (pieces->total + PIECE - 1) / PIECE;
	pthread_t threads[MAX_THREADS];
	unsigned count = 0;
	struct error error;

	/* The others may be done before this thread finds a piece: who calls it off at once is heard. */
	if (progress && !progress->step(progress->owner, 0, pieces->total)) {
		error_set(&error, ECANCELED, "it was called off");
		fail(pieces, &error);
		return;
	}
	while (count + 1 < MAX_THREADS && (long)count + 1 < wanted && count + 1 < number &&
	       thread_create(&threads[count], run, pieces) == 0)
		count++;
	work(pieces, progress);
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

int pieces_work(uint64_t total, const struct snapshot_progress *progress,
		int (*each)(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error), void *owner,
		struct error *error)
{
	struct pieces pieces = { .total = total, .work = each, .owner = owner };

	pthread_mutex_init(&pieces.lock, NULL);
	run_all(&pieces, progress);
	pthread_mutex_destroy(&pieces.lock);
	if (pieces.result < 0)
		*error = pieces.error;
	return pieces.result;
}
