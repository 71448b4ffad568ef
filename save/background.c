/* SPDX-License-Identifier: MIT */
/*
 * Copies RAM as it was at one point in time, while the guest runs.
 *
 * Protecting is slow: KVM removes protected pages from the guest's page tables, and the processor's caches may have to be
 * written back. So all of RAM is protected while the guest runs. The pause protects only what the guest wrote since, by units,
 * and what was absent before, by blocks.
 */
#include "save/background.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/userfault.h"
#include "util/bits.h"
#include "util/io.h"

#define BLOCK SNAPSHOT_CAPTURE_LIMIT /* unprotected at once if nothing waits, so that large pages of the host stay large */
#define FEW_UNITS 32u             /* a number that is protected quickly */
#define MOST_TURNS 4u

/* A unit is OPEN while the guest may write it. */
enum { OPEN, PROTECTED, TAKEN };

static uint64_t unit_size(const struct background *background, uint64_t at)
{
	return MIN(background->unit, background->ram->size - at);
}

static uint64_t block_size(const struct background *background, uint64_t at)
{
	return MIN(BLOCK, background->ram->size - at);
}

static int protect(const struct background *background, uint64_t at, uint64_t size, bool on, struct error *error)
{
	return userfault_protect(background->fault_fd, background->ram->host + at, size, on, error);
}

/* Unprotects [at, at + size) for ever, and wakes its writers. */
static void release(const struct background *background, uint64_t at, uint64_t size)
{
	userfault_unregister(background->fault_fd, background->ram->host + at, size);
	userfault_wake(background->fault_fd, background->ram->host + at, size); /* unregistering does not wake waiting writers */
}

static void let_go(struct background *background)
{
	release(background, background->released, background->ram->size - background->released);
	background->released = background->ram->size;
	__atomic_store_n(&background->ram->write_protected, false, __ATOMIC_RELEASE);
}

static void free_all(struct background *background)
{
	if (background->fault_fd >= 0)
		close(background->fault_fd);
	if (background->go_fd >= 0)
		close(background->go_fd);
	free(background->units);
	free(background->blocks);
	background->fault_fd = -1;
}

int background_open(struct background *background, struct ram *ram, struct snapshot_writer *writer, struct error *error)
{
	*background = (struct background){
		.fault_fd = -1, .go_fd = -1, .ram = ram, .writer = writer,
		.unit = ram->huge_page > FORMAT_RAM_CHUNK ? ram->huge_page : FORMAT_RAM_CHUNK,
	};
	/* Of mapped files only those of a tmpfs can be protected, and each page of them must be touched. */
	if (ram->is_mapped)
		return error_set(error, ENOTSUP, "RAM is a mapping of the snapshot that it was restored from");
	if (background->unit > BLOCK)
		return error_set(error, ENOTSUP, "RAM has pages of %" PRIu64 " MiB", background->unit >> 20);
	background->units = calloc(1, ram->size / background->unit + 1);
	background->blocks = calloc(1, ram->size / BLOCK + 1);
	background->fault_fd = userfault_open_protecting(error);
	if (background->fault_fd >= 0)
		background->go_fd = event_open(error);
	if (!background->units || !background->blocks)
		error_system(error, ENOMEM, "memory");
	else if (background->go_fd >= 0 && userfault_register_protecting(background->fault_fd, ram->host, ram->size, error) == 0)
		return pthread_mutex_init(&background->lock, NULL);
	free_all(background);
	return -1;
}

void background_close(struct background *background)
{
	if (!background_is_open(background))
		return;
	let_go(background);
	free_all(background);
	pthread_mutex_destroy(&background->lock);
}

static int take(struct background *background, uint64_t at, struct error *error)
{
	uint8_t *unit = &background->units[at / background->unit];

	if (*unit == TAKEN)
		return 0;
	*unit = TAKEN;
	return snapshot_capture(background->writer, at, unit_size(background, at), error);
}

/* Serves the writes that wait now. */
static int serve(struct background *background, struct error *error)
{
	struct userfault_event event;

	while (userfault_read(background->fault_fd, &event)) {
		uint64_t at = (uint64_t)(event.at - background->ram->host) & -background->unit;

		if (!background->frozen)
			background->units[at / background->unit] = OPEN;
		else if (take(background, at, error) < 0)
			return -1;
		background->held += background->frozen;
		/* A released unit has woken its writer already. */
		if (at >= background->released && protect(background, at, unit_size(background, at), false, error) < 0)
			return -1;
	}
	return 0;
}

/* While the guest runs. */

static void mark(struct background *background, uint64_t at, uint64_t size, uint8_t state)
{
	for (uint64_t end = at + size; at < end; at += background->unit)
		background->units[at / background->unit] = state;
}

static int protect_block(struct background *background, uint64_t at, struct error *error)
{
	uint64_t size = block_size(background, at);

	mark(background, at, size, PROTECTED);
	if (protect(background, at, size, true, error) < 0)
		return -1;
	/* Look now: from here on ram_discard() saves what it discards. */
	return snapshot_classify(background->writer, at, size, &background->blocks[at / BLOCK], error);
}

