/* SPDX-License-Identifier: MIT */
/* Rewrites snapshots in other forms (plain, compressed, stream). The result has the same state, or there is an error. */
#include "state/names.h"
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/rewrite.h"
#include "unit/open_fds.h"
#include "util/bits.h"
#include "util/checksum.h"

#define RAM_SIZE (3u << 20) /* several pieces, for several threads */
#define PAGES (RAM_SIZE / FORMAT_RAM_PAGE)

static struct {
	char folder[32], plain[64], other[64], base[64];
	struct ram ram;
	unsigned fds;
} it;

/* RAM has compressible and incompressible pages, single pages, and many zero pages. */
static int set_up(void **state)
{
	uint32_t random = 1;
	struct error error;

	(void)state;
	it.fds = count_open_fds();
	strcpy(it.folder, "/tmp/lkvm-rewrite-XXXXXX");
	if (!mkdtemp(it.folder) || ram_open(&it.ram, 0x80000000, RAM_SIZE, &error) < 0)
		return -1;
	snprintf(it.plain, sizeof(it.plain), "%s/plain", it.folder);
	snprintf(it.other, sizeof(it.other), "%s/other", it.folder);
	snprintf(it.base, sizeof(it.base), "%s/base", it.folder);
	for (size_t i = 0; i < FORMAT_RAM_CHUNK; i++)
		it.ram.host[i] = (uint8_t)(i * 7 + 1);
	memset(it.ram.host + 2 * FORMAT_RAM_CHUNK + 8192, 0x5a, 4096);
	for (size_t i = 4 * FORMAT_RAM_CHUNK; i < 6 * FORMAT_RAM_CHUNK; i++)
		it.ram.host[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
	memset(it.ram.host + (1 << 20), 0x11, 3 * 4096);
	it.ram.host[RAM_SIZE - 1] = 1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ram_close(&it.ram);
	unlink(it.plain);
	unlink(it.other);
	unlink(it.base);
	assert_int_equal(rmdir(it.folder), 0);
	assert_int_equal(count_open_fds(), it.fds);
	return 0;
}

static int create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void add_things(struct section_writer *sections)
{
	section_begin(sections, "thing", 3, SECTION_MANDATORY);
	field_add_number(&sections->buffer, "number", 42);
	section_end(sections);
	section_begin(sections, "other/thing", 1, 0);
	section_end(sections);
}

static void save(const char *path)
{
	struct section_writer sections = { 0 };
	struct snapshot_writer writer = { .fd = create(path), .ram = &it.ram };
	struct error error;

	add_things(&sections);
	assert_int_equal(snapshot_write(&writer, &sections.buffer, &error), 0);
	snapshot_end(&writer);
	byte_buffer_free(&sections.buffer);
	close(writer.fd);
}

static void put(int fd, const void *bytes, size_t size, uint64_t offset)
{
	assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
}

/* Saves every third page of RAM. The other pages are in the base. */
static void save_on_base(const char *path)
{
	struct section_writer head = { 0 }, tail = { 0 };
	struct format_commit commit = { .identity = "an identity" };
	struct format_header header = {
		.version = FORMAT_VERSION, .architecture = FORMAT_ARCHITECTURE, .identity = "an identity", .created = 5,
	};
	uint32_t checksums[RAM_SIZE / FORMAT_RAM_CHUNK];
	uint8_t pages[PAGES / 8] = { 0 }, record[FORMAT_COMMIT_SIZE];
	struct snapshot base;
	struct error error;
	int fd = create(path);

	assert_int_equal(snapshot_open(&base, it.base, &error), 0);
	byte_buffer_add(&head.buffer, NULL, FORMAT_HEADER_SIZE);
	section_begin(&head, "ram", 1, SECTION_MANDATORY);
	field_add_number(&head.buffer, "base", it.ram.base);
	field_add_number(&head.buffer, "size", RAM_SIZE);
	field_add_number(&head.buffer, "offset", FORMAT_RAM_ALIGNMENT);
	section_end(&head);
	format_write_header(&header, head.buffer.bytes);
	for (unsigned page = 0; page < PAGES; page += 3) {
		pages[page / 8] |= (uint8_t)(1u << page % 8);
		put(fd, it.ram.host + page * FORMAT_RAM_PAGE, FORMAT_RAM_PAGE, FORMAT_RAM_ALIGNMENT + page * FORMAT_RAM_PAGE);
	}
	for (unsigned i = 0; i < RAM_SIZE / FORMAT_RAM_CHUNK; i++)
		checksums[i] = checksum(0, it.ram.host + i * FORMAT_RAM_CHUNK, FORMAT_RAM_CHUNK);
	add_things(&tail);
	section_begin(&tail, "ram-checksums", 1, SECTION_MANDATORY);
	field_add(&tail.buffer, "crc32", 4, RAM_SIZE / FORMAT_RAM_CHUNK, checksums);
	section_end(&tail);
	section_begin(&tail, SECTION_RAM_BASE, 1, SECTION_MANDATORY);
	field_add(&tail.buffer, "identity", 1, 16, base.header.identity);
	field_add_text(&tail.buffer, "path", it.base);
	field_add(&tail.buffer, "pages", 1, sizeof(pages), pages);
	section_end(&tail);
	commit.head_end = head.buffer.size;
	commit.tail = FORMAT_RAM_ALIGNMENT + RAM_SIZE;
	commit.size = commit.tail + tail.buffer.size + FORMAT_COMMIT_SIZE;
	commit.checksum = checksum(checksum(0, head.buffer.bytes, head.buffer.size), tail.buffer.bytes, tail.buffer.size);
	format_write_commit(&commit, record);
	put(fd, head.buffer.bytes, head.buffer.size, 0);
	put(fd, tail.buffer.bytes, tail.buffer.size, commit.tail);
	put(fd, record, sizeof(record), commit.size - sizeof(record));
	byte_buffer_free(&head.buffer);
	byte_buffer_free(&tail.buffer);
	snapshot_close(&base);
	close(fd);
}

/* All forms. */
static const struct snapshot_output {
	bool stream;
	int level;
} forms[] = { { .level = 0 }, { .level = 1 }, { .level = 9 }, { .stream = true }, { .stream = true, .level = 6 } };

static int receive(int stream, const char *path, struct error *error)
{
	int fd = create(path), result;

	assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
	result = snapshot_receive(stream, fd, error);
	close(fd);
	return result;
}

/* Writes `from` in another form to `to`. A stream is received into `to`. */
static struct rewrite rewrite(const char *from, const struct snapshot_output *output, const char *to)
{
	int fd = output->stream ? memfd_create("stream", MFD_CLOEXEC) : create(to);
	struct rewrite rewrite = { .fd = fd, .stream = output->stream, .level = output->level };
	struct snapshot snapshot;
	struct error error = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(snapshot_open(&snapshot, from, &error), 0);
	assert_int_equal(snapshot_rewrite(&snapshot, &rewrite, &error), 0);
	if (output->stream)
		assert_int_equal(receive(fd, to, &error), 0);
	snapshot_close(&snapshot);
	close(fd);
	return rewrite;
}

/* Expects that `other` has each section of `one` that does not describe the form. Returns their number. */
static unsigned count_same_sections(struct snapshot *one, struct snapshot *other)
{
	unsigned count = 0;

	for (size_t i = 0; i < one->sections.count; i++) {
		const struct section *section = &one->sections.items[i], *same;

		if (format_is_about_place(section->name))
			continue;
		same = sections_find(&other->sections, section->name);
		assert_non_null(same);
		assert_int_equal(same->version, section->version);
		assert_int_equal(same->flags, section->flags);
		assert_int_equal(same->fields.size, section->fields.size);
		assert_memory_equal(same->fields.bytes, section->fields.bytes, section->fields.size);
		count++;
	}
	return count;
}

/* Expects that the snapshot at `path` has the state of `original`, and no base. */
static void it_is_the_same(const char *original, const char *path, bool compressed)
{
	uint8_t *bytes = malloc(RAM_SIZE);
	struct snapshot one, other;
	struct error error = { 0 };

	assert_int_equal(snapshot_open(&one, original, &error), 0);
	assert_int_equal(snapshot_open(&other, path, &error), 0);
	assert_memory_equal(&other.header, &one.header, sizeof(one.header));
	assert_null(other.base);
	assert_int_equal(other.frames.size, compressed ? FORMAT_RAM_FRAME : 0);
	assert_int_equal(other.ram_base, it.ram.base);
	assert_int_equal(other.ram_size, RAM_SIZE);
	assert_int_equal(snapshot_check_ram(&other, NULL, &error), 0);
	assert_int_equal(snapshot_read_ram(&other, 0, bytes, RAM_SIZE, &error), 0);
	assert_memory_equal(bytes, it.ram.host, RAM_SIZE);
	assert_int_equal(count_same_sections(&one, &other), count_same_sections(&other, &one));
	snapshot_close(&one);
	snapshot_close(&other);
	free(bytes);
}

static void rewrite_converts_each_form_to_each(void **state)
{
	(void)state;
	save(it.base);
	for (size_t first = 0; first < COUNT(forms); first++) {
		rewrite(it.base, &forms[first], it.plain);
		it_is_the_same(it.base, it.plain, forms[first].level != 0);
		for (size_t second = 0; second < COUNT(forms); second++) {
			rewrite(it.plain, &forms[second], it.other);
			it_is_the_same(it.base, it.other, forms[second].level != 0);
		}
	}
}

/* The base is plain or compressed. */
static void rewrite_merges_a_chain(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		save(packed ? it.other : it.base);
		if (packed)
			rewrite(it.other, &forms[1], it.base);
		for (unsigned page = 0; page < PAGES; page += 3) /* the upper file has the changes */
			it.ram.host[page * FORMAT_RAM_PAGE + 1] ^= 0x80;
		save_on_base(it.plain);
		for (size_t i = 0; i < COUNT(forms); i++) {
			rewrite(it.plain, &forms[i], it.other);
			it_is_the_same(it.plain, it.other, forms[i].level != 0);
		}
	}
}

