/* SPDX-License-Identifier: MIT */
/* Loads RAM from a compressed snapshot while the machine runs. */
#include "snapshot/pager.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "memory/userfault.h"
#include "unloaded.h"
#include "snapshot/working_set.h"
#include "util/bits.h"
#include "util/io.h"
#include "util/thread.h"

static uint64_t block_end(const struct pager *pager, uint64_t block)
{
	uint64_t end = (block + 1) * pager->block;

	return MIN(end, pager->ram.size);
}

static bool is_unloaded(const struct pager *pager, uint64_t block)
{
	size_t i = unloaded_find(&pager->unloaded, block * pager->block);

	return i < pager->unloaded.count && pager->unloaded.items[i].from < block_end(pager, block);
}

/* Returns 1 if `bytes` has the block, 0 if the block has only zeroes, -1 on failure. */
static int read_block(const struct pager *pager, uint64_t block, uint8_t *bytes, struct error *error)
{
	uint64_t from = block * pager->block;

	return snapshot_load(pager->snapshot, from, bytes, (size_t)(block_end(pager, block) - from), pager->check, error);
}

/* The server. */

static bool is_removed(const struct pager *pager, uint64_t at)
{
	return pager->removed[at / pager->page / 8] >> at / pager->page % 8 & 1;
}

/* Pages that a device discarded must stay zero. The device waits until the event is read. */
static void remove_pages(struct pager *pager, const struct userfault_event *event)
{
	uint64_t at = (uint64_t)(event->at - pager->ram.host), end = (uint64_t)(event->end - pager->ram.host);

	for (; at < end && at < pager->ram.size; at += pager->page)
		pager->removed[at / pager->page / 8] |= (uint8_t)(1u << at / pager->page % 8);
}

/* Called while one fault is served. Handles discarded pages now, and wakes other accesses, which then fault again. */
static void take_events(struct pager *pager)
{
	struct pollfd wait = { .fd = pager->fault_fd, .events = POLLIN };
	struct userfault_event event;

	poll(&wait, 1, 1); /* the kernel returns EAGAIN a little before the event is readable */
	while (userfault_read(pager->fault_fd, &event)) {
		if (event.kind == USERFAULT_REMOVED)
			remove_pages(pager, &event);
		else
			userfault_wake(pager->fault_fd, (uint8_t *)((uintptr_t)event.at & -(uintptr_t)pager->page), pager->page);
	}
}

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static bool is_wanted(const struct pager *pager, uint64_t at, const uint8_t *bytes)
{
	return !is_removed(pager, at) && !is_zero(bytes, pager->page);
}

/* Fills [at, end) of RAM from `bytes`. Pages of zeroes are left out: an access fills them later. */
static int place(struct pager *pager, uint64_t at, uint64_t end, const uint8_t *bytes, struct error *error)
{
	while (at < end) {
		uint64_t behind = at;
		int64_t done;

		while (behind < end && is_wanted(pager, behind, bytes + (behind - at)))
			behind += pager->page;
		done = behind > at ? userfault_copy(pager->fault_fd, pager->ram.host + at, bytes, behind - at) : -EEXIST;
		if (done == -EAGAIN)
			take_events(pager);
		else if (done < 0 && done != -EEXIST)
			return error_system(error, (int)-done, "UFFDIO_COPY");
		if (done == -EEXIST)
			done = (int64_t)pager->page;
		at += done > 0 ? (uint64_t)done : 0;
		bytes += done > 0 ? done : 0;
	}
	return 0;
}

static int place_block(struct pager *pager, uint64_t block, const uint8_t *bytes, struct error *error)
{
	uint64_t from = block * pager->block, end = block_end(pager, block);

	for (size_t i = unloaded_find(&pager->unloaded, from); i < pager->unloaded.count && pager->unloaded.items[i].from < end; i++) {
		const struct snapshot_range *range = &pager->unloaded.items[i];
		uint64_t first = range->from > from ? range->from : from;
		uint64_t last = MIN(range->end, end);

		if (place(pager, first, last, bytes + (first - from), error) < 0)
			return -1;
	}
	atomic_store(&pager->loaded[block], true);
	return 0;
}

/* Serves an access that waits for the page at `at` in RAM. */
static int serve(struct pager *pager, uint64_t at, struct error *error)
{
	uint64_t block = at / pager->block;
	int64_t done;

	atomic_store(&pager->asked[block], true);
	if (!atomic_load(&pager->loaded[block])) {
		int result = read_block(pager, block, pager->bytes, error);

		if (result < 0 || (result > 0 && place_block(pager, block, pager->bytes, error) < 0))
			return -1;
		atomic_store(&pager->loaded[block], true);
	}
	/* If the page is still absent, it is zero. */
	at &= -pager->page;
	done = userfault_zero(pager->fault_fd, pager->ram.host + at, pager->page);
	if (done == -EAGAIN)
		take_events(pager);
	else if (done < 0 && done != -EEXIST)
		return error_system(error, (int)-done, "UFFDIO_ZEROPAGE");
	if (done < 0)
		userfault_wake(pager->fault_fd, pager->ram.host + at, pager->page);
	return 0;
}

