/* SPDX-License-Identifier: MIT */
/* Divides RAM into slices, and works on them on every processor at once. */
#include "parallel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/thread.h"

#define MAX_THREADS 64

struct pool {
	const struct parallel_job *job;
	_Atomic uint64_t next; /* the next slice to work on: offset in RAM */
	_Atomic uint64_t done; /* bytes */
	atomic_bool stop;
	pthread_mutex_t lock;
	int result;            /* -1: a thread failed, and `error` is the first failure */
	struct error error;
};

static void pool_fail(struct pool *pool, const struct error *error)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->result == 0)
		pool->error = *error;
	pool->result = -1;
	pthread_mutex_unlock(&pool->lock);
	atomic_store(&pool->stop, true);
}

/* Works on slices until none is left. `progress` is NULL for all threads but the caller's. */
static void work_on_slices(struct pool *pool, const struct snapshot_progress *progress)
{
	const struct parallel_job *job = pool->job;
	uint8_t *buffer = malloc(job->buffer_size);
	struct error error;

	if (!buffer) {
		error_system(&error, ENOMEM, "memory");
		pool_fail(pool, &error);
	}
	while (!atomic_load(&pool->stop)) {
		uint64_t at = atomic_fetch_add(&pool->next, PARALLEL_SLICE);
		uint64_t end = job->total - at < PARALLEL_SLICE ? job->total : at + PARALLEL_SLICE;

		if (at >= job->total)
			break;
		if (progress && !progress->step(progress->owner, atomic_load(&pool->done), job->total)) {
			error_set(&error, ECANCELED, "it was cancelled");
			pool_fail(pool, &error);
		} else if (job->work(job->owner, at, end, buffer, &error) < 0) {
			pool_fail(pool, &error);
		}
		atomic_fetch_add(&pool->done, end - at);
	}
	free(buffer);
}

static void *parallel_thread(void *argument)
{
	work_on_slices(argument, NULL);
	return NULL;
}

/*
 * Runs one thread per processor, but no more than there are slices. The calling thread is one of them. If a thread cannot be
 * created, fewer threads do the work.
 */
static void pool_run(struct pool *pool)
{
	const struct snapshot_progress *progress = pool->job->progress;
	uint64_t slices = (pool->job->total + PARALLEL_SLICE - 1) / PARALLEL_SLICE;
	long wanted = pool->job->in_order ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_THREADS];
	unsigned count = 0;
	struct error error;

	/* The other threads may be done before this one gets a slice. So check for cancellation before they start. */
	if (progress && !progress->step(progress->owner, 0, pool->job->total)) {
		error_set(&error, ECANCELED, "it was cancelled");
		pool_fail(pool, &error);
		return;
	}
	while (count + 1 < MAX_THREADS && (long)count + 1 < wanted && count + 1 < slices &&
	       thread_create(&threads[count], parallel_thread, pool) == 0)
		count++;
	work_on_slices(pool, progress);
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

int parallel_run(const struct parallel_job *job, struct error *error)
{
	struct pool pool = { .job = job };

	pthread_mutex_init(&pool.lock, NULL);
	pool_run(&pool);
	pthread_mutex_destroy(&pool.lock);
	if (pool.result < 0)
		*error = pool.error;
	return pool.result;
}
