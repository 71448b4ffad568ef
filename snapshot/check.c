/* SPDX-License-Identifier: MIT */
/*
 * RAM against its checksums, on every processor at once. By pread(), as in snapshot/memory.c; it is the fastest, too: what
 * is copied to a small buffer is still in the cache when it is looked at, and no page has to be mapped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "lkvm/io.h"
#include "lkvm/snapshot.h"
#include "lkvm/thread.h"

#define PIECE (1u << 20) /* what a thread takes at a time */
#define MAX_THREADS 64

_Static_assert(PIECE % FORMAT_RAM_CHUNK == 0 && PIECE % FORMAT_RAM_FRAME_LIMIT == 0, "chunks and frames are of one piece");

enum verdict_of_chunk { CHUNK_GOOD, CHUNK_DAMAGED, CHUNK_HOLE };

struct check {
	const struct snapshot *snapshot;
	uint32_t zero;             /* checksum of a chunk of zeroes */
	uint8_t *chunks;           /* enum verdict_of_chunk of each, which one thread writes */
	_Atomic uint64_t next;     /* the piece that nobody took yet: offset in RAM */
	_Atomic uint64_t done;     /* bytes */
	atomic_bool stop;
	pthread_mutex_t lock;
	int result;                /* -1: `error` is the first one */
	struct error error;
};

/* The end of the zeroes at `at` that nobody has to read, rounded down to a whole chunk; `at` where there are none. */
static uint64_t skip_zeroes(const struct snapshot *snapshot, uint64_t at, uint64_t end)
{
	uint64_t from = at;

	while (from < end) {
		const struct snapshot_run run = snapshot_find_run(snapshot, from);

		if (run.kind != SNAPSHOT_ZERO)
			break;
		from += run.size;
	}
	return (from < end ? from : end) & ~(uint64_t)(FORMAT_RAM_CHUNK - 1);
}

static void judge(struct check *check, uint64_t at, uint32_t is, enum verdict_of_chunk otherwise)
{
	uint64_t chunk = at / FORMAT_RAM_CHUNK;

	if (field_element(&check->snapshot->checksums, (uint32_t)chunk) != is)
		check->chunks[chunk] = (uint8_t)otherwise;
}

/* [from, end) of RAM, with `bytes` for what is read. */
static int check_piece(struct check *check, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	const struct snapshot *snapshot = check->snapshot;
	uint64_t data = skip_zeroes(snapshot, from, end);
	size_t size = (size_t)(end - data);

	for (uint64_t at = from; at < data; at += FORMAT_RAM_CHUNK)
		judge(check, at, check->zero, CHUNK_HOLE);
	if (size && snapshot_read_ram(snapshot, data, bytes, size, error) < 0)
		return -1;
	for (size_t at = 0; at < size; at += FORMAT_RAM_CHUNK)
		judge(check, data + at, checksum(0, bytes + at, FORMAT_RAM_CHUNK), CHUNK_DAMAGED);
	return 0;
}

static void fail(struct check *check, const struct error *error)
{
	pthread_mutex_lock(&check->lock);
	if (check->result == 0)
		check->error = *error;
	check->result = -1;
	pthread_mutex_unlock(&check->lock);
	atomic_store(&check->stop, true);
}

/* Takes pieces as long as there are some. `progress` is NULL but for one of the threads. */
static void work(struct check *check, const struct snapshot_progress *progress)
{
	uint64_t total = check->snapshot->ram_size;
	uint8_t *bytes = malloc(PIECE);
	struct error error;

	if (!bytes) {
		error_system(&error, ENOMEM, "memory");
		fail(check, &error);
	}
	while (!atomic_load(&check->stop)) {
		uint64_t at = atomic_fetch_add(&check->next, PIECE);
		uint64_t end = total - at < PIECE ? total : at + PIECE;

		if (at >= total)
			break;
		if (progress && !progress->step(progress->owner, atomic_load(&check->done), total)) {
			error_set(&error, ECANCELED, "it was called off");
			fail(check, &error);
		} else if (check_piece(check, at, end, bytes, &error) < 0) {
			fail(check, &error);
		}
		atomic_fetch_add(&check->done, end - at);
	}
	free(bytes);
}

