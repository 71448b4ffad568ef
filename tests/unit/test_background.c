/* SPDX-License-Identifier: MIT */
/* Copies RAM as of one point in time while other threads and the kernel write it. The file has no later writes. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "save/background.h"
#include "unit/guest_writes.h"

#define BASE 0x80000000u
#define RAM_SIZE (16ull << 20)
#define TOUCHED (12ull << 20) /* RAM from here on was never accessed */
#define PAGE FORMAT_RAM_PAGE

static struct rig {
	char path[40];
	struct ram ram;
	struct snapshot_writer writer;
	struct background background;
	struct snapshot_progress progress;
	uint64_t steps; /* after so many steps the copy is cancelled; 0: never */
	pthread_t thread;
	sem_t prepared;
	int result;
	struct error error;
	uint8_t model[RAM_SIZE];
	uint8_t there[RAM_SIZE / PAGE];
} rig;

static const uint8_t zeroes[PAGE];

static bool step(void *owner, uint64_t done, uint64_t total)
{
	(void)owner;
	assert_true(done < total);
	return rig.steps != 1 && (!rig.steps || --rig.steps);
}

static int setup(void **state)
{
	struct error error;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	assert_int_equal(ram_open(&rig.ram, BASE, RAM_SIZE, &error), 0);
	for (uint64_t at = 0; at < TOUCHED; at += PAGE)
		guest_fill(rig.ram.host + at, at / PAGE % 4 ? (int)(at / PAGE % 251 + 1) : 0, PAGE);
	strcpy(rig.path, "/tmp/lkvm-point-XXXXXX");
	rig.progress.step = step;
	rig.writer = (struct snapshot_writer){ .fd = mkstemp(rig.path), .ram = &rig.ram, .progress = &rig.progress };
	assert_true(rig.writer.fd >= 0);
	rig.background.fault_fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	background_close(&rig.background);
	snapshot_end(&rig.writer);
	close(rig.writer.fd);
	unlink(rig.path);
	ram_close(&rig.ram);
	return 0;
}

static uint64_t resident(void)
{
	uint64_t count = 0;

	assert_int_equal(mincore(rig.ram.host, RAM_SIZE, rig.there), 0);
	for (uint64_t i = 0; i < RAM_SIZE / PAGE; i++)
		count += rig.there[i] & 1;
	return count;
}

static void open_point(const char *fault)
{
	struct error error;

	rig.writer.fault = fault;
	if (background_open(&rig.background, &rig.ram, &rig.writer, &error) < 0) {
		print_message("%s\n", error.text);
		skip();
	}
	assert_int_equal(snapshot_begin(&rig.writer, &error), 0);
}

static void *copy(void *argument)
{
	(void)argument;
	rig.result = background_prepare(&rig.background, &rig.error);
	sem_post(&rig.prepared);
	if (rig.result == 0)
		rig.result = background_copy(&rig.background, &rig.error);
	return NULL;
}

/* Starts the copying thread, and waits until it has prepared for the pause. */
static void prepare(const char *fault)
{
	open_point(fault);
	assert_int_equal(sem_init(&rig.prepared, 0, 0), 0);
	assert_int_equal(pthread_create(&rig.thread, NULL, copy, NULL), 0);
	assert_int_equal(sem_wait(&rig.prepared), 0);
}

static void freeze(void)
{
	struct error error;

	resident();
	memset(rig.model, 0, RAM_SIZE);
	for (uint64_t at = 0; at < RAM_SIZE; at += PAGE)
		if (rig.there[at / PAGE] & 1)
			memcpy(rig.model + at, rig.ram.host + at, PAGE);
	assert_int_equal(background_freeze(&rig.background, &error), 0);
}

static void start(const char *fault)
{
	prepare(fault);
	freeze();
	background_proceed(&rig.background);
}

static void join(int result)
{
	pthread_join(rig.thread, NULL);
	assert_int_equal(rig.result, result);
}

