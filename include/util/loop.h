/* SPDX-License-Identifier: MIT */
/*
 * The main thread's event loop: descriptors and what to do when one is ready. Everything that the user or another
 * process asks of a VM happens here, one thing at a time.
 */
#ifndef LKVM_UTIL_LOOP_H
#define LKVM_UTIL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define LOOP_MAX_WATCHES 64

struct loop_watch {
	int fd; /* -1: free */
	uint32_t events; /* POLLIN, POLLOUT; 0: at rest, not even errors are told */
	uint64_t order;  /* tells a watch from another that had its place before */
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
 * Fails with ENOSPC when LOOP_MAX_WATCHES are in use, EEXIST where `fd` is watched already. `ready` also gets POLLERR
 * and POLLHUP; it must then end the watch, or set it at rest, or it is called for ever.
 */
int loop_add(struct loop *loop, int fd, uint32_t events, void (*ready)(void *owner, int fd, uint32_t events),
	     void *owner, struct error *error);

/* Both do nothing where `fd` is not watched. A watch must be removed before its descriptor is closed. */
void loop_change(struct loop *loop, int fd, uint32_t events);
void loop_remove(struct loop *loop, int fd);

/*
 * Serves until loop_stop(), which only `ready` functions call, or someone before loop_run(). Watches may be added,
 * changed and removed from within `ready`: what was seen of a watch before is then not delivered after.
 */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
