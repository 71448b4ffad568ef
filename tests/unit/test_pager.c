/* SPDX-License-Identifier: MIT */
/* The pager, which loads RAM while it is in use: accesses, discarded pages, prefaulting, damage and the end. */
#include "unit/crafted.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "snapshot/pager.h"
#include "memory/prefault.h"

#define RAM_SIZE (256ull * FORMAT_RAM_CHUNK)
#define PAGE FORMAT_RAM_PAGE

static char folder[] = "/tmp/lkvm-pager-XXXXXX";
static char paths[2][sizeof(folder) + 4];
static uint8_t *model;
static uint8_t pages[RAM_SIZE / PAGE / 8];
static atomic_bool held; /* nothing is read ahead, so a thread waited for each page that is loaded */

static struct rig {
	struct snapshot snapshot;
	struct snapshot_unloaded unloaded;
	struct ram ram;
	struct pager pager;
} rig;

/* Only the thread that reads ahead has the lowest priority. */
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t);

	while (atomic_load(&held) && getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)) == 19)
		usleep(1000);
	*(void **)&real = dlsym(RTLD_NEXT, "pread");
	return real(fd, to, size, at);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < 2; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/s%u", folder, i);
	model = calloc(1, RAM_SIZE);
	/* Three of four pages are not zero, but all pages of the third quarter are. */
	for (uint64_t page = 0; page < RAM_SIZE / PAGE; page++)
		for (uint64_t i = 0; page % 4 && page / (RAM_SIZE / PAGE / 4) != 2 && i < PAGE; i++)
			model[page * PAGE + i] = (uint8_t)(page * 31 + i * i / 64 + 1);
	atomic_store(&held, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		unlink(paths[i]);
	rmdir(folder);
	free(model);
	return 0;
}

static void open_ram(const char *path)
{
	struct error error;

	assert_int_equal(snapshot_open(&rig.snapshot, path, &error), 0);
	assert_int_equal(snapshot_map_ram(&rig.snapshot, &rig.ram, &rig.unloaded, &error), 0);
}

static void start(const char *path)
{
	struct error error;

	open_ram(path);
	if (pager_open(&rig.pager, &rig.snapshot, &rig.ram, &rig.unloaded, true, &error) < 0) {
		print_message("%s\n", error.text);
		skip();
	}
}

/* Opens a compressed file without a base. */
static void start_frames(uint32_t damaged_chunk)
{
	struct crafted file = {
		.path = paths[0], .ram = model, .size = RAM_SIZE, .frame = FORMAT_RAM_FRAME, .damaged_chunk = damaged_chunk,
	};

	crafted_write(&file, 1);
	start(paths[0]);
}

static void end(int result)
{
	struct pollfd wait = { .fd = rig.pager.done_fd, .events = POLLIN };

	atomic_store(&held, false);
	assert_int_equal(poll(&wait, 1, 200000), 1);
	assert_int_equal(atomic_load(&rig.pager.result), result);
	pager_close(&rig.pager);
	assert_false(pager_is_open(&rig.pager));
}

static void close_ram(void)
{
	ram_close(&rig.ram);
	snapshot_close(&rig.snapshot);
}

static uint64_t resident(void)
{
	static unsigned char there[RAM_SIZE / PAGE];
	uint64_t count = 0;

	assert_int_equal(mincore(rig.ram.host, RAM_SIZE, there), 0);
	for (uint64_t i = 0; i < RAM_SIZE / PAGE; i++)
		count += there[i] & 1;
	return count;
}

/* Waits until this number of pages is resident, and expects no more. */
static void await_resident(uint64_t count)
{
	for (unsigned tries = 0; resident() < count && tries < 10000; tries++)
		usleep(1000);
	assert_int_equal(resident(), count);
}

static void *compare_backwards(void *argument)
{
	long wrong = 0;

	(void)argument;
	for (uint64_t at = RAM_SIZE; at > 0; at -= PAGE)
		wrong += memcmp(rig.ram.host + at - PAGE, model + at - PAGE, PAGE) != 0;
	return (void *)wrong;
}

static void pager_loads_memory_that_is_accessed(void **state)
{
	uint8_t bytes[PAGE];
	pthread_t thread;
	int pipes[2];
	void *wrong;

	(void)state;
	atomic_store(&held, true);
	start_frames(0);
	assert_int_equal(resident(), 0);
	assert_int_equal(rig.ram.host[5 * PAGE], model[5 * PAGE]);
	/* A complete frame without its zero pages. */
	await_resident(FORMAT_RAM_FRAME / PAGE * 3 / 4);
	/* The kernel accesses RAM, as for KVM. */
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], rig.ram.host + 99 * PAGE, PAGE), PAGE);
	assert_int_equal(read(pipes[0], bytes, PAGE), PAGE);
	assert_memory_equal(bytes, model + 99 * PAGE, PAGE);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(pthread_create(&thread, NULL, compare_backwards, NULL), 0);
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	end(0);
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	close_ram();
}