static void file_is_the_model(void)
{
	const struct byte_buffer none = { 0 };
	struct snapshot snapshot;
	struct error error;
	uint8_t bytes[PAGE];
	uint64_t data = 0;

	assert_int_equal(snapshot_finish(&rig.writer, &none, &error), 0);
	assert_int_equal(snapshot_open(&snapshot, rig.path, &error), 0);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
	for (uint64_t at = 0; at < RAM_SIZE; at += PAGE) {
		assert_int_equal(snapshot_read_ram(&snapshot, at, bytes, PAGE, &error), 0);
		if (memcmp(bytes, rig.model + at, PAGE))
			fail_msg("another page at 0x%llx", (unsigned long long)at);
		data += memcmp(bytes, zeroes, PAGE) ? PAGE : 0;
	}
	assert_int_equal(snapshot_written(&rig.writer).data, data);
	snapshot_close(&snapshot);
}

/* Writes all of RAM. It does not return while a page is protected. */
static void write_all(void) { guest_fill(rig.ram.host, 0xa5, RAM_SIZE); }

static void write_backwards(void)
{
	for (uint64_t at = RAM_SIZE; at > 0; at -= PAGE)
		guest_fill(rig.ram.host + at - PAGE, 0x5a, PAGE);
}

/* Counts the mappings of RAM. Other mappings are not counted, as ThreadSanitizer maps and unmaps memory. */
static unsigned mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	uintptr_t from, to, ram = (uintptr_t)rig.ram.host;
	unsigned parts = 0;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
			parts += from < ram + RAM_SIZE && to > ram;
	fclose(file);
	assert_true(parts > 0);
	return parts;
}

static void background_saves_ram_when_nobody_writes_it(void **state)
{
	(void)state;
	start(NULL);
	join(0);
	assert_int_equal(rig.background.held, 0);
	file_is_the_model();
}

static void background_omits_writes_after_the_pause(void **state)
{
	(void)state;
	prepare(NULL);
	freeze();
	guest_fill(rig.ram.host + TOUCHED - 1, 1, 1);
	background_proceed(&rig.background);
	write_backwards();
	join(0);
	assert_true(rig.background.held > 0);
	file_is_the_model();
	for (uint64_t at = 0; at < RAM_SIZE; at++)
		assert_int_equal(rig.ram.host[at], 0x5a);
}

/* Writes before the pause, while RAM is being protected: to pages that exist, that never did, and that were discarded. */
static void background_saves_writes_before_the_pause(void **state)
{
	(void)state;
	madvise(rig.ram.host, RAM_SIZE, MADV_NOHUGEPAGE);
	for (uint64_t at = 0; at < RAM_SIZE; at += 1 << 20)
		madvise(rig.ram.host + at + 5 * FORMAT_RAM_CHUNK, FORMAT_RAM_CHUNK, MADV_DONTNEED);
	prepare(NULL);
	for (uint64_t at = 0; at < RAM_SIZE; at += 3 * PAGE)
		guest_fill(rig.ram.host + at, 0x31, 1);
	for (uint64_t at = 1 << 20; at < RAM_SIZE; at += 1 << 20) {
		ram_discard(&rig.ram, rig.ram.host + at, 32 * PAGE);
		guest_fill(rig.ram.host + at + PAGE, 0x32, PAGE);
		guest_fill(rig.ram.host + at + 2 * PAGE, 0, PAGE);
	}
	freeze();
	for (uint64_t at = 0; at < RAM_SIZE; at += PAGE)
		guest_fill(rig.ram.host + at, 0x33, at / PAGE % 5 ? PAGE : 0);
	background_proceed(&rig.background);
	join(0);
	assert_true(rig.background.held > 0);
	file_is_the_model();
}

/* The kernel writes RAM for KVM, for vhost, and for a device's read(2). */
static void background_omits_writes_of_the_kernel(void **state)
{
	uint8_t bytes[PAGE];
	int pipes[2];

	(void)state;
	memset(bytes, 0x77, PAGE);
	assert_int_equal(pipe(pipes), 0);
	prepare(NULL);
	freeze();
	for (uint64_t at = RAM_SIZE; at > 0; at -= 8 * PAGE) {
		if (at == RAM_SIZE / 2)
			background_proceed(&rig.background);
		assert_int_equal(write(pipes[1], bytes, PAGE), PAGE);
		/* Not read(): ThreadSanitizer intercepts it and would report its write to RAM (guest_writes.h). */
		assert_int_equal(syscall(SYS_read, pipes[0], rig.ram.host + at - PAGE, PAGE), PAGE);
	}
	join(0);
	assert_true(rig.background.held > 0);
	file_is_the_model();
	close(pipes[0]);
	close(pipes[1]);
}

