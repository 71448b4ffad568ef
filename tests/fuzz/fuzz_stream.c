/* SPDX-License-Identifier: MIT */
/*
 * Receives a stream, and opens the resulting file.
 *
 * Input: 8 bytes, the first of which selects parts that are not repaired; then the stream.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "mutate.h"
#include "snapshot/rewrite.h"
#include "util/checksum.h"

enum { AS_START = 1, AS_RECORDS = 2 };

/* Offsets: docs/snapshot-format.md, "Streams". */
enum { START_HEAD_END = 16, START_CHECKSUM = 28, START = 32, RECORD_SIZE = 8, RECORD_CHECKSUM = 12, RECORD = 16 };

static void repair(uint8_t *bytes, size_t size, uint8_t as_it_is)
{
	uint64_t head_end;
	uint32_t crc, record;

	if (size < START)
		return;
	crc = checksum(0, bytes, START_CHECKSUM);
	if (!(as_it_is & AS_START))
		memcpy(bytes + START_CHECKSUM, &crc, sizeof(crc));
	memcpy(&head_end, bytes + START_HEAD_END, sizeof(head_end));
	size -= START;
	bytes += START;
	if ((as_it_is & AS_RECORDS) || head_end > size)
		return;
	size -= head_end;
	bytes += head_end;
	for (record = 1; record && size >= RECORD; size -= record, bytes += record) {
		memcpy(&record, bytes + RECORD_SIZE, sizeof(record));
		size -= RECORD;
		if (record > size)
			return;
		crc = checksum(checksum(0, bytes, RECORD_CHECKSUM), bytes + RECORD, record);
		memcpy(bytes + RECORD_CHECKSUM, &crc, sizeof(crc));
		bytes += RECORD;
	}
}

static int make_file(const char *name, const uint8_t *bytes, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	fuzz_must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* A snapshot that opens can be sent again, and opens again with valid RAM. */
static void send_again(const struct snapshot *snapshot)
{
	struct rewrite rewrite = { .fd = memfd_create("again", MFD_CLOEXEC), .stream = true };
	int into = memfd_create("again", MFD_CLOEXEC);
	struct snapshot again;
	struct error error;

	fuzz_must(rewrite.fd >= 0 && into >= 0);
	if (snapshot_rewrite(snapshot, &rewrite, &error) == 0) {
		fuzz_must(lseek(rewrite.fd, 0, SEEK_SET) == 0);
		fuzz_must(snapshot_receive(rewrite.fd, into, &error) == 0);
		fuzz_must(snapshot_open_file(&again, into, "again", &error) == 0);
		fuzz_must(snapshot_check_ram(&again, NULL, &error) == 0);
		snapshot_close(&again);
	} else {
		close(into);
	}
	close(rewrite.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot snapshot;
	struct error error;
	uint8_t *bytes;
	int stream, into;

	if (size < 8)
		return 0;
	bytes = malloc(size);
	fuzz_must(bytes != NULL);
	memcpy(bytes, data, size);
	repair(bytes + 8, size - 8, bytes[0]);
	stream = make_file("stream", bytes + 8, size - 8);
	into = make_file("file", NULL, 0);
	free(bytes);
	error.text[0] = '\0';
	if (snapshot_receive(stream, into, &error) < 0) {
		fuzz_must(error.text[0] != '\0');
		close(into);
	} else if (snapshot_open_file(&snapshot, into, "it", &error) == 0) {
		send_again(&snapshot);
		snapshot_close(&snapshot);
	}
	close(stream);
	return 0;
}
