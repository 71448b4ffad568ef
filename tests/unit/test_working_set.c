/* SPDX-License-Identifier: MIT */
/* snapshot/working_set.c: a working set in a snapshot, and detecting the chunks that were accessed. */
#include "state/names.h"
#include "unit/crafted.h"
#include "unit/blind.h"

#include <stdio.h>

#include "snapshot/rewrite.h"
#include "snapshot/working_set.h"

#define CHUNK FORMAT_RAM_CHUNK
#define RAM_SIZE (256ull * CHUNK)
#define BITS (RAM_SIZE / CHUNK / 8)

static char path[] = "/tmp/lkvm-working-set-XXXXXX", other[sizeof(path) + 2];
static uint8_t *model;
static struct snapshot snapshot;

static int set_up(void **state)
{
	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	close(mkstemp(path));
	snprintf(other, sizeof(other), "%s.2", path);
	model = malloc(RAM_SIZE);
	for (uint64_t at = 0; at < RAM_SIZE; at++)
		model[at] = (uint8_t)(at / FORMAT_RAM_PAGE * 31 + at * at / 64 + 1);
	snapshot.fd = -1;
	blind = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (snapshot.fd >= 0)
		snapshot_close(&snapshot);
	free(model);
	unlink(other);
	return unlink(path);
}

/* Writes a snapshot with this working set, or without one. */
static void make(const uint8_t *chunks)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE };
	struct section_writer writer = { 0 };
	struct error error;

	if (chunks)
		working_set_save(chunks, RAM_SIZE, &writer);
	file.more = writer.buffer;
	crafted_write(&file, 1);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
}

static bool is_set(const uint8_t *chunks, uint64_t chunk)
{
	return chunks[chunk / 8] >> chunk % 8 & 1;
}

static void working_set_is_loaded_as_it_was_saved(void **state)
{
	uint8_t chunks[BITS] = { [0] = 0x9e, [1] = 0x01, [BITS - 1] = 0x80 };

	(void)state;
	make(chunks);
	assert_int_equal(working_set_count(&snapshot), 7);
	for (uint64_t chunk = 0; chunk < RAM_SIZE / CHUNK; chunk++)
		assert_int_equal(working_set_has(&snapshot, chunk * CHUNK + chunk), is_set(chunks, chunk));
	assert_false(working_set_has(&snapshot, RAM_SIZE));
	snapshot_close(&snapshot);
	make(NULL);
	assert_int_equal(snapshot.working_set.count, 0);
	assert_int_equal(working_set_count(&snapshot), 0);
	assert_false(working_set_has(&snapshot, 0));
}

/* Another form of the snapshot keeps the section. Readers may ignore it, as it is optional. */
static void working_set_is_kept_by_a_rewrite(void **state)
{
	uint8_t chunks[BITS] = { 0x12, 0x34 };
	struct rewrite rewrite = { .level = 1 };
	struct snapshot copy;
	struct error error;

	(void)state;
	make(chunks);
	assert_int_equal(sections_find(&snapshot.sections, SECTION_WORKING_SET)->flags, 0);
	rewrite.fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(snapshot_rewrite(&snapshot, &rewrite, &error), 0);
	close(rewrite.fd);
	assert_int_equal(snapshot_open(&copy, other, &error), 0);
	assert_int_equal(copy.working_set.count, BITS);
	assert_memory_equal(copy.working_set.values, chunks, BITS);
	snapshot_close(&copy);
}

/* Loads a section with this version and `count` elements of `size` bytes, for RAM of `chunks` chunks. */
static int load(uint32_t version, unsigned size, uint32_t count, const void *values, uint64_t chunks, struct error *error)
{
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct field field = { .count = 77 };
	int result;

	section_begin(&writer, SECTION_WORKING_SET, version, 0);
	if (values)
		field_add(&writer.buffer, "chunks", size, count, values);
	section_end(&writer);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, error), 0);
	result = working_set_load(&sections, chunks * CHUNK, &field, error);
	assert_true(result < 0 ? field.count == 77 : field.count == count);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
	return result;
}

static void working_set_is_refused_when_it_does_not_fit_ram(void **state)
{
	const uint8_t bits[4] = { 0xff, 0x07 };
	struct error error;

	(void)state;
	assert_int_equal(load(1, 1, 2, bits, 11, &error), 0);
	assert_int_equal(load(1, 1, 2, bits, 16, &error), 0);
	assert_int_equal(load(1, 1, 2, bits, 10, &error), -1); /* a bit after the end of RAM */
	assert_string_equal(error.text, "section working-set does not fit 655360 bytes of RAM");
	assert_int_equal(load(1, 1, 2, bits, 8, &error), -1);
	assert_int_equal(load(1, 1, 2, bits, 17, &error), -1);
	assert_int_equal(load(1, 2, 2, bits, 11, &error), -1);
	assert_int_equal(load(1, 1, 0, NULL, 11, &error), -1);
	assert_int_equal(load(2, 1, 2, bits, 11, &error), -1);
	assert_string_equal(error.text, "section working-set is of version 2, this lkvm reads up to 1");
}

/* Opening the file fails then. A check for all faults still examines the rest of the file. */
static void snapshot_open_fails_when_the_working_set_does_not_fit(void **state)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE };
	struct section_writer writer = { 0 };
	uint8_t chunks[BITS + 1] = { 0 };
	struct error error;

	(void)state;
	working_set_save(chunks, RAM_SIZE + 8 * CHUNK, &writer);
	file.more = writer.buffer;
	crafted_write(&file, 1);
	assert_int_equal(snapshot_open(&snapshot, path, &error), -1);
	assert_non_null(strstr(error.text, ": section working-set does not fit 16777216 bytes of RAM"));
}

/* Chunks in other blocks of 2 MiB are not recorded. Near ones may be, as hosts may map more of a file than one chunk. */
static void working_set_record_finds_accessed_chunks(void **state)
{
	uint8_t chunks[BITS] = { 0 };
	struct error error;
	struct ram ram;

	(void)state;
	make(NULL);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0); /* reads the file, so it is in the page cache now */
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_int_equal(*(volatile uint8_t *)(ram.host + 40 * CHUNK + 7), model[40 * CHUNK + 7]);
	ram.host[130 * CHUNK] = 1;
	assert_int_equal(working_set_record(&ram, chunks, &error), 0);
	for (uint64_t chunk = 0; chunk < RAM_SIZE / CHUNK; chunk++)
		if (chunk == 40 || chunk / 32 != 40 / 32)
			assert_int_equal(is_set(chunks, chunk), chunk == 40 || chunk == 130);
	blind = true;
	assert_int_equal(working_set_record(&ram, chunks, &error), -1);
	assert_string_equal(error.text, "this host does not report which memory is resident");
	ram_close(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(working_set_is_loaded_as_it_was_saved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_is_kept_by_a_rewrite, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_is_refused_when_it_does_not_fit_ram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(snapshot_open_fails_when_the_working_set_does_not_fit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_record_finds_accessed_chunks, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