/* A snapshot still works after its base is rewritten in another form. */
static void base_is_found_when_its_form_changed(void **state)
{
	(void)state;
	save(it.other);
	rewrite(it.other, &forms[0], it.base);
	save_on_base(it.plain);
	rewrite(it.other, &forms[1], it.base);
	rewrite(it.plain, &forms[0], it.other);
	it_is_the_same(it.plain, it.other, false);
}

static void rewrite_writes_no_data_for_zeroes(void **state)
{
	struct rewrite made;
	struct stat status;

	(void)state;
	memset(it.ram.host, 0, RAM_SIZE);
	save(it.plain);
	for (size_t i = 0; i < COUNT(forms); i++) {
		made = rewrite(it.plain, &forms[i], it.other);
		it_is_the_same(it.plain, it.other, forms[i].level != 0);
		assert_int_equal(made.data, 0);
		assert_in_range(made.size, 1, 4096);
		assert_int_equal(stat(it.other, &status), 0);
		assert_in_range(status.st_blocks, 0, 16 * 2);
	}
}

static void rewrite_counts_data_and_size(void **state)
{
	struct rewrite plain, packed;
	struct snapshot snapshot;
	struct error error;

	(void)state;
	save(it.plain);
	plain = rewrite(it.plain, &forms[0], it.other);
	packed = rewrite(it.plain, &forms[2], it.other);
	assert_int_equal(plain.data, 3 * FORMAT_RAM_CHUNK + 5 * FORMAT_RAM_PAGE);
	assert_int_equal(packed.data, plain.data);
	assert_in_range(plain.size, plain.data, plain.data + 4096);
	assert_in_range(packed.size, 2 * FORMAT_RAM_CHUNK, 2 * FORMAT_RAM_CHUNK + 8192); /* the incompressible pages */
	assert_int_equal(snapshot_open(&snapshot, it.other, &error), 0);
	assert_true(field_element(&snapshot.frames.sizes, 2) > 0);
	assert_int_equal(field_element(&snapshot.frames.sizes, 3), 0); /* zeroes beside data */
	snapshot_close(&snapshot);
}