/* Takes the reader's result. Returns 1 if it was the last one, 0 if not, -1 on failure. */
static int take_ahead(struct pager *pager, struct error *error)
{
	int result = 0;

	pthread_mutex_lock(&pager->lock);
	if (pager->ahead == AHEAD_FAILED) {
		*error = pager->ahead_error;
		result = -1;
	} else if (pager->ahead == AHEAD_END) {
		result = 1;
	} else if (pager->ahead == AHEAD_BLOCK) {
		/* The block may have been loaded since it was read, and pages of it discarded after that. */
		if (!pager->ahead_zero && !atomic_load(&pager->loaded[pager->ahead_block]))
			result = place_block(pager, pager->ahead_block, pager->ahead_bytes, error);
		atomic_store(&pager->loaded[pager->ahead_block], true);
	}
	pager->ahead = AHEAD_NONE;
	pthread_cond_signal(&pager->taken);
	pthread_mutex_unlock(&pager->lock);
	return result;
}

/* Returns 1 after everything was loaded, 0 if loading was cancelled, -1 on failure. */
static int serve_all(struct pager *pager, struct error *error)
{
	struct pollfd wait[] = { { .fd = pager->fault_fd, .events = POLLIN }, { .fd = pager->ahead_fd, .events = POLLIN } };
	struct userfault_event event;
	int result = 0;

	while (result == 0 && !atomic_load(&pager->cancelled)) {
		poll(wait, 2, -1);
		while (result == 0 && userfault_read(pager->fault_fd, &event)) {
			if (event.kind == USERFAULT_REMOVED)
				remove_pages(pager, &event);
			else
				result = serve(pager, (uint64_t)(event.at - pager->ram.host), error);
		}
		if (result == 0 && event_clear(pager->ahead_fd))
			result = take_ahead(pager, error);
	}
	return result;
}

/* Ends the registration, so that no access waits any more. Absent pages are zero after it. */
static void let_go(struct pager *pager)
{
	struct userfault_event event;

	for (size_t i = 0; i < pager->unloaded.count; i++) {
		const struct snapshot_range *range = &pager->unloaded.items[i];

		userfault_unregister(pager->fault_fd, pager->ram.host + range->from, range->end - range->from);
	}
	while (userfault_read(pager->fault_fd, &event))
		; /* a thread that discarded pages just before waits until its event is read */
	close(pager->fault_fd);
}

/* The guest must not run with zeroes instead of its memory. Waiting accesses are not released until the process ends. */
static void declare_lost(const struct pager *pager)
{
	struct error error = pager->error;
	char path[SNAPSHOT_PATH];

	error_context(&error, "the snapshot %s", snapshot_path(pager->snapshot, path, sizeof(path)));
	memory_lost(&error);
}

static void *pager_run_server(void *argument)
{
	struct pager *pager = argument;

	atomic_store(&pager->result, serve_all(pager, &pager->error) < 0 ? -1 : 0);
	if (atomic_load(&pager->result) < 0)
		declare_lost(pager);
	atomic_store(&pager->cancelled, true);
	pthread_mutex_lock(&pager->lock);
	pthread_cond_signal(&pager->taken);
	pthread_mutex_unlock(&pager->lock);
	event_raise(pager->done_fd);
	let_go(pager);
	return NULL;
}

/* The reader. */

/* Gives one result to the server, and waits until the server has taken it. */
static void hand_over(struct pager *pager, int what)
{
	pthread_mutex_lock(&pager->lock);
	pager->ahead = what;
	event_raise(pager->ahead_fd);
	while (pager->ahead != AHEAD_NONE && !atomic_load(&pager->cancelled))
		pthread_cond_wait(&pager->taken, &pager->lock);
	pthread_mutex_unlock(&pager->lock);
}

static int read_ahead(struct pager *pager, uint64_t block)
{
	int result;

	if (atomic_load(&pager->loaded[block]) || (!pager->unloaded.is_all && !is_unloaded(pager, block)))
		return 0;
	result = read_block(pager, block, pager->ahead_bytes, &pager->ahead_error);
	if (result < 0)
		return -1;
	if (result == 0 && !is_unloaded(pager, block))
		return 0;
	pager->ahead_block = block;
	pager->ahead_zero = result == 0;
	hand_over(pager, AHEAD_BLOCK);
	return 0;
}