/* Protects all open units, neighbours with one call. `*count`: how many. */
static int protect_open(struct background *background, uint64_t *count, struct error *error)
{
	uint64_t units = (background->ram->size + background->unit - 1) / background->unit;
	const uint8_t *open;

	*count = 0;
	for (uint64_t first = 0, end; (open = memchr(background->units + first, OPEN, units - first)); first = end) {
		uint64_t at;

		first = (uint64_t)(open - background->units);
		for (end = first; end < units && background->units[end] == OPEN; end++)
			background->units[end] = PROTECTED;
		*count += end - first;
		at = first * background->unit;
		if (protect(background, at, MIN(end * background->unit, background->ram->size) - at, true, error) < 0 ||
		    serve(background, error) < 0)
			return -1;
	}
	return 0;
}

static int protect_all(struct background *background, struct error *error)
{
	const struct snapshot_progress *progress = background->writer->progress;
	uint64_t size = background->ram->size, count = FEW_UNITS;

	__atomic_store_n(&background->ram->write_protected, true, __ATOMIC_RELEASE);
	for (uint64_t at = 0; at < size; at += BLOCK) {
		if (progress && !progress->step(progress->owner, at, size))
			return error_set(error, ECANCELED, "it was cancelled");
		if (protect_block(background, at, error) < 0 || serve(background, error) < 0)
			return -1;
	}
	for (unsigned turn = 0; turn < MOST_TURNS && count >= FEW_UNITS; turn++)
		if (protect_open(background, &count, error) < 0)
			return -1;
	return 0;
}

int background_prepare(struct background *background, struct error *error)
{
	int result = protect_all(background, error);

	if (result < 0)
		let_go(background);
	return result;
}

/* Serves writes until background_proceed(). */
static int wait_and_serve(struct background *background, struct error *error)
{
	struct pollfd wait[] = { { .fd = background->fault_fd, .events = POLLIN }, { .fd = background->go_fd, .events = POLLIN } };
	int result = 0;

	while (result == 0 && !event_clear(background->go_fd)) {
		poll(wait, 2, -1);
		pthread_mutex_lock(&background->lock);
		result = serve(background, error);
		pthread_mutex_unlock(&background->lock);
	}
	return result;
}

void background_proceed(struct background *background)
{
	event_raise(background->go_fd);
}

/* In the pause. */

/* Opens the units of a block that got pages after the block was protected. */
static int find_open(struct background *background, uint64_t block, struct error *error)
{
	uint64_t end = block + block_size(background, block);
	uint8_t seen;

	if (snapshot_classify(background->writer, block, end - block, &seen, error) < 0)
		return -1;
	for (uint64_t at = block; seen & SNAPSHOT_OPEN && at < end; at += background->unit) {
		uint8_t seen_of_unit;

		if (snapshot_classify(background->writer, at, unit_size(background, at), &seen_of_unit, error) < 0)
			return -1;
		if (seen_of_unit & SNAPSHOT_OPEN)
			background->units[at / background->unit] = OPEN;
	}
	return 0;
}

static int freeze(struct background *background, struct error *error)
{
	uint64_t size = background->ram->size, count;

	for (uint64_t at = 0, next; at < size; at = next) {
		uint8_t seen = background->blocks[at / BLOCK];

		/* An absent block is mostly still absent: the kernel finds this out quickly. */
		next = at + block_size(background, at);
		if (seen == SNAPSHOT_ABSENT) {
			while (next < size && background->blocks[next / BLOCK] == SNAPSHOT_ABSENT)
				next += block_size(background, next);
			mark(background, at, next - at, PROTECTED);
			if (protect(background, at, next - at, true, error) < 0)
				return -1;
		} else if (seen != SNAPSHOT_PROTECTED && find_open(background, at, error) < 0) {
			return -1;
		}
	}
	if (protect_open(background, &count, error) < 0)
		return -1;
	background->frozen = true;
	return snapshot_capture_begin(background->writer, error);
}

int background_freeze(struct background *background, struct error *error)
{
	int result;

	pthread_mutex_lock(&background->lock);
	result = freeze(background, error);
	pthread_mutex_unlock(&background->lock);
	return result;
}

/* After the pause. */

static int copy_block(struct background *background, uint64_t block, struct error *error)
{
	uint64_t end = block + block_size(background, block);

	for (uint64_t at = block; at < end; at += background->unit)
		if (serve(background, error) < 0 || take(background, at, error) < 0)
			return -1;
	/* Huge pages are few. Unregistering a part would split their mapping for ever. */
	if (background->ram->huge_page)
		return protect(background, block, end - block, false, error);
	release(background, block, end - block);
	background->released = end;
	return 0;
}

int background_copy(struct background *background, struct error *error)
{
	const struct snapshot_progress *progress = background->writer->progress;
	uint64_t size = background->ram->size;
	int result = wait_and_serve(background, error);

	for (uint64_t block = 0; result == 0 && block < size; block += BLOCK) {
		if (progress && !progress->step(progress->owner, block, size))
			result = error_set(error, ECANCELED, "it was cancelled");
		else
			result = copy_block(background, block, error);
	}
	let_go(background);
	return result < 0 ? -1 : snapshot_capture_end(background->writer, error);
}
