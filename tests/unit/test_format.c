/* SPDX-License-Identifier: MIT */
/* Writes and reads fields, sections and complete snapshot files, and refuses damaged ones. */
#include "unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/snapshot.h"
#include "unit/guest_writes.h"
#include "util/bits.h"
#include "util/checksum.h"

#define RAM_SIZE (4 * FORMAT_RAM_CHUNK)
static struct ram ram;
static char path[] = "/tmp/lkvm-format-XXXXXX";

/* RAM: chunk 0 is full, chunk 1 is zero, chunk 2 has one page, chunk 3 is zero. */
static int setup(void **state)
{
	struct error error;

	(void)state;
	if (ram_open(&ram, 0x80000000, RAM_SIZE, &error) < 0)
		return -1;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	close(mkstemp(path));
	for (size_t i = 0; i < FORMAT_RAM_CHUNK; i++)
		ram.host[i] = (uint8_t)(i * 7 + 1);
	memset(ram.host + 2 * FORMAT_RAM_CHUNK + 8192, 0x5a, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ram_close(&ram);
	unlink(path);
	return 0;
}

static void write_file(const char *fault)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct section_writer sections = { 0 };
	struct snapshot_writer writer = { .fd = fd, .ram = &ram, .fault = fault };
	const uint32_t words[] = { 1, 2, 0xdeadbeef };
	struct error error;

	assert_true(fd >= 0);
	section_begin(&sections, "thing", 1, SECTION_MANDATORY);
	field_add_number(&sections.buffer, "number", 42);
	field_add_text(&sections.buffer, "text", "hello");
	field_add(&sections.buffer, "words", 4, 3, words);
	section_end(&sections);
	assert_int_equal(snapshot_write(&writer, &sections.buffer, &error), fault ? -1 : 0);
	snapshot_end(&writer);
	byte_buffer_free(&sections.buffer);
	close(fd);
}

static void snapshot_reads_what_was_written(void **state)
{
	const struct section *section;
	struct snapshot snapshot;
	struct field field;
	struct error error;
	uint64_t number;
	char text[16];

	(void)state;
	write_file(NULL);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot.ram_base, 0x80000000);
	assert_int_equal(snapshot.ram_size, RAM_SIZE);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
	assert_int_equal(sections_check_used(&snapshot.sections, &error), -1); /* "thing" */
	section = sections_need(&snapshot.sections, "thing", 1, &error);
	assert_non_null(section);
	assert_int_equal(sections_check_used(&snapshot.sections, &error), 0);
	assert_int_equal(field_get_number(&section->fields, "number", &number, &error), 0);
	assert_int_equal(number, 42);
	assert_int_equal(field_get_text(&section->fields, "text", text, sizeof(text), &error), 0);
	assert_string_equal(text, "hello");
	assert_true(field_find(&section->fields, "words", &field));
	assert_int_equal(field.count, 3);
	assert_int_equal(field_element(&field, 2), 0xdeadbeef);
	assert_int_equal(field_get_number(&section->fields, "words", &number, &error), -1);
	assert_int_equal(field_get_text(&section->fields, "text", text, 5, &error), -1);
	assert_null(sections_need(&snapshot.sections, "thing", 0, &error));
	snapshot_close(&snapshot);
}

static void ram_is_saved_again_when_it_was_mapped_from_a_snapshot(void **state)
{
	struct ram original = ram;
	struct snapshot snapshot;
	struct error error;

	(void)state;
	write_file(NULL);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_memory_equal(ram.host, original.host, RAM_SIZE);
	ram_close(&ram);

	/* RAM is mapped from the file, and one page changes. The save has the untouched pages, too. */
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	ram.host[3 * FORMAT_RAM_CHUNK] = 1;
	unlink(path); /* RAM is still mapped from it */
	write_file(NULL);
	ram_close(&ram);
	snapshot_close(&snapshot);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_memory_equal(ram.host, original.host, 3 * FORMAT_RAM_CHUNK);
	assert_int_equal(ram.host[3 * FORMAT_RAM_CHUNK], 1);
	ram_close(&ram);
	snapshot_close(&snapshot);
	ram = original;
}

struct scribble {
	atomic_bool began, stop;
};

GUEST_WRITES static void *scribble(void *argument)
{
	volatile uint8_t *byte = ram.host + 100;
	struct scribble *scribble = argument;

	while (!atomic_load(&scribble->stop)) {
		atomic_store(&scribble->began, true);
		*byte = 1;
		*byte = 2;
		byte[FORMAT_RAM_CHUNK] ^= 1; /* in a page that is zero, or nearly zero */
	}
	return NULL;
}

/* RAM changes while it is copied. The finished file has RAM's last contents and their checksums. */
static void save_has_last_contents_of_ram_that_changes(void **state)
{
	const struct byte_buffer none = { 0 };
	struct ram original = ram;
	struct snapshot snapshot;
	struct error error;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct snapshot_writer writer = { .fd = fd, .ram = &ram };
		struct scribble scribbles = { false, false };
		pthread_t thread;

		assert_int_equal(snapshot_begin(&writer, &error), 0);
		assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbles), 0);
		while (!atomic_load(&scribbles.began))
			;
		assert_int_equal(snapshot_copy(&writer, NULL, &error), 0);
		atomic_store(&scribbles.stop, true);
		pthread_join(thread, NULL);
		memset(ram.host + 2 * FORMAT_RAM_CHUNK + 8192, (int)(round % 3), 4096); /* sometimes zero */
		ram.host[3 * FORMAT_RAM_CHUNK + 4096 * (round % 16)] ^= 0x80;
		assert_int_equal(snapshot_write_final(&writer, NULL, &error), 0);
		assert_int_equal(snapshot_finish(&writer, &none, &error), 0);
		snapshot_end(&writer);
		close(fd);

		assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
		assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
		assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
		assert_memory_equal(ram.host, original.host, RAM_SIZE);
		ram_close(&ram);
		ram = original;
		snapshot_close(&snapshot);
	}
}