/* Rewrites to /dev/null. */
static int try_rewrite(const char *path, const struct snapshot_output *output, const struct snapshot_progress *progress,
		       struct error *error)
{
	struct rewrite rewrite = {
		.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .stream = true, .level = output->level, .progress = progress,
	};
	struct snapshot snapshot;
	int result;

	assert_int_equal(snapshot_open(&snapshot, path, error), 0);
	result = snapshot_rewrite(&snapshot, &rewrite, error);
	snapshot_close(&snapshot);
	close(rewrite.fd);
	return result;
}

/* A copy of damaged RAM would get matching checksums, so the rewrite must fail. */
static void rewrite_fails_when_ram_is_damaged(void **state)
{
	struct error error;
	int fd;

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		save(it.plain);
		fd = open(it.plain, O_RDWR | O_CLOEXEC);
		if (kind == 0) /* in data */
			put(fd, "x", 1, FORMAT_RAM_ALIGNMENT + 100);
		else if (kind == 1) /* in zeroes, at the end of a piece */
			put(fd, "x", 1, FORMAT_RAM_ALIGNMENT + (2 << 20) - 1);
		else /* a hole in place of a piece's data */
			assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						   FORMAT_RAM_ALIGNMENT + (1 << 20), 1 << 20), 0);
		close(fd);
		for (size_t i = 0; i < COUNT(forms); i++) {
			assert_int_equal(try_rewrite(it.plain, &forms[i], NULL, &error), -1);
			assert_non_null(strstr(error.text, "RAM is damaged: the checksum of the 65536 bytes at 0x80"));
		}
	}
}