static bool is_in_working_set(const struct pager *pager, uint64_t block)
{
	for (uint64_t at = block * pager->block; at < block_end(pager, block); at += FORMAT_RAM_CHUNK)
		if (working_set_has(pager->snapshot, at))
			return true;
	return false;
}

/* Reads the working set, which the guest probably needs soon, and then all of RAM. */
static void *pager_run_reader(void *argument)
{
	struct pager *pager = argument;
	uint64_t blocks = (pager->ram.size + pager->block - 1) / pager->block;
	int result = 0;

	thread_lowest_priority();
	for (uint64_t block = 0; result == 0 && block < blocks && !atomic_load(&pager->cancelled); block++)
		if (is_in_working_set(pager, block))
			result = read_ahead(pager, block);
	for (uint64_t block = 0; result == 0 && block < blocks && !atomic_load(&pager->cancelled); block++)
		result = read_ahead(pager, block);
	hand_over(pager, result < 0 ? AHEAD_FAILED : AHEAD_END);
	return NULL;
}

/* Both threads. */

static void release(struct pager *pager)
{
	if (pager->ahead_fd >= 0)
		close(pager->ahead_fd);
	if (pager->done_fd >= 0)
		close(pager->done_fd);
	pthread_cond_destroy(&pager->taken);
	pthread_mutex_destroy(&pager->lock);
	free(pager->loaded);
	free(pager->asked);
	free(pager->removed);
	free(pager->bytes);
	free(pager->ahead_bytes);
	pager->done_fd = -1;
}

static int prepare(struct pager *pager, struct error *error)
{
	uint64_t pages = pager->ram.size / pager->page, blocks = (pager->ram.size + pager->block - 1) / pager->block;

	pager->loaded = calloc(blocks, sizeof(*pager->loaded));
	pager->asked = calloc(blocks, sizeof(*pager->asked));
	pager->removed = calloc(1, pages / 8 + 1);
	pager->bytes = malloc(pager->block);
	pager->ahead_bytes = malloc(pager->block);
	if (!pager->loaded || !pager->asked || !pager->removed || !pager->bytes || !pager->ahead_bytes)
		return error_system(error, ENOMEM, "memory");
	pager->ahead_fd = event_open(error);
	if (pager->ahead_fd < 0)
		return -1;
	pager->done_fd = event_open(error);
	if (pager->done_fd < 0)
		return -1;
	for (size_t i = 0; i < pager->unloaded.count; i++) {
		const struct snapshot_range *range = &pager->unloaded.items[i];

		if (userfault_register(pager->fault_fd, pager->ram.host + range->from, range->end - range->from, error) < 0)
			return -1;
	}
	return 0;
}

static int start(struct pager *pager, struct error *error)
{
	int result = thread_create(&pager->server, pager_run_server, pager);

	if (result)
		return error_start(error, result, "a thread to load RAM");
	result = thread_create(&pager->reader, pager_run_reader, pager);
	if (!result)
		return 0;
	atomic_store(&pager->cancelled, true);
	event_raise(pager->ahead_fd);
	pthread_join(pager->server, NULL); /* the server has closed fault_fd */
	pager->fault_fd = -1;
	return error_start(error, result, "a thread to load RAM");
}

int pager_open(struct pager *pager, const struct snapshot *snapshot, const struct ram *ram, struct snapshot_unloaded *unloaded,
	       bool check, struct error *error)
{
	*pager = (struct pager){
		.done_fd = -1, .ahead_fd = -1, .snapshot = snapshot, .ram = *ram, .unloaded = *unloaded, .check = check,
		.page = (uint64_t)sysconf(_SC_PAGESIZE), .block = snapshot_block(snapshot),
	};
	pthread_mutex_init(&pager->lock, NULL);
	pthread_cond_init(&pager->taken, NULL);
	pager->fault_fd = userfault_open(error);
	if (pager->fault_fd >= 0 && prepare(pager, error) == 0 && start(pager, error) == 0) {
		*unloaded = (struct snapshot_unloaded){ 0 };
		return 0;
	}
	if (pager->fault_fd >= 0)
		close(pager->fault_fd);
	release(pager);
	return -1;
}

bool pager_brings(const struct pager *pager, uint64_t offset)
{
	return is_unloaded(pager, offset / pager->block);
}

bool pager_was_asked(const struct pager *pager, uint64_t offset)
{
	return atomic_load(&pager->asked[offset / pager->block]);
}

void pager_close(struct pager *pager)
{
	if (!pager_is_open(pager))
		return;
	atomic_store(&pager->cancelled, true);
	event_raise(pager->ahead_fd);
	pthread_join(pager->server, NULL);
	pthread_join(pager->reader, NULL);
	snapshot_unloaded_free(&pager->unloaded);
	release(pager);
}