static void background_saves_pages_before_they_are_discarded(void **state)
{
	(void)state;
	start(NULL);
	for (uint64_t at = RAM_SIZE; at > 0; at -= 32 * PAGE)
		ram_discard(&rig.ram, rig.ram.host + at - 32 * PAGE, 32 * PAGE);
	join(0);
	file_is_the_model();
	for (uint64_t at = 0; at < RAM_SIZE; at++)
		assert_int_equal(rig.ram.host[at], 0);
	ram_discard(&rig.ram, rig.ram.host, RAM_SIZE);
	assert_int_equal(resident(), 0);
}

/* With small pages, as one access to a huge page would make many pages resident. */
static void background_leaves_untouched_pages_unallocated(void **state)
{
	uint64_t before;

	(void)state;
	madvise(rig.ram.host, RAM_SIZE, MADV_NOHUGEPAGE);
	madvise(rig.ram.host + TOUCHED, RAM_SIZE - TOUCHED, MADV_DONTNEED);
	before = resident();
	start(NULL);
	join(0);
	file_is_the_model();
	assert_int_equal(resident(), before);
}

static void background_removes_mappings_and_protection_when_closed(void **state)
{
	unsigned before = mappings();

	(void)state;
	start(NULL);
	join(0);
	background_close(&rig.background);
	snapshot_end(&rig.writer);
	assert_int_equal(mappings(), before);
	assert_false(rig.ram.write_protected);
	write_all();
}

/* Threads that wait for a protected page continue after a failure, too. */
static void background_unblocks_writers_when_a_step_fails(void **state)
{
	(void)state;
	prepare("save/take");
	freeze();
	write_backwards();
	background_proceed(&rig.background);
	join(-1);
	write_all();
}

static void background_unblocks_writers_when_cancelled_while_copying(void **state)
{
	(void)state;
	prepare(NULL);
	freeze();
	write_backwards();
	rig.steps = 3;
	background_proceed(&rig.background);
	write_backwards();
	join(-1);
	assert_int_equal(rig.error.code, ECANCELED);
	write_all();
}

static void background_unblocks_writers_when_cancelled_before_the_pause(void **state)
{
	(void)state;
	rig.steps = 3;
	prepare(NULL);
	write_backwards();
	join(-1);
	background_close(&rig.background);
	write_all();
}

static void background_fails_when_cancelled_at_its_first_step(void **state)
{
	(void)state;
	prepare(NULL);
	rig.steps = 1;
	background_proceed(&rig.background);
	join(-1);
	write_all();
}

static void background_open_refuses_ram_that_is_mapped_from_a_file(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(ftruncate(rig.writer.fd, RAM_SIZE), 0);
	assert_int_equal(ram_map(&rig.ram, 0, PAGE, rig.writer.fd, 0, &error), 0);
	assert_int_equal(background_open(&rig.background, &rig.ram, &rig.writer, &error), -1);
	assert_int_equal(error.code, ENOTSUP);
	assert_false(background_is_open(&rig.background));
}

/* Other tests rely on the recheck, which compares the file with a copy of RAM. */
static void recheck_fails_when_a_saved_page_is_wrong(void **state)
{
	(void)state;
	prepare("save/recheck");
	freeze();
	assert_non_null(rig.writer.kept);
	rig.writer.kept[5 * PAGE + 1] ^= 1;
	background_proceed(&rig.background);
	join(-1);
	assert_non_null(strstr(rig.error.text, "RAM at 0x80005000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(background_saves_ram_when_nobody_writes_it, setup, teardown),
		cmocka_unit_test_setup_teardown(background_omits_writes_after_the_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(background_saves_writes_before_the_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(background_omits_writes_of_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(background_saves_pages_before_they_are_discarded, setup, teardown),
		cmocka_unit_test_setup_teardown(background_leaves_untouched_pages_unallocated, setup, teardown),
		cmocka_unit_test_setup_teardown(background_removes_mappings_and_protection_when_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(background_unblocks_writers_when_a_step_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(background_unblocks_writers_when_cancelled_while_copying, setup, teardown),
		cmocka_unit_test_setup_teardown(background_unblocks_writers_when_cancelled_before_the_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(background_fails_when_cancelled_at_its_first_step, setup, teardown),
		cmocka_unit_test_setup_teardown(background_open_refuses_ram_that_is_mapped_from_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(recheck_fails_when_a_saved_page_is_wrong, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
