/* SPDX-License-Identifier: MIT */
/* Finds the file of a snapshot's chain because of which mapped RAM cannot be accessed any more. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"
#include "util/bits.h"
#include "util/io.h"

#define STEP (1u << 20) /* bytes per read */
#define WHILE "while it was in use"

static bool is_cut(const struct snapshot *snapshot, struct error *error)
{
	char path[SNAPSHOT_PATH];
	struct stat status;

	if (fstat(snapshot->fd, &status) < 0 || (uint64_t)status.st_size >= snapshot->file_size)
		return false;
	error_set(error, EBADMSG, "the snapshot %s became shorter " WHILE ": it has %" PRIu64 " bytes now, not %" PRIu64,
		  snapshot_path(snapshot, path, sizeof(path)), (uint64_t)status.st_size, snapshot->file_size);
	return true;
}

static bool is_unreadable(const struct snapshot *snapshot, const struct snapshot_run *run, uint64_t offset, uint8_t *bytes,
			  struct error *error)
{
	char path[SNAPSHOT_PATH];

	for (uint64_t done = 0; done < run->size; done += STEP) {
		size_t size = (size_t)MIN(run->size - done, STEP);
		ssize_t got = pread_full(run->in->fd, bytes, size, (off_t)(run->at + done));

		if (got == (ssize_t)size)
			continue;
		error_set(error, got < 0 ? (int)-got : EBADMSG, "the snapshot %s became unreadable " WHILE ": RAM at 0x%" PRIx64 ": %s",
			  snapshot_path(run->in, path, sizeof(path)), snapshot->ram_base + offset + done,
			  got < 0 ? strerror((int)-got) : "the file ends there");
		return true;
	}
	return false;
}

void snapshot_explain_write(const struct snapshot *file, struct error *error)
{
	char path[SNAPSHOT_PATH];

	if (!is_cut(file, error))
		error_set(error, EBADMSG, "the snapshot %s was written " WHILE, snapshot_path(file, path, sizeof(path)));
}

/* Reads all plain RAM in [from, end). Compressed RAM is not mapped from the file, so that its file cannot be the reason. */
static bool find_unreadable(const struct snapshot *snapshot, uint64_t from, uint64_t end, struct error *error)
{
	uint8_t *bytes = malloc(STEP);
	bool found = false;

	for (uint64_t at = from; bytes && !found && at < end;) {
		const struct snapshot_run run = snapshot_find_run(snapshot, at);

		found = run.kind == SNAPSHOT_PLAIN && is_unreadable(snapshot, &run, at, bytes, error);
		at += run.size;
	}
	free(bytes);
	return found;
}

bool snapshot_find_lost(const struct snapshot *snapshot, uint64_t offset, struct error *error)
{
	char path[SNAPSHOT_PATH];
	uint64_t end;

	for (const struct snapshot *file = snapshot; file; file = file->base)
		if (is_cut(file, error))
			return true;
	if (offset == SNAPSHOT_ANYWHERE)
		return find_unreadable(snapshot, 0, snapshot->ram_size, error);
	if (find_unreadable(snapshot, offset, offset + 1, error))
		return true;
	/* The access failed, but the file can be read again now. */
	error_set(error, EIO, "the snapshot %s could not be read " WHILE ": RAM at 0x%" PRIx64,
		  snapshot_path(snapshot_find_file(snapshot, offset, &end), path, sizeof(path)), snapshot->ram_base + offset);
	return true;
}
