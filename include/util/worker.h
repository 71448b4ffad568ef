/* SPDX-License-Identifier: MIT */
/*
 * A device's worker: one thread that sleeps until the device is kicked, runs the pending work, and sleeps again. While it is
 * paused it runs no code of the device, so that it neither writes guest memory nor raises an interrupt.
 */
#ifndef LKVM_UTIL_WORKER_H
#define LKVM_UTIL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/err.h"

struct worker {
	/* Set by the owner before worker_start(). */
	void (*work)(void *owner); /* does all pending work; must not wait for the guest */
	void *owner;
	int watch_fd; /* -1, or a descriptor that also needs `work` when it is readable (a tap) */

	/* An eventfd. A write to it (as by KVM_IOEVENTFD) runs `work` once more. -1 while closed. */
	int kick_fd;

	/* Private. */
	pthread_t thread;
	pthread_mutex_t lock; /* protects the four flags below */
	pthread_cond_t changed;
	bool pausing;
	bool paused;
	bool stopping;
	bool started;
	atomic_bool wanted; /* pausing or stopping: the one flag that the thread reads between two kicks */
	atomic_bool watching; /* whether watch_fd is polled now */
};

/* Makes the lock and the eventfd, but no thread. Sets watch_fd to -1. */
int worker_open(struct worker *worker, struct error *error);

/* Starts the thread, paused if `paused`. `name` has at most 15 characters. The thread blocks signals_blockable(). */
int worker_start(struct worker *worker, const char *name, bool paused, struct error *error);

/* Makes `work` run once more. Any thread may call it, and `work` itself. */
void worker_kick(struct worker *worker);

/*
 * Turns polling of watch_fd on or off. It is off at first. An error on watch_fd (a vanished tap) also runs `work`,
 * repeatedly, until polling is off. Call it only from `work` or while the worker is paused.
 */
void worker_watch(struct worker *worker, bool on);

/*
 * Returns after the thread is parked outside `work`. The worker may be paused already, or not started. Do not call it from
 * `work`, or while holding a lock that `work` takes.
 */
void worker_pause(struct worker *worker);

/* Runs `work` once, for work that came in meanwhile, and then continues as before. */
void worker_resume(struct worker *worker);

/*
 * Whether another thread waits for this one to park. A `work` that the guest can keep busy without end checks this between
 * two requests, and then returns at once. The remaining requests are handled after worker_resume().
 */
static inline bool worker_is_wanted(struct worker *worker)
{
	return atomic_load_explicit(&worker->wanted, memory_order_acquire);
}

/* Ends and joins the thread. It may be called before worker_start(), and twice. */
void worker_close(struct worker *worker);

#endif
