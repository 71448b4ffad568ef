/* SPDX-License-Identifier: MIT */
/*
 * Protecting takes its time: KVM takes what is protected out of the guest's page tables, and the processor's caches may
 * have to be written back for that. So all of RAM is protected while the guest runs, and in the pause only what it wrote
 * since, by units, and what was not there before, by blocks.
 */
#include "save/background.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/userfault.h"
#include "util/io.h"

#define BLOCK SNAPSHOT_TAKE_LIMIT /* let go at once where nobody waits: then large pages of the host stay so */
#define FEW_UNITS 32u             /* so many are protected in no time */
#define MOST_TURNS 4u

/* A unit is open while the guest may write it. */
enum { OPEN, PROTECTED, TAKEN };

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static uint64_t unit_size(const struct point_in_time *point, uint64_t at)
{
	return least(point->unit, point->ram->size - at);
}

static uint64_t block_size(const struct point_in_time *point, uint64_t at)
{
	return least(BLOCK, point->ram->size - at);
}

static int protect(const struct point_in_time *point, uint64_t at, uint64_t size, bool on, struct error *error)
{
	return userfault_protect(point->fault_fd, point->ram->host + at, size, on, error);
}

/* Nobody waits for [at, at + size) any more, nor will. */
static void release(const struct point_in_time *point, uint64_t at, uint64_t size)
{
	userfault_unregister(point->fault_fd, point->ram->host + at, size);
	userfault_wake(point->fault_fd, point->ram->host + at, size); /* who waits to write is not woken by that */
}

static void let_go(struct point_in_time *point)
{
	release(point, point->released, point->ram->size - point->released);
	point->released = point->ram->size;
	__atomic_store_n(&point->ram->keeps, false, __ATOMIC_RELEASE);
}

static void free_all(struct point_in_time *point)
{
	if (point->fault_fd >= 0)
		close(point->fault_fd);
	if (point->go_fd >= 0)
		close(point->go_fd);
	free(point->units);
	free(point->blocks);
	point->fault_fd = -1;
}

int point_in_time_open(struct point_in_time *point, struct ram *ram, struct snapshot_writer *writer, struct error *error)
{
	*point = (struct point_in_time){
		.fault_fd = -1, .go_fd = -1, .ram = ram, .writer = writer,
		.unit = ram->huge_page > FORMAT_RAM_CHUNK ? ram->huge_page : FORMAT_RAM_CHUNK,
	};
	/* Only a tmpfs's files could be protected, and only by looking at each page of them. */
	if (ram->is_mapped)
		return error_set(error, ENOTSUP, "RAM is a mapping of the snapshot that it was restored from");
	if (point->unit > BLOCK)
		return error_set(error, ENOTSUP, "RAM has pages of %" PRIu64 " MiB", point->unit >> 20);
	point->units = calloc(1, ram->size / point->unit + 1);
	point->blocks = calloc(1, ram->size / BLOCK + 1);
	point->fault_fd = userfault_open_protecting(error);
	if (point->fault_fd >= 0)
		point->go_fd = event_open(error);
	if (!point->units || !point->blocks)
		error_system(error, ENOMEM, "memory");
	else if (point->go_fd >= 0 && userfault_register_protecting(point->fault_fd, ram->host, ram->size, error) == 0)
		return pthread_mutex_init(&point->lock, NULL);
	free_all(point);
	return -1;
}

void point_in_time_close(struct point_in_time *point)
{
	if (!point_in_time_is_open(point))
		return;
	let_go(point);
	free_all(point);
	pthread_mutex_destroy(&point->lock);
}

static int take(struct point_in_time *point, uint64_t at, struct error *error)
{
	uint8_t *unit = &point->units[at / point->unit];

	if (*unit == TAKEN)
		return 0;
	*unit = TAKEN;
	return snapshot_take(point->writer, at, unit_size(point, at), error);
}

/* Those who wait now. */
static int serve(struct point_in_time *point, struct error *error)
{
	struct userfault_event event;

	while (userfault_read(point->fault_fd, &event)) {
		uint64_t at = (uint64_t)(event.at - point->ram->host) & -point->unit;

		if (!point->frozen)
			point->units[at / point->unit] = OPEN;
		else if (take(point, at, error) < 0)
			return -1;
		point->held += point->frozen;
		/* What was released meanwhile woke him. */
		if (at >= point->released && protect(point, at, unit_size(point, at), false, error) < 0)
			return -1;
	}
	return 0;
}

/* While the guest runs. */

static void mark(struct point_in_time *point, uint64_t at, uint64_t size, uint8_t state)
{
	for (uint64_t end = at + size; at < end; at += point->unit)
		point->units[at / point->unit] = state;
}

static int protect_block(struct point_in_time *point, uint64_t at, struct error *error)
{
	uint64_t size = block_size(point, at);

	mark(point, at, size, PROTECTED);
	if (protect(point, at, size, true, error) < 0)
		return -1;
	/* Now, as what somebody takes away from now on is written before: ram_discard(). */
	return snapshot_look(point->writer, at, size, &point->blocks[at / BLOCK], error);
}