static void pager_loads_memory_that_is_not_accessed(void **state)
{
	(void)state;
	start_frames(0);
	end(0);
	assert_int_equal(resident(), RAM_SIZE / PAGE / 4 * 3 * 3 / 4);
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	close_ram();
}

/* Prefault ranges are read ahead, from a mapped file or by the pager. */
static void prefault_reads_ranges_ahead(void **state)
{
	const struct prefault_range ranges[] = {
		{ CRAFTED_BASE + 64 * PAGE, CRAFTED_BASE + 128 * PAGE }, { CRAFTED_BASE + 32 * PAGE + 7, CRAFTED_BASE + 33 * PAGE + 8 },
	};
	const struct prefault_range bad = { CRAFTED_BASE + RAM_SIZE - PAGE, CRAFTED_BASE + RAM_SIZE + PAGE };
	struct prefault prefault = { 0 };
	struct error error;

	(void)state;
	atomic_store(&held, true);
	start_frames(0);
	assert_int_equal(prefault_open(&prefault, &rig.ram, &bad, 1, 1, NULL, &error), -1);
	assert_string_equal(error.text, "0x80fff000-0x81001000 is not in RAM, which is 0x80000000-0x81000000");
	prefault_close(&prefault);
	assert_int_equal(prefault_open(&prefault, &rig.ram, ranges, 2, 2, NULL, &error), 0);
	await_resident(64 + FORMAT_RAM_FRAME / PAGE * 3 / 4 + 1); /* in the ranges, zero pages too */
	prefault_close(&prefault);
	end(0);
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	/* Closing while it reads ahead. */
	close_ram();
	start(paths[0]);
	assert_int_equal(prefault_open(&prefault, &rig.ram, ranges, 2, 2, NULL, &error), 0);
	prefault_close(&prefault);
	prefault_close(&prefault);
	pager_close(&rig.pager);
	close_ram();
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Pages that the balloon discarded are zero: they have neither the file's contents nor the guest's. */
static void discarded_pages_are_zero(void **state)
{
	const uint64_t untouched = 64 * 10 + 3, touched = 64 * 11 + 3, beside = 64 * 12 + 3;

	(void)state;
	atomic_store(&held, true);
	start_frames(0);
	assert_int_equal(madvise(rig.ram.host + untouched * PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	rig.ram.host[touched * PAGE] = 0xee;
	assert_int_equal(madvise(rig.ram.host + touched * PAGE, PAGE, MADV_DONTNEED), 0);
	assert_true(is_zero(rig.ram.host + touched * PAGE));
	assert_int_equal(madvise(rig.ram.host + beside * PAGE, PAGE, MADV_DONTNEED), 0);
	assert_memory_equal(rig.ram.host + (beside + 2) * PAGE, model + (beside + 2) * PAGE, PAGE);
	assert_true(is_zero(rig.ram.host + beside * PAGE));
	rig.ram.host[beside * PAGE] = 0x77;
	end(0);
	assert_int_equal(rig.ram.host[beside * PAGE], 0x77);
	assert_true(is_zero(rig.ram.host + untouched * PAGE));
	assert_true(is_zero(rig.ram.host + touched * PAGE));
	memset(model + untouched * PAGE, 0, PAGE);
	memset(model + (untouched + 1) * PAGE, 0, PAGE);
	memset(model + touched * PAGE, 0, PAGE);
	memset(model + beside * PAGE, 0, PAGE);
	model[beside * PAGE] = 0x77;
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	close_ram();
}

static void *give_back(void *argument)
{
	(void)argument;
	for (uint64_t page = 0; page < RAM_SIZE / PAGE; page += 2)
		madvise(rig.ram.host + page * PAGE, PAGE, MADV_DONTNEED);
	return NULL;
}

/* Pages are discarded while the pager loads others, in any order. */
static void discarded_pages_are_zero_when_others_are_loaded(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		pthread_t thread;

		if (round)
			start(paths[0]);
		else
			start_frames(0);
		assert_int_equal(pthread_create(&thread, NULL, give_back, NULL), 0);
		for (uint64_t page = 1; page < RAM_SIZE / PAGE; page += 2)
			assert_memory_equal(rig.ram.host + page * PAGE, model + page * PAGE, PAGE);
		pthread_join(thread, NULL);
		end(0);
		for (uint64_t page = 0; page < RAM_SIZE / PAGE; page += 2)
			assert_true(is_zero(rig.ram.host + page * PAGE));
		close_ram();
	}
}

static void pager_unblocks_threads_when_it_finds_damage(void **state)
{
	const uint64_t at = 7 * FORMAT_RAM_CHUNK;

	(void)state;
	atomic_store(&held, true);
	start_frames(7);
	assert_int_equal(rig.ram.host[PAGE], model[PAGE]);
	assert_true(is_zero(rig.ram.host + at + PAGE));
	assert_true(is_zero(rig.ram.host + at + 9 * PAGE));
	assert_int_equal(rig.ram.host[PAGE], model[PAGE]);
	end(-1);
	assert_string_equal(rig.pager.error.text, "RAM is damaged: the checksum of the 65536 bytes at 0x80070000 is wrong");
	close_ram();

	/* The damaged chunk is not accessed. */
	start_frames(7);
	end(-1);
	assert_string_equal(rig.pager.error.text, "RAM is damaged: the checksum of the 65536 bytes at 0x80070000 is wrong");
	close_ram();

	/* The file has a hole in place of data. */
	start_frames(130);
	end(-1);
	assert_string_equal(rig.pager.error.text, "RAM is damaged: at 0x80820000 there is a hole in the file where data was");
	close_ram();
}

static void pager_close_keeps_loaded_memory_at_any_time(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		if (round)
			start(paths[0]);
		else
			start_frames(0);
		usleep(round * 50);
		assert_int_equal(rig.ram.host[PAGE], model[PAGE]);
		pager_close(&rig.pager);
		assert_int_equal(rig.ram.host[PAGE], model[PAGE]);
		close_ram();
	}
}

/* Chains of a compressed file on a plain one, and of a plain file on a compressed one. */
static void pager_loads_chains(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 2; turn++) {
		struct crafted old = { .path = paths[0], .ram = model, .size = RAM_SIZE, .frame = turn ? FORMAT_RAM_FRAME_LIMIT : 0 };
		struct crafted newer = {
			.path = paths[1], .ram = model, .size = RAM_SIZE, .frame = turn ? 0 : FORMAT_RAM_FRAME,
			.base_path = paths[0], .pages = pages,
		};

		crafted_write(&old, 1);
		memset(pages, 0, sizeof(pages));
		for (uint64_t page = 0; page < RAM_SIZE / PAGE; page++) {
			if (page % 100 < 60)
				continue;
			pages[page / 8] |= (uint8_t)(1u << page % 8);
			memset(model + page * PAGE, page % 3 ? (int)page | 1 : 0, PAGE);
		}
		crafted_write(&newer, 2);
		start(paths[1]);
		assert_memory_equal(rig.ram.host + RAM_SIZE / 2, model + RAM_SIZE / 2, RAM_SIZE / 2);
		end(0);
		assert_memory_equal(rig.ram.host, model, RAM_SIZE);
		close_ram();
	}
}