static bool call_off(void *owner, uint64_t done, uint64_t total)
{
	(void)owner;
	(void)done;
	assert_int_equal(total, RAM_SIZE);
	return false;
}

static void rewrite_stops_when_it_is_cancelled(void **state)
{
	const struct snapshot_progress progress = { .step = call_off };
	struct error error;

	(void)state;
	save(it.plain);
	assert_int_equal(try_rewrite(it.plain, &forms[0], &progress, &error), -1);
	assert_int_equal(error.code, ECANCELED);
}

/* A file size limit replaces a full disk. */
static void rewrite_fails_when_the_disk_is_full(void **state)
{
	const struct rlimit small = { 100000, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rewrite rewrite;
	struct snapshot snapshot;
	struct error error;
	int result;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	save(it.plain);
	assert_int_equal(snapshot_open(&snapshot, it.plain, &error), 0);
	for (size_t i = 0; i < COUNT(forms); i++) {
		rewrite = (struct rewrite){ .fd = create(it.other), .stream = forms[i].stream, .level = forms[i].level };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		result = snapshot_rewrite(&snapshot, &rewrite, &error);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
		assert_int_equal(result, -1);
		assert_int_equal(error.code, EFBIG);
		assert_non_null(strstr(error.text, "writing "));
		close(rewrite.fd);
	}
	snapshot_close(&snapshot);
	signal(SIGXFSZ, SIG_DFL);
}

static void rewrite_fails_when_the_reader_closes_the_pipe(void **state)
{
	struct snapshot snapshot;
	struct error error;
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	save(it.plain);
	assert_int_equal(snapshot_open(&snapshot, it.plain, &error), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct rewrite rewrite = { .fd = ends[1], .stream = true, .level = forms[i].level };

		assert_int_equal(snapshot_rewrite(&snapshot, &rewrite, &error), -1);
		assert_string_equal(error.text, "the reader closed the stream before its end");
	}
	close(ends[1]);
	snapshot_close(&snapshot);
	signal(SIGPIPE, SIG_DFL);
}

/* Damaged streams. */

struct stream {
	uint8_t *bytes;
	size_t size;
	size_t records[64], count; /* offset of each; the last one is their end */
};

#define START 32 /* docs/snapshot-format.md, "Streams" */
#define RECORD 16

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static struct stream make_stream(int level)
{
	struct rewrite rewrite = { .fd = memfd_create("stream", MFD_CLOEXEC), .stream = true, .level = level };
	struct stream stream = { 0 };
	struct snapshot snapshot;
	struct error error;
	size_t at;

	save(it.plain);
	assert_int_equal(snapshot_open(&snapshot, it.plain, &error), 0);
	assert_int_equal(snapshot_rewrite(&snapshot, &rewrite, &error), 0);
	snapshot_close(&snapshot);
	stream.size = (size_t)lseek(rewrite.fd, 0, SEEK_END);
	stream.bytes = malloc(stream.size + 8);
	assert_int_equal(pread(rewrite.fd, stream.bytes, stream.size, 0), stream.size);
	close(rewrite.fd);
	for (at = START + (size_t)get64(stream.bytes + 16); get32(stream.bytes + at + 8);) {
		stream.records[stream.count++] = at;
		at += RECORD + get32(stream.bytes + at + 8);
	}
	stream.records[stream.count++] = at;
	return stream;
}

/* Receives and opens a stream, as a restore does. Opening refuses what the receiver does not check. */
static int take_stream(const uint8_t *bytes, size_t size, struct error *error)
{
	int fd = memfd_create("stream", MFD_CLOEXEC), result;
	struct snapshot snapshot;

	put(fd, bytes, size, 0);
	result = receive(fd, it.other, error);
	close(fd);
	if (result < 0)
		return -1;
	result = snapshot_open(&snapshot, it.other, error);
	if (result == 0)
		snapshot_close(&snapshot);
	return result;
}

static void stream_is_refused_when_it_is_cut(void **state)
{
	struct error error;

	(void)state;
	for (int level = 0; level < 2; level++) {
		struct stream stream = make_stream(level);

		assert_int_equal(take_stream(stream.bytes, stream.size, &error), 0);
		for (size_t i = 0; i < stream.count; i++)
			for (size_t size = stream.records[i] - 1; size <= stream.records[i] + RECORD; size++)
				assert_int_equal(take_stream(stream.bytes, size, &error), -1);
		for (size_t size = 0; size < stream.records[0]; size++)
			assert_int_equal(take_stream(stream.bytes, size, &error), -1);
		for (size_t size = stream.records[stream.count - 1]; size < stream.size; size++)
			assert_int_equal(take_stream(stream.bytes, size, &error), -1);
		free(stream.bytes);
	}
}

static void stream_is_refused_when_bytes_follow_it(void **state)
{
	struct stream stream = make_stream(0);
	struct error error;

	(void)state;
	memset(stream.bytes + stream.size, 0, 8);
	assert_int_equal(take_stream(stream.bytes, stream.size + 1, &error), -1);
	assert_int_equal(take_stream(stream.bytes, stream.size + 8, &error), -1);
	free(stream.bytes);
}

static void stream_is_refused_when_a_byte_is_wrong(void **state)
{
	struct error error;

	(void)state;
	for (int level = 0; level < 2; level++) {
		struct stream stream = make_stream(level);
		size_t tail = stream.records[stream.count - 1];

		for (size_t at = 0; at < stream.size; at += at < stream.records[0] || at >= tail ? 1 : 499) {
			stream.bytes[at] ^= (uint8_t)(1u << at % 8);
			error.text[0] = '\0';
			assert_int_equal(take_stream(stream.bytes, stream.size, &error), -1);
			assert_true(error.text[0] != '\0');
			stream.bytes[at] ^= (uint8_t)(1u << at % 8);
		}
		free(stream.bytes);
	}
}

/* Each record is valid, but their order is wrong. */
static void stream_is_refused_when_records_are_out_of_order(void **state)
{
	struct stream stream = make_stream(0);
	size_t one = stream.records[1] - stream.records[0], other = stream.records[2] - stream.records[1];
	uint8_t *first = stream.bytes + stream.records[0], *copy = malloc(one + other);
	struct error error;

	(void)state;
	memcpy(copy, first + one, other);
	memcpy(copy + other, first, one);
	memcpy(first, copy, one + other);
	assert_int_equal(take_stream(stream.bytes, stream.size, &error), -1);
	assert_string_equal(error.text, "the stream's records are not in order");
	free(copy);
	free(stream.bytes);
}

static void stream_is_refused_when_it_is_no_stream(void **state)
{
	uint8_t start[START + FORMAT_HEADER_SIZE] = { 0 };
	struct error error;
	int fd;

	(void)state;
	assert_int_equal(take_stream(start, sizeof(start), &error), -1);
	assert_string_equal(error.text, "this is not a stream of an lkvm snapshot");
	save(it.plain);
	fd = open(it.plain, O_RDONLY | O_CLOEXEC);
	assert_int_equal(receive(fd, it.other, &error), -1);
	assert_non_null(strstr(error.text, "this is a snapshot file, not a stream"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rewrite_converts_each_form_to_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_merges_a_chain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(base_is_found_when_its_form_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_writes_no_data_for_zeroes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_counts_data_and_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_fails_when_ram_is_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_stops_when_it_is_cancelled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_fails_when_the_disk_is_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rewrite_fails_when_the_reader_closes_the_pipe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_is_refused_when_it_is_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_is_refused_when_bytes_follow_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_is_refused_when_a_byte_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_is_refused_when_records_are_out_of_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_is_refused_when_it_is_no_stream, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
