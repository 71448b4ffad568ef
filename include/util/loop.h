/* SPDX-License-Identifier: MIT */
/*
 * The main thread's event loop: it waits for descriptors, and calls a function for each that is ready. Every request of the
 * user or of another process runs here, one at a time.
 */
#ifndef LKVM_UTIL_LOOP_H
#define LKVM_UTIL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define LOOP_MAX_WATCHES 64

struct loop_watch {
	int fd; /* -1: free */
	uint32_t events; /* POLLIN, POLLOUT; 0: suspended, so that not even errors are reported */
	uint64_t order;  /* distinguishes this watch from an earlier one in the same element */
	void (*ready)(void *owner, int fd, uint32_t events);
	void *owner;
};

struct loop {
	struct loop_watch watches[LOOP_MAX_WATCHES];
	uint64_t additions;
	bool stopping;
};

void loop_open(struct loop *loop);

/*
 * Watches `fd`. Fails with ENOSPC if LOOP_MAX_WATCHES are in use, and with EEXIST if `fd` is watched already. `ready` also
 * gets POLLERR and POLLHUP. It must then remove the watch, or suspend it with loop_change(), or it is called without end.
 */
int loop_add(struct loop *loop, int fd, uint32_t events, void (*ready)(void *owner, int fd, uint32_t events),
	     void *owner, struct error *error);

/* Both do nothing if `fd` is not watched. A watch must be removed before its descriptor is closed. */
void loop_change(struct loop *loop, int fd, uint32_t events);
void loop_remove(struct loop *loop, int fd);

/*
 * Runs until loop_stop(), which may be called from a `ready` function or before loop_run(). A `ready` function may add,
 * change and remove watches. Pending events of a removed or replaced watch, or of a kind that is no longer watched, are
 * dropped.
 */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