static void *run(void *argument)
{
	work(argument, NULL);
	return NULL;
}

/* As many as there are processors and pieces; the calling thread is one. Where no more can be made, fewer do it. */
static void run_all(struct check *check, const struct snapshot_progress *progress)
{
	long wanted = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t pieces = (check->snapshot->ram_size + PIECE - 1) / PIECE;
	pthread_t threads[MAX_THREADS];
	unsigned count = 0;
	struct error error;

	/* The others may be done before this thread finds a piece: who calls it off at once is heard. */
	if (progress && !progress->step(progress->owner, 0, check->snapshot->ram_size)) {
		error_set(&error, ECANCELED, "it was called off");
		fail(check, &error);
		return;
	}
	while (count + 1 < MAX_THREADS && (long)count + 1 < wanted && count + 1 < pieces &&
	       thread_create(&threads[count], run, check) == 0)
		count++;
	work(check, progress);
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

/* Neighbours that are damaged alike are one range. */
static void tell_all(const struct check *check, void (*tell)(void *owner, const struct snapshot_damage *damage), void *owner)
{
	uint64_t count = check->snapshot->ram_size / FORMAT_RAM_CHUNK;

	for (uint64_t first = 0, end; first < count; first = end) {
		for (end = first + 1; end < count && check->chunks[end] == check->chunks[first];)
			end++;
		if (check->chunks[first] == CHUNK_GOOD)
			continue;
		tell(owner, &(struct snapshot_damage){
			.address = check->snapshot->ram_base + first * FORMAT_RAM_CHUNK,
			.size = (end - first) * FORMAT_RAM_CHUNK,
			.hole = check->chunks[first] == CHUNK_HOLE,
		});
	}
}

int snapshot_find_damage(const struct snapshot *snapshot, const struct snapshot_progress *progress,
			 void (*tell)(void *owner, const struct snapshot_damage *damage), void *owner,
			 struct error *error)
{
	struct check check = {
		.snapshot = snapshot,
		.zero = image_zero_checksum(FORMAT_RAM_CHUNK),
		.chunks = calloc(1, snapshot->checksums.count),
	};
	struct stat status;

	if (!check.chunks)
		return error_system(error, ENOMEM, "memory");
	pthread_mutex_init(&check.lock, NULL);
	run_all(&check, progress);
	pthread_mutex_destroy(&check.lock);
	/* Behind the end of a file that was cut meanwhile is a hole, too. */
	if (check.result == 0 && (fstat(snapshot->fd, &status) < 0 || (uint64_t)status.st_size < snapshot->file_size))
		check.result = error_set(&check.error, EBADMSG, "it was cut short while it was read");
	if (check.result == 0)
		tell_all(&check, tell, owner);
	else
		*error = check.error;
	free(check.chunks);
	return check.result;
}

static void keep_first(void *owner, const struct snapshot_damage *damage)
{
	struct snapshot_damage *first = owner;

	if (!first->size)
		*first = *damage;
}

int snapshot_check_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct error *error)
{
	struct snapshot_damage first = { .size = 0 };

	if (snapshot_find_damage(snapshot, progress, keep_first, &first, error) < 0)
		return -1;
	if (!first.size)
		return 0;
	if (first.hole)
		return error_set(error, EBADMSG, "RAM is damaged: at 0x%" PRIx64 " there is a hole in the file where data was",
				 first.address);
	return error_set(error, EBADMSG, "RAM is damaged: the checksum of the %u bytes at 0x%" PRIx64 " is wrong",
			 FORMAT_RAM_CHUNK, first.address);
}
