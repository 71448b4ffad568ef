/* SPDX-License-Identifier: MIT */
/*
 * The main thread's event loop. It uses poll(2) and not epoll(7), because standard input may be a regular file, which epoll
 * refuses, and because there are few watches.
 */
#include "util/loop.h"

#include <errno.h>
#include <poll.h>

void loop_open(struct loop *loop)
{
	*loop = (struct loop){ 0 };
	for (unsigned i = 0; i < LOOP_MAX_WATCHES; i++)
		loop->watches[i].fd = -1;
}

static struct loop_watch *find(struct loop *loop, int fd)
{
	for (unsigned i = 0; i < LOOP_MAX_WATCHES; i++)
		if (loop->watches[i].fd == fd)
			return &loop->watches[i];
	return NULL;
}

int loop_add(struct loop *loop, int fd, uint32_t events, void (*ready)(void *owner, int fd, uint32_t events),
	     void *owner, struct error *error)
{
	struct loop_watch *watch = find(loop, -1);

	if (fd < 0)
		return error_system(error, EBADF, "event loop");
	if (find(loop, fd))
		return error_system(error, EEXIST, "event loop: descriptor %d", fd);
	if (!watch)
		return error_set(error, ENOSPC, "event loop: more than %d descriptors", LOOP_MAX_WATCHES);
	*watch = (struct loop_watch){
		.fd = fd,
		.events = events,
		.order = ++loop->additions,
		.ready = ready,
		.owner = owner,
	};
	return 0;
}

void loop_change(struct loop *loop, int fd, uint32_t events)
{
	struct loop_watch *watch = fd >= 0 ? find(loop, fd) : NULL;

	if (watch)
		watch->events = events;
}

void loop_remove(struct loop *loop, int fd)
{
	struct loop_watch *watch = fd >= 0 ? find(loop, fd) : NULL;

	if (watch)
		*watch = (struct loop_watch){ .fd = -1 };
}

/* Calls poll(2) once, and then `ready` of each watch that has an event. */
static void serve(struct loop *loop)
{
	struct pollfd polled[LOOP_MAX_WATCHES];
	struct loop_watch *watches[LOOP_MAX_WATCHES];
	uint64_t orders[LOOP_MAX_WATCHES];
	unsigned count = 0;

	for (unsigned i = 0; i < LOOP_MAX_WATCHES; i++) {
		struct loop_watch *watch = &loop->watches[i];

		if (watch->fd < 0 || !watch->events)
			continue;
		polled[count] = (struct pollfd){ .fd = watch->fd, .events = (short)watch->events };
		watches[count] = watch;
		orders[count++] = watch->order;
	}
	if (poll(polled, count, -1) < 0)
		return; /* interrupted by a signal, or the kernel lacks memory for now */

	for (unsigned i = 0; i < count && !loop->stopping; i++) {
		struct loop_watch *watch = watches[i];
		uint32_t events = (uint16_t)polled[i].revents;

		/* A `ready` function that ran before may have removed, replaced or changed this watch. */
		if (watch->fd < 0 || watch->order != orders[i] || !watch->events)
			continue;
		events &= watch->events | POLLERR | POLLHUP | POLLNVAL;
		if (events)
			watch->ready(watch->owner, watch->fd, events);
	}
}

void loop_run(struct loop *loop)
{
	while (!loop->stopping)
		serve(loop);
	loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}