/* Neighbours at once. `count`: units. */
static int protect_open(struct point_in_time *point, uint64_t *count, struct error *error)
{
	uint64_t units = (point->ram->size + point->unit - 1) / point->unit;
	const uint8_t *open;

	*count = 0;
	for (uint64_t first = 0, end; (open = memchr(point->units + first, OPEN, units - first)); first = end) {
		uint64_t at;

		first = (uint64_t)(open - point->units);
		for (end = first; end < units && point->units[end] == OPEN; end++)
			point->units[end] = PROTECTED;
		*count += end - first;
		at = first * point->unit;
		if (protect(point, at, least(end * point->unit, point->ram->size) - at, true, error) < 0 || serve(point, error) < 0)
			return -1;
	}
	return 0;
}

static int protect_all(struct point_in_time *point, struct error *error)
{
	const struct snapshot_progress *progress = point->writer->progress;
	uint64_t size = point->ram->size, count = FEW_UNITS;

	__atomic_store_n(&point->ram->keeps, true, __ATOMIC_RELEASE);
	for (uint64_t at = 0; at < size; at += BLOCK) {
		if (progress && !progress->step(progress->owner, at, size))
			return error_set(error, ECANCELED, "it was called off");
		if (protect_block(point, at, error) < 0 || serve(point, error) < 0)
			return -1;
	}
	for (unsigned turn = 0; turn < MOST_TURNS && count >= FEW_UNITS; turn++)
		if (protect_open(point, &count, error) < 0)
			return -1;
	return 0;
}

int point_in_time_prepare(struct point_in_time *point, struct error *error)
{
	int result = protect_all(point, error);

	if (result < 0)
		let_go(point);
	return result;
}

/* Until the machine runs again. */
static int wait_and_serve(struct point_in_time *point, struct error *error)
{
	struct pollfd wait[] = { { .fd = point->fault_fd, .events = POLLIN }, { .fd = point->go_fd, .events = POLLIN } };
	int result = 0;

	while (result == 0 && !event_take(point->go_fd)) {
		poll(wait, 2, -1);
		pthread_mutex_lock(&point->lock);
		result = serve(point, error);
		pthread_mutex_unlock(&point->lock);
	}
	return result;
}

void point_in_time_go(struct point_in_time *point)
{
	event_raise(point->go_fd);
}

/* In the pause. */

/* Units with pages that came to be where not all was there to be protected. */
static int find_open(struct point_in_time *point, uint64_t block, struct error *error)
{
	uint64_t end = block + block_size(point, block);
	uint8_t seen;

	if (snapshot_look(point->writer, block, end - block, &seen, error) < 0)
		return -1;
	for (uint64_t at = block; seen & SNAPSHOT_OPEN && at < end; at += point->unit) {
		uint8_t seen_of_unit;

		if (snapshot_look(point->writer, at, unit_size(point, at), &seen_of_unit, error) < 0)
			return -1;
		if (seen_of_unit & SNAPSHOT_OPEN)
			point->units[at / point->unit] = OPEN;
	}
	return 0;
}

static int freeze(struct point_in_time *point, struct error *error)
{
	uint64_t size = point->ram->size, count;

	for (uint64_t at = 0, next; at < size; at = next) {
		uint8_t seen = point->blocks[at / BLOCK];

		/* Where there was nothing there still is nothing, mostly: the kernel finds that out at once. */
		next = at + block_size(point, at);
		if (seen == SNAPSHOT_ABSENT) {
			while (next < size && point->blocks[next / BLOCK] == SNAPSHOT_ABSENT)
				next += block_size(point, next);
			mark(point, at, next - at, PROTECTED);
			if (protect(point, at, next - at, true, error) < 0)
				return -1;
		} else if (seen != SNAPSHOT_PROTECTED && find_open(point, at, error) < 0) {
			return -1;
		}
	}
	if (protect_open(point, &count, error) < 0)
		return -1;
	point->frozen = true;
	return snapshot_take_begin(point->writer, error);
}

int point_in_time_freeze(struct point_in_time *point, struct error *error)
{
	int result;

	pthread_mutex_lock(&point->lock);
	result = freeze(point, error);
	pthread_mutex_unlock(&point->lock);
	return result;
}

/* Behind it. */

static int copy_block(struct point_in_time *point, uint64_t block, struct error *error)
{
	uint64_t end = block + block_size(point, block);

	for (uint64_t at = block; at < end; at += point->unit)
		if (serve(point, error) < 0 || take(point, at, error) < 0)
			return -1;
	/* Huge pages are few, and a mapping of them, once divided, stays so. */
	if (point->ram->huge_page)
		return protect(point, block, end - block, false, error);
	release(point, block, end - block);
	point->released = end;
	return 0;
}

int point_in_time_copy(struct point_in_time *point, struct error *error)
{
	const struct snapshot_progress *progress = point->writer->progress;
	uint64_t size = point->ram->size;
	int result = wait_and_serve(point, error);

	for (uint64_t block = 0; result == 0 && block < size; block += BLOCK) {
		if (progress && !progress->step(progress->owner, block, size))
			result = error_set(error, ECANCELED, "it was called off");
		else
			result = copy_block(point, block, error);
	}
	let_go(point);
	return result < 0 ? -1 : snapshot_take_end(point->writer, error);
}
