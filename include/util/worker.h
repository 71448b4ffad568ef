/* SPDX-License-Identifier: MIT */
/*
 * A device's worker: one thread that sleeps until the device is kicked, does what there is to do, and
 * sleeps again. While paused it runs nothing of the device, so that nothing writes guest memory and no
 * interrupt is raised.
 */
#ifndef LKVM_UTIL_WORKER_H
#define LKVM_UTIL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/err.h"

struct worker {
	/* Set by the owner before worker_start(). */
	void (*work)(void *owner); /* does all there is to do now; must not wait for the guest */
	void *owner;
	int watch_fd; /* -1, or a descriptor whose being readable is work too (a tap) */

	/* An eventfd: adding to it (a KVM_IOEVENTFD does) runs `work` once more. -1 while closed. */
	int kick_fd;

	/* Private. */
	pthread_t thread;
	pthread_mutex_t lock; /* the four below */
	pthread_cond_t changed;
	bool pausing;
	bool paused;
	bool stopping;
	bool started;
	atomic_bool wanted; /* pausing or stopping: all that the thread looks at between two kicks */
	atomic_bool watching; /* whether watch_fd is polled now */
};

/* Makes the lock and the eventfd; no thread yet. Sets watch_fd to -1. */
int worker_open(struct worker *worker, struct error *error);

/* Starts the thread, paused if `paused`. `name` is at most 15 characters. The thread blocks signals_blockable(). */
int worker_start(struct worker *worker, const char *name, bool paused, struct error *error);

/* Makes `work` run once more. From any thread, also from `work` itself. */
void worker_kick(struct worker *worker);

/*
 * Turns polling of watch_fd on or off; it starts off. An error on it (a vanished tap) is work as well, again and
 * again until it is turned off. Only from `work`, or while paused.
 */
void worker_watch(struct worker *worker, bool on);

/*
 * Returns once the thread is parked outside `work`. Pausing a paused or never started worker is no error. Not from
 * `work`, and not while holding a lock that `work` takes.
 */
void worker_pause(struct worker *worker);

/* Runs `work` once, for whatever came in meanwhile, then as before. */
void worker_resume(struct worker *worker);

/*
 * Whether somebody waits for the thread to park. A `work` that the guest can feed for ever asks this between two
 * requests and returns at once: what is left is seen after worker_resume().
 */
static inline bool worker_is_wanted(struct worker *worker)
{
	return atomic_load_explicit(&worker->wanted, memory_order_acquire);
}

/* Ends and joins the thread. Works half-open and twice. */
void worker_close(struct worker *worker);

#endif
