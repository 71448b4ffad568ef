/* SPDX-License-Identifier: MIT */
/* Saves that are based on another snapshot: chains have RAM's contents, with or without a record of changed pages. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/snapshot.h"

#define BASE 0x80000000u
#define RAM_SIZE (9u << 20)
#define CHUNKS (RAM_SIZE / FORMAT_RAM_CHUNK)
#define FILES 6u

static char folder[] = "/tmp/incremental-XXXXXX";
static char paths[FILES][64];
static struct ram ram;
static uint16_t pages[CHUNKS]; /* written since the last save */
static uint8_t model[FILES][RAM_SIZE];

static int setup(void **state)
{
	struct error error;

	(void)state;
	srandom(1);
	assert_int_equal(ram_open(&ram, BASE, RAM_SIZE, &error), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ram_close(&ram);
	for (unsigned i = 0; i < FILES; i++)
		unlink(paths[i]);
	return 0;
}

/* Some pages get new contents, some become zero, and some are written with the same contents. */
static void change(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t page = (uint64_t)random() % (RAM_SIZE / FORMAT_RAM_PAGE);
		uint8_t *at = ram.host + page * FORMAT_RAM_PAGE;

		pages[page / 16] |= (uint16_t)(1u << page % 16);
		if (random() % 4 == 0)
			memset(at, 0, FORMAT_RAM_PAGE);
		else
			at[random() % FORMAT_RAM_PAGE] += (uint8_t)(random() % 3);
	}
}