/* The host provides no userfaultfd, so all of RAM is read at once. */
static void load_unloaded_loads_ram_when_userfaultfd_is_missing(void **state)
{
	struct crafted file = { .path = paths[0], .ram = model, .size = RAM_SIZE, .frame = FORMAT_RAM_FRAME };
	struct rlimit limit, none;
	struct error error;

	(void)state;
	crafted_write(&file, 1);
	open_ram(paths[0]);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(pager_open(&rig.pager, &rig.snapshot, &rig.ram, &rig.unloaded, true, &error), -1);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_false(pager_is_open(&rig.pager));
	assert_non_null(strstr(error.text, "userfaultfd"));
	assert_true(rig.unloaded.is_all);
	assert_true(is_zero(rig.ram.host + PAGE));
	assert_int_equal(snapshot_load_unloaded(&rig.snapshot, &rig.ram, &rig.unloaded, &error), 0);
	assert_memory_equal(rig.ram.host, model, RAM_SIZE);
	snapshot_unloaded_free(&rig.unloaded);
	close_ram();
}

static void load_ram_loads_all_and_finds_damage(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 3; turn++) {
		struct crafted file = {
			.path = paths[0], .ram = model, .size = RAM_SIZE, .frame = turn == 1 ? FORMAT_RAM_FRAME : 0,
			.damaged_chunk = turn == 2 ? 250 : 0,
		};
		struct error error;

		crafted_write(&file, 1);
		assert_int_equal(snapshot_open(&rig.snapshot, paths[0], &error), 0);
		assert_int_equal(ram_open(&rig.ram, CRAFTED_BASE, RAM_SIZE, &error), 0);
		assert_int_equal(snapshot_load_ram(&rig.snapshot, &rig.ram, true, &error), turn == 2 ? -1 : 0);
		if (turn == 2)
			assert_string_equal(error.text, "RAM is damaged: the checksum of the 65536 bytes at 0x80fa0000 is wrong");
		else
			assert_memory_equal(rig.ram.host, model, RAM_SIZE);
		if (turn == 2)
			assert_int_equal(snapshot_load_ram(&rig.snapshot, &rig.ram, false, &error), 0);
		assert_memory_equal(rig.ram.host, model, RAM_SIZE);
		close_ram();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pager_loads_memory_that_is_accessed, setup, teardown),
		cmocka_unit_test_setup_teardown(pager_loads_memory_that_is_not_accessed, setup, teardown),
		cmocka_unit_test_setup_teardown(prefault_reads_ranges_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(discarded_pages_are_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(discarded_pages_are_zero_when_others_are_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(pager_unblocks_threads_when_it_finds_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(pager_close_keeps_loaded_memory_at_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(pager_loads_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(load_unloaded_loads_ram_when_userfaultfd_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(load_ram_loads_all_and_finds_damage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