static void snapshot_open_refuses_unfinished_file(void **state)
{
	static const char *const faults[] = { "save/head", "save/ram", "save/sections", "save/commit" };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		write_file(faults[i]);
		assert_int_equal(snapshot_open(&snapshot, path, &error), -1);
		assert_non_null(strstr(error.text, path));
	}
}

/* Opening a pipe must not block. */
static void snapshot_open_refuses_other_than_regular_files(void **state)
{
	static const char *const others[] = { path, "/dev/null", "/tmp" };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < COUNT(others); i++) {
		alarm(10);
		assert_int_equal(snapshot_open(&snapshot, others[i], &error), -1);
		alarm(0);
		assert_non_null(strstr(error.text, "it is not a regular file"));
		assert_int_equal(snapshot.fd, -1);
	}
	unlink(path);
}

/* Returns whether the file and its RAM are accepted. */
static bool is_taken(struct error *error)
{
	struct snapshot snapshot;
	bool taken;

	if (snapshot_open(&snapshot, path, error) < 0)
		return false;
	taken = snapshot_check_ram(&snapshot, NULL, error) == 0;
	snapshot_close(&snapshot);
	return taken;
}

static void store(const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* Damages a file in two thousand ways. Each is refused with an error. Damage between head and RAM has no effect. */
static void snapshot_open_and_check_find_damage(void **state)
{
	uint64_t random = 88172645463325252ull;
	uint64_t head_end, ram_offset;
	struct snapshot snapshot;
	struct error error;
	struct stat status;
	uint8_t *good, *bad;
	size_t size;
	int fd;

	(void)state;
	write_file(NULL);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	ram_offset = snapshot.ram_offset;
	snapshot_close(&snapshot);
	assert_int_equal(stat(path, &status), 0);
	size = (size_t)status.st_size;
	good = malloc(size);
	bad = malloc(size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, good, size), size);
	close(fd);
	memcpy(&head_end, good + size - FORMAT_COMMIT_SIZE + 24, sizeof(head_end));

	for (unsigned i = 0; i < 2000; i++) {
		size_t length = size, at;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Most of the file is RAM, so half of the damage goes to the structured parts. */
		at = (random >> 16) % (random & 1 ? head_end : size);
		if (at >= head_end && at < ram_offset)
			at = (random >> 8) & 1 ? size - 1 - at % FORMAT_COMMIT_SIZE : at % head_end;
		memcpy(bad, good, size);
		if (i % 4 == 0)
			length = at;
		else if (i % 4 == 1)
			memset(bad + (at & ~7ull), i % 8 == 1 ? 0xff : 0x80, 8);
		else
			bad[at] ^= (uint8_t)(1u << (random >> 32) % 8);
		if (length == size && !memcmp(bad, good, size))
			continue;
		store(bad, length);
		error.text[0] = '\0';
		if (is_taken(&error))
			fail_msg("file %u, changed at %zu, was taken", i, at);
		assert_true(strlen(error.text) > 10);
	}
	free(good);
	free(bad);
}

/* RAM must lie between head and tail. Otherwise a guest or a reader would take sections for RAM. All checksums are right. */
static void snapshot_open_refuses_ram_that_overlaps_sections(void **state)
{
	static const uint64_t offsets[] = { 0, 2 * FORMAT_RAM_ALIGNMENT, UINT64_MAX & ~0xffffull, FORMAT_RAM_ALIGNMENT };
	struct snapshot snapshot;
	uint64_t head_end, tail;
	struct error error;
	struct stat status;
	uint8_t *bytes, *section, *commit;
	size_t size;
	int fd;

	(void)state;
	write_file(NULL);
	assert_int_equal(stat(path, &status), 0);
	size = (size_t)status.st_size;
	bytes = malloc(size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, bytes, size), size);
	close(fd);
	commit = bytes + size - FORMAT_COMMIT_SIZE;
	memcpy(&head_end, commit + 24, sizeof(head_end));
	memcpy(&tail, commit + 32, sizeof(tail));
	section = bytes + head_end - 64 - 3 * 24; /* the last fields of the head: base, size, offset */
	assert_memory_equal(section + 24, "ram", 4);
	for (size_t i = 0; i < COUNT(offsets); i++) {
		bool good = offsets[i] == FORMAT_RAM_ALIGNMENT;

		memcpy(bytes + head_end - 8, &offsets[i], 8);
		put32(section + 12, checksum(0, section + 64, 3 * 24));
		put32(section + 60, checksum(0, section, 60));
		put32(commit + 48, checksum(checksum(0, bytes, head_end), bytes + tail, size - 64 - tail));
		put32(commit + 60, checksum(0, commit, 60));
		store(bytes, size);
		assert_int_equal(snapshot_open(&snapshot, path, &error), good ? 0 : -1);
		if (good)
			snapshot_close(&snapshot);
		else
			assert_non_null(strstr(error.text, "section ram: "));
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(snapshot_reads_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(ram_is_saved_again_when_it_was_mapped_from_a_snapshot, setup, teardown),
		cmocka_unit_test_setup_teardown(save_has_last_contents_of_ram_that_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshot_open_refuses_unfinished_file, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshot_open_refuses_other_than_regular_files, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshot_open_and_check_find_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshot_open_refuses_ram_that_overlaps_sections, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
