/* SPDX-License-Identifier: MIT */
/* Reads one snapshot file: header, commit record, sections, and the location of RAM. */
#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "state/names.h"
#include "util/checksum.h"
#include "util/file.h"
#include "util/io.h"

static int get(const struct snapshot *snapshot, void *to, size_t size, uint64_t offset, struct error *error)
{
	ssize_t got = pread_full(snapshot->fd, to, size, (off_t)offset);

	if (got < 0)
		return error_system(error, (int)-got, "reading %zu bytes at %llu", size, (unsigned long long)offset);
	if ((size_t)got < size)
		return error_set(error, EBADMSG, "it was cut short while it was read");
	return 0;
}

/* Reads the bytes [offset, end) into a new heap block, which is 8-byte aligned. Returns NULL on failure. */
static uint8_t *get_range(const struct snapshot *snapshot, uint64_t offset, uint64_t end, struct error *error)
{
	size_t size = (size_t)(end - offset); /* format_read_commit() limits it */
	uint8_t *bytes = malloc(size ? size : 1);

	if (!bytes) {
		error_system(error, ENOMEM, "%zu bytes of sections", size);
		return NULL;
	}
	if (get(snapshot, bytes, size, offset, error) < 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

int snapshot_open_path(struct snapshot *snapshot, const char *path, struct error *error)
{
	struct stat status;

	if (snapshot->fd < 0)
		snapshot->fd = file_open_regular(path, O_RDONLY);
	if (snapshot->fd == -EINVAL)
		return error_set(error, EINVAL, "it is not a regular file");
	if (snapshot->fd < 0)
		return error_system(error, -snapshot->fd, "cannot open it");
	if (fstat(snapshot->fd, &status) < 0)
		return error_system(error, errno, "cannot read its size");
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "it is not a regular file");
	snapshot->file_size = (uint64_t)status.st_size;
	snapshot->disk_size = (uint64_t)status.st_blocks * 512;
	return 0;
}

int snapshot_read_sections(struct snapshot *snapshot, struct format_commit *found, struct error *error)
{
	uint8_t header[FORMAT_HEADER_SIZE], record[FORMAT_COMMIT_SIZE];
	uint64_t size = snapshot->file_size;
	struct format_commit commit;
	size_t tail_size;

	/* Check the header first: "this is no snapshot" is a better error than one about the end of the file. */
	if (size < sizeof(header))
		return error_set(error, EBADMSG, "this is not an lkvm snapshot");
	if (get(snapshot, header, sizeof(header), 0, error) < 0 ||
	    format_read_header(header, &snapshot->header, error) < 0)
		return -1;
	if (size < sizeof(header) + sizeof(record))
		return error_set(error, EBADMSG, "it has no commit record at its end: cut short, or never finished");
	if (get(snapshot, record, sizeof(record), size - sizeof(record), error) < 0 ||
	    format_read_commit(record, size, &commit, error) < 0)
		return -1;
	if (memcmp(commit.identity, snapshot->header.identity, sizeof(commit.identity)) != 0)
		return error_set(error, EBADMSG, "its commit record belongs to another snapshot");

	snapshot->head = get_range(snapshot, 0, commit.head_end, error);
	if (!snapshot->head)
		return -1;
	snapshot->tail = get_range(snapshot, commit.tail, size - sizeof(record), error);
	if (!snapshot->tail)
		return -1;
	tail_size = (size_t)(size - sizeof(record) - commit.tail);
	if (sections_parse(&snapshot->sections, snapshot->head + sizeof(header), commit.head_end - sizeof(header), error) < 0 ||
	    sections_parse(&snapshot->sections, snapshot->tail, tail_size, error) < 0)
		return -1;
	/* Each section is intact. The commit record's checksum shows whether all of them belong to one snapshot. */
	if (checksum(checksum(0, snapshot->head, commit.head_end), snapshot->tail, tail_size) != commit.checksum &&
	    !snapshot->sections.damaged)
		return error_set(error, EBADMSG, "its sections do not belong together: the commit record's checksum is wrong");
	*found = commit;
	return 0;
}

/* Finds the frames of compressed RAM, which has `size` bytes and begins at `start` in the file. */
static int find_frames(struct snapshot *snapshot, const struct format_commit *commit, uint64_t size, uint64_t start,
		       struct error *error)
{
	const struct section *section = sections_need(&snapshot->sections, SECTION_RAM_FRAMES, 1, error);
	struct snapshot_frames *frames = &snapshot->frames;
	uint64_t frame;

	if (!section || field_get_number(&section->fields, FIELD_FRAMES_FRAME, &frame, error) < 0)
		return -1;
	if (frame < FORMAT_RAM_CHUNK || frame > FORMAT_RAM_FRAME_LIMIT || frame & (frame - 1) ||
	    !field_find(&section->fields, FIELD_FRAMES_OFFSET, &frames->offsets) || frames->offsets.size != sizeof(uint64_t) ||
	    !field_find(&section->fields, FIELD_FRAMES_SIZE, &frames->sizes) || frames->sizes.size != sizeof(uint32_t) ||
	    frames->sizes.count != frames->offsets.count || frames->sizes.count != size / frame + (size % frame != 0))
		return error_set(error, EBADMSG, "section %s does not fit %llu bytes of RAM", section->name,
				 (unsigned long long)size);
	for (uint32_t i = 0; i < frames->sizes.count; i++) {
		uint64_t at = field_element(&frames->offsets, i), stored = field_element(&frames->sizes, i);

		if (stored && (at < start || at > commit->tail || stored > commit->tail - at || stored > compressBound(frame)))
			return error_set(error, EBADMSG, "section %s: %llu bytes at offset %llu of the file are impossible",
					 section->name, (unsigned long long)stored, (unsigned long long)at);
	}
	frames->size = frame;
	return 0;
}

int snapshot_find_ram(struct snapshot *snapshot, const struct format_commit *commit, struct error *error)
{
	const struct section *ram = sections_need(&snapshot->sections, SECTION_RAM, 1, error);
	const struct section *sums = ram ? sections_need(&snapshot->sections, SECTION_RAM_CHECKSUMS, 1, error) : NULL;
	uint64_t size, offset;
	bool plain = !sections_find(&snapshot->sections, SECTION_RAM_FRAMES);

	if (!sums)
		return -1;
	if (field_get_number(&ram->fields, FIELD_RAM_BASE, &snapshot->ram_base, error) < 0 ||
	    field_get_number(&ram->fields, FIELD_RAM_SIZE, &size, error) < 0 ||
	    field_get_number(&ram->fields, FIELD_RAM_OFFSET, &offset, error) < 0)
		return error_context(error, "section ram");
	if (!size || size % FORMAT_RAM_CHUNK || offset % FORMAT_RAM_ALIGNMENT || offset < commit->head_end ||
	    offset > commit->tail || (plain && size > commit->tail - offset) || snapshot->ram_base % FORMAT_RAM_ALIGNMENT ||
	    snapshot->ram_base > UINT64_MAX - size)
		return error_set(error, EBADMSG, "section ram: %llu bytes at offset %llu of the file are impossible",
				 (unsigned long long)size, (unsigned long long)offset);
	if (!field_find(&sums->fields, FIELD_CHECKSUMS_CRC32, &snapshot->checksums) ||
	    snapshot->checksums.size != sizeof(uint32_t) ||
	    snapshot->checksums.count != size / FORMAT_RAM_CHUNK)
		return error_set(error, EBADMSG, "section ram-checksums does not fit %llu bytes of RAM",
				 (unsigned long long)size);
	if (!plain && find_frames(snapshot, commit, size, offset, error) < 0)
		return -1;
	snapshot->ram_size = size;
	snapshot->ram_offset = offset;
	return 0;
}

void snapshot_close(struct snapshot *snapshot)
{
	if (snapshot->base)
		snapshot_close(snapshot->base);
	free(snapshot->base);
	if (snapshot->fd >= 0)
		close(snapshot->fd);
	sections_free(&snapshot->sections);
	free(snapshot->head);
	free(snapshot->tail);
	*snapshot = (struct snapshot){ .fd = -1 };
}

const char *snapshot_path(const struct snapshot *snapshot, char *path, size_t size)
{
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", snapshot->fd);
	length = readlink(link, path, size - 1);
	path[length > 0 ? length : 0] = '\0';
	return path;
}

int snapshot_check_restorable(struct snapshot *snapshot, struct error *error)
{
	const struct section *section = sections_find(&snapshot->sections, SECTION_NOT_RESTORABLE);
	char reason[sizeof(error->text)];
	struct error malformed;

	if (!section)
		return 0;
	if (field_get_text(&section->fields, FIELD_REASON, reason, sizeof(reason), &malformed) < 0)
		snprintf(reason, sizeof(reason), "the reason is missing");
	return error_set(error, ESTALE, "it cannot be restored, and was saved with --force: %.400s", reason);
}
