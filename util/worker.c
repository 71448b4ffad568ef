/* SPDX-License-Identifier: MIT */
/* A device's worker thread: waits for kicks, runs the device's work, and parks. */
#include "util/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/signals.h"
#include "util/thread.h"

int worker_open(struct worker *worker, struct error *error)
{
	worker->watch_fd = -1;
	atomic_init(&worker->watching, false);
	worker->pausing = false;
	worker->paused = false;
	worker->stopping = false;
	worker->started = false;
	atomic_init(&worker->wanted, false);

	/* In blocking mode: without a watched descriptor, the thread waits in one read(2) of it. */
	worker->kick_fd = eventfd(0, EFD_CLOEXEC);
	if (worker->kick_fd < 0)
		return error_system(error, errno, "eventfd");
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	return 0;
}

static void take_kicks(struct worker *worker)
{
	uint64_t count;

	while (read(worker->kick_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void wait_for_work(struct worker *worker)
{
	struct pollfd fds[] = {
		{ .fd = worker->kick_fd, .events = POLLIN },
		{ .fd = worker->watch_fd, .events = POLLIN },
	};

	if (atomic_load_explicit(&worker->watching, memory_order_relaxed)) {
		while (poll(fds, 2, -1) < 0 && errno == EINTR)
			;
		if (!(fds[0].revents & POLLIN))
			return;
	}
	take_kicks(worker);
}

/* Waits as long as the worker is paused. Returns false if the thread must end. */
static bool park(struct worker *worker)
{
	bool stopping;

	pthread_mutex_lock(&worker->lock);
	while (worker->pausing && !worker->stopping) {
		worker->paused = true;
		pthread_cond_broadcast(&worker->changed);
		pthread_cond_wait(&worker->changed, &worker->lock);
	}
	worker->paused = false;
	stopping = worker->stopping;
	pthread_mutex_unlock(&worker->lock);
	return !stopping;
}

/*
 * worker_pause() and worker_close() set `wanted` first and kick second. So this thread either reads `wanted` before the next
 * `work`, or the kick ends the wait after that. The thread takes no lock between two kicks.
 */
static void *worker_run(void *argument)
{
	struct worker *worker = argument;

	for (;;) {
		if (worker_is_wanted(worker) && !park(worker))
			return NULL;
		worker->work(worker->owner);
		wait_for_work(worker);
	}
}

int worker_start(struct worker *worker, const char *name, bool paused, struct error *error)
{
	sigset_t all, before;
	int result;

	worker->pausing = paused;
	atomic_store(&worker->wanted, paused);

	signals_blockable(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = thread_create(&worker->thread, worker_run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result)
		return error_start(error, result, "cannot start thread %s", name);
	worker->started = true;
	pthread_setname_np(worker->thread, name);
	return 0;
}

void worker_kick(struct worker *worker)
{
	const uint64_t one = 1;

	/* The write cannot fail before 2^64 - 2 kicks are pending. */
	while (write(worker->kick_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void worker_watch(struct worker *worker, bool on)
{
	atomic_store_explicit(&worker->watching, on && worker->watch_fd >= 0, memory_order_relaxed);
}

void worker_pause(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->pausing = true;
	atomic_store(&worker->wanted, true);
	if (worker->started && !worker->paused)
		worker_kick(worker);
	while (worker->started && !worker->paused)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

void worker_resume(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->pausing = false;
	atomic_store(&worker->wanted, worker->stopping);
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

void worker_close(struct worker *worker)
{
	if (worker->kick_fd < 0)
		return;
	if (worker->started) {
		pthread_mutex_lock(&worker->lock);
		worker->stopping = true;
		atomic_store(&worker->wanted, true);
		pthread_cond_broadcast(&worker->changed);
		pthread_mutex_unlock(&worker->lock);
		worker_kick(worker);
		pthread_join(worker->thread, NULL);
		worker->started = false;
	}
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	close(worker->kick_fd);
	worker->kick_fd = -1;
}
