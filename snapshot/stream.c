/* SPDX-License-Identifier: MIT */
/* Writes and reads the stream form of a snapshot. */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/format.h"
#include "snapshot/rewrite.h"
#include "util/bits.h"
#include "util/checksum.h"
#include "util/io.h"

static const char stream_magic[8] = { 'l', 'k', 'v', 'm', 'P', 'I', 'P', 'E' };

/* The layout in the stream, little-endian. fields.c asserts that the host is little-endian too. */
struct start_bytes {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t head_end;
	uint32_t zero_too;
	uint32_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct start_bytes) == STREAM_START_SIZE, "size of a stream's start");

struct record_bytes {
	uint64_t offset; /* in the file */
	uint32_t size;   /* of the bytes that follow; 0: this is the last record */
	uint32_t checksum; /* of the bytes before it, and of the bytes that follow */
};
_Static_assert(sizeof(struct record_bytes) == STREAM_RECORD_SIZE, "size of a record's start");

#define STREAM_VERSION 1u

/* Writing. */

int stream_write(int fd, const void *bytes, size_t size, struct error *error)
{
	int result = write_full(fd, bytes, size);

	if (result == -EPIPE)
		return error_set(error, EPIPE, "the reader closed the stream before its end");
	return result < 0 ? error_system(error, -result, "writing the stream") : 0;
}

int stream_write_start(int fd, uint64_t head_end, struct error *error)
{
	struct start_bytes raw = { .version = STREAM_VERSION, .head_end = head_end };

	memcpy(raw.magic, stream_magic, sizeof(raw.magic));
	raw.checksum = checksum(0, &raw, offsetof(struct start_bytes, checksum));
	return stream_write(fd, &raw, sizeof(raw), error);
}

static uint32_t record_checksum(const struct record_bytes *raw, const void *bytes)
{
	uint32_t crc = checksum(0, raw, offsetof(struct record_bytes, checksum));

	return raw->size ? checksum(crc, bytes, raw->size) : crc;
}

int stream_write_record(int fd, uint64_t offset, const void *bytes, size_t size, struct error *error)
{
	struct record_bytes raw = { .offset = offset, .size = (uint32_t)size };

	raw.checksum = record_checksum(&raw, bytes);
	if (stream_write(fd, &raw, sizeof(raw), error) < 0)
		return -1;
	return stream_write(fd, bytes, size, error);
}

/* Reading. */

struct receiver {
	int stream, into;
	uint64_t end; /* of the bytes written so far: offset in the file */
	uint8_t *bytes; /* the buffer for one record */
};

/* Reads exactly `size` bytes of the stream. */
static int get(const struct receiver *receiver, void *to, size_t size, struct error *error)
{
	ssize_t got = read_full(receiver->stream, to, size);

	if (got < 0)
		return error_system(error, (int)-got, "reading the stream");
	if ((size_t)got < size)
		return error_set(error, EBADMSG, "the stream was cut short");
	return 0;
}

static int store(struct receiver *receiver, uint64_t offset, const void *bytes, size_t size, struct error *error)
{
	int result = pwrite_full(receiver->into, bytes, size, (off_t)offset);

	if (result < 0)
		return error_system(error, -result, "writing %zu bytes at %llu", size, (unsigned long long)offset);
	receiver->end = offset + size;
	return 0;
}

static int receive_head(struct receiver *receiver, struct error *error)
{
	struct start_bytes raw;
	uint64_t left;

	if (get(receiver, &raw, sizeof(raw), error) < 0)
		return -1;
	if (memcmp(raw.magic, "lkvmSNAP", sizeof(raw.magic)) == 0)
		return error_set(error, EBADMSG, "this is a snapshot file, not a stream: give its name");
	if (memcmp(raw.magic, stream_magic, sizeof(raw.magic)) != 0)
		return error_set(error, EBADMSG, "this is not a stream of an lkvm snapshot");
	if (raw.version != STREAM_VERSION)
		return error_set(error, ENOTSUP, "the stream is of version %u, this lkvm reads version %u", raw.version,
				 STREAM_VERSION);
	if (raw.checksum != checksum(0, &raw, offsetof(struct start_bytes, checksum)) ||
	    raw.head_end < FORMAT_HEADER_SIZE || raw.head_end > FORMAT_METADATA_LIMIT)
		return error_set(error, EBADMSG, "the stream's start is damaged");
	for (left = raw.head_end; left;) {
		size_t size = (size_t)MIN(left, STREAM_RECORD_LIMIT);

		if (get(receiver, receiver->bytes, size, error) < 0 ||
		    store(receiver, raw.head_end - left, receiver->bytes, size, error) < 0)
			return -1;
		left -= size;
	}
	return 0;
}

/* Reads one record and stores its bytes. Returns 1, or 0 after the last record, which the tail follows, or -1. */
static int receive_record(struct receiver *receiver, struct error *error)
{
	struct record_bytes raw;

	if (get(receiver, &raw, sizeof(raw), error) < 0)
		return -1;
	if (raw.size > STREAM_RECORD_LIMIT)
		return error_set(error, EBADMSG, "the stream is damaged: a record of %u bytes", raw.size);
	if (get(receiver, receiver->bytes, raw.size, error) < 0)
		return -1;
	if (raw.checksum != record_checksum(&raw, receiver->bytes))
		return error_set(error, EBADMSG, "the stream is damaged: a record's checksum is wrong");
	if (raw.offset < receiver->end || raw.offset > (uint64_t)INT64_MAX - STREAM_RECORD_LIMIT)
		return error_set(error, EBADMSG, "the stream's records are not in order");
	if (!raw.size) {
		receiver->end = raw.offset;
		return 0;
	}
	return store(receiver, raw.offset, receiver->bytes, raw.size, error) < 0 ? -1 : 1;
}

static int receive_tail(struct receiver *receiver, struct error *error)
{
	for (uint64_t size = 0;;) {
		ssize_t got = read_full(receiver->stream, receiver->bytes, STREAM_RECORD_LIMIT);

		if (got < 0)
			return error_system(error, (int)-got, "reading the stream");
		if (got == 0)
			return 0;
		size += (uint64_t)got;
		if (size > FORMAT_METADATA_LIMIT + FORMAT_COMMIT_SIZE)
			return error_set(error, EFBIG, "its sections are larger than %llu MiB", FORMAT_METADATA_LIMIT >> 20);
		if (store(receiver, receiver->end, receiver->bytes, (size_t)got, error) < 0)
			return -1;
	}
}

int snapshot_receive(int stream, int into, struct error *error)
{
	struct receiver receiver = { .stream = stream, .into = into, .bytes = malloc(STREAM_RECORD_LIMIT) };
	int result;

	if (!receiver.bytes)
		return error_system(error, ENOMEM, "memory");
	result = receive_head(&receiver, error) < 0 ? -1 : 1;
	while (result > 0)
		result = receive_record(&receiver, error);
	if (result == 0)
		result = receive_tail(&receiver, error);
	free(receiver.bytes);
	return result;
}