/* Saves as file `number`, based on the previous file unless it is the first. `known`: passes the record of changed pages. */
static int save_with(unsigned number, bool known, const char *fault, struct error *error)
{
	struct snapshot_writer writer = { .ram = &ram, .fault = fault };
	const struct byte_buffer none = { 0 };
	struct snapshot base = { .fd = -1 };
	int result;

	writer.fd = open(paths[number], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(writer.fd >= 0);
	if (number > 0) {
		assert_int_equal(snapshot_open(&base, paths[number - 1], error), 0);
		writer.base = &base;
		writer.base_path = paths[number - 1];
	}
	result = snapshot_begin(&writer, error);
	if (result == 0)
		result = snapshot_copy(&writer, known ? pages : NULL, error);
	if (result == 0)
		result = snapshot_write_final(&writer, known ? pages : NULL, error);
	if (result == 0)
		result = snapshot_finish(&writer, &none, error);
	snapshot_end(&writer);
	close(writer.fd);
	if (base.fd >= 0)
		snapshot_close(&base);
	return result;
}

static void save(unsigned number, bool known)
{
	struct error error;

	if (save_with(number, known, NULL, &error) < 0)
		fail_msg("%s", error.text);
	memcpy(model[number], ram.host, RAM_SIZE);
	memset(pages, 0, sizeof(pages));
}

/* Checks file `number` with each way to read it. */
static void check(unsigned number)
{
	struct snapshot snapshot;
	struct ram read;
	struct error error;

	if (snapshot_open(&snapshot, paths[number], &error) < 0 || snapshot_check_ram(&snapshot, NULL, &error) < 0 ||
	    snapshot_map_ram(&snapshot, &read, NULL, &error) < 0)
		fail_msg("file %u: %s", number, error.text);
	assert_memory_equal(read.host, model[number], RAM_SIZE);
	ram_close(&read);
	snapshot_close(&snapshot);
}

static void saved_in_a_chain(bool known)
{
	memset(ram.host + (1 << 20), 0x5a, 1 << 20);
	change(200);
	save(0, false);
	for (unsigned i = 1; i < FILES; i++) {
		change(20 * i);
		save(i, known);
	}
	for (unsigned i = 0; i < FILES; i++)
		check(i);
}

static void chain_has_contents_of_ram_when_changed_pages_are_known(void **state) { (void)state; saved_in_a_chain(true); }
static void chain_has_contents_of_ram_when_pages_are_compared(void **state) { (void)state; saved_in_a_chain(false); }

/* RAM is mapped from the base, so only private pages can differ. */
static void save_writes_only_changed_pages_when_ram_is_mapped_from_its_base(void **state)
{
	struct snapshot from[FILES];
	struct error error;
	struct stat status;

	(void)state;
	memset(ram.host, 0x5a, RAM_SIZE / 2);
	save(0, false);
	for (unsigned i = 1; i < FILES; i++) {
		ram_close(&ram);
		assert_int_equal(snapshot_open(&from[i], paths[i - 1], &error), 0);
		assert_int_equal(snapshot_map_ram(&from[i], &ram, NULL, &error), 0);
		assert_memory_equal(ram.host, model[i - 1], RAM_SIZE); /* reads all pages, which does not change them */
		change(5);
		save(i, false);
		assert_int_equal(stat(paths[i], &status), 0);
		assert_true(status.st_blocks * 512 < 5 * 4096 + 0x10000 + 0x10000);
	}
	for (unsigned i = 0; i < FILES; i++)
		check(i);
	ram_close(&ram);
	for (unsigned i = 1; i < FILES; i++)
		snapshot_close(&from[i]);
	assert_int_equal(ram_open(&ram, BASE, RAM_SIZE, &error), 0);
}

/* RAM is mapped from the first file, and the save is based on another one. */
static void save_is_complete_when_ram_is_mapped_from_another_file(void **state)
{
	struct snapshot from;
	struct error error;

	(void)state;
	change(100);
	save(0, false);
	change(100);
	save(1, false);
	ram_close(&ram);
	assert_int_equal(snapshot_open(&from, paths[0], &error), 0);
	assert_int_equal(snapshot_map_ram(&from, &ram, NULL, &error), 0);
	change(3);
	save(2, false);
	check(2);
	ram_close(&ram);
	snapshot_close(&from);
	assert_int_equal(ram_open(&ram, BASE, RAM_SIZE, &error), 0);
}

static void recheck_fails_when_the_log_missed_a_page(void **state)
{
	struct error error;

	(void)state;
	change(10);
	save(0, false);
	change(10);
	assert_int_equal(save_with(1, true, "save/recheck", &error), 0);
	save(0, false);
	ram.host[0x123456] ^= 1;
	assert_int_equal(save_with(1, true, "save/recheck", &error), -1);
	assert_non_null(strstr(error.text, "RAM at 0x80120000 changed"));
}

static void snapshot_open_fails_when_the_base_is_missing_or_another(void **state)
{
	struct snapshot snapshot;
	struct error error;
	char moved[80];

	(void)state;
	change(10);
	save(0, false);
	change(10);
	save(1, false);
	save(2, false);

	/* The base is another snapshot. */
	change(10);
	save(0, false);
	assert_int_equal(snapshot_open(&snapshot, paths[2], &error), -1);
	assert_non_null(strstr(error.text, "is another snapshot now"));
	assert_int_equal(snapshot.fd, -1);

	/* The base is not a file. It is not opened: that could have effects. */
	unlink(paths[0]);
	assert_int_equal(mkfifo(paths[0], 0600), 0);
	assert_int_equal(snapshot_open(&snapshot, paths[2], &error), -1);
	assert_non_null(strstr(error.text, "is not a regular file"));

	/* The base is the file itself. */
	assert_int_equal(rename(paths[2], paths[1]), 0);
	assert_int_equal(snapshot_open(&snapshot, paths[1], &error), -1);
	assert_non_null(strstr(error.text, "is another snapshot now"));

	unlink(paths[0]);
	snprintf(moved, sizeof(moved), "%s/sub", folder);
	assert_int_equal(snapshot_open(&snapshot, paths[1], &error), -1);
}

/* The user's file is complete, so the error must name the base. */
static void error_names_the_base_when_base_is_cut(void **state)
{
	struct snapshot snapshot;
	struct ram read;
	struct error error;

	(void)state;
	change(20);
	save(0, true);
	change(20);
	save(1, true);
	assert_int_equal(snapshot_open(&snapshot, paths[1], &error), 0);
	assert_int_equal(ram_open(&read, BASE, RAM_SIZE, &error), 0);
	assert_int_equal(truncate(paths[0], RAM_SIZE / 2), 0);
	assert_int_equal(snapshot_load_ram(&snapshot, &read, true, &error), -1);
	assert_non_null(strstr(error.text, "its base /tmp/incremental-"));
	assert_non_null(strstr(error.text, "it was cut short while it was read"));
	ram_close(&read);
	snapshot_close(&snapshot);
}

/* The base is searched first in the folder of the file, then at its saved path. */
static void chain_is_found_when_its_files_are_moved(void **state)
{
	struct snapshot snapshot;
	struct error error;
	char moved[2][96];

	(void)state;
	change(10);
	save(0, false);
	change(10);
	save(1, false);
	snprintf(moved[0], sizeof(moved[0]), "%s/sub", folder);
	assert_int_equal(mkdir(moved[0], 0700), 0);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(moved[i], sizeof(moved[i]), "%s/sub/%u", folder, i);
		assert_int_equal(rename(paths[i], moved[i]), 0);
	}
	assert_int_equal(snapshot_open(&snapshot, moved[1], &error), 0);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
	snapshot_close(&snapshot);
	unlink(moved[0]);
	unlink(moved[1]);
	snprintf(moved[0], sizeof(moved[0]), "%s/sub", folder);
	rmdir(moved[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(chain_has_contents_of_ram_when_changed_pages_are_known),
		TEST(chain_has_contents_of_ram_when_pages_are_compared),
		TEST(save_writes_only_changed_pages_when_ram_is_mapped_from_its_base),
		TEST(save_is_complete_when_ram_is_mapped_from_another_file),
		TEST(recheck_fails_when_the_log_missed_a_page),
		TEST(snapshot_open_fails_when_the_base_is_missing_or_another),
		TEST(error_names_the_base_when_base_is_cut),
		TEST(chain_is_found_when_its_files_are_moved),
	};
	int result;

	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < FILES; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%u", folder, i);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return result;
}
