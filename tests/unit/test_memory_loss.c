/* SPDX-License-Identifier: MIT */
/* Guest memory that is lost: no thread goes on with it, whoever meets the loss, and the sentence names the file. */
#include "unit/crafted.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lkvm/memory_loss.h"
#include "lkvm/pager.h"

#define RAM_SIZE (64ull * FORMAT_RAM_CHUNK)
#define DAMAGED 7u /* chunk */
#define CUT (RAM_SIZE / 2)

enum { ENDED = 7, WENT_ON, BAD_RIG, SKIPPED };

static char folder[] = "/tmp/lkvm-loss-XXXXXX";
static char path[sizeof(folder) + 2];
static uint8_t *model;

/* In the child. */
static struct rig {
	struct memory_loss loss;
	struct snapshot snapshot;
	struct snapshot_missing missing;
	struct ram ram;
	struct pager pager;
	const char *expected; /* in the sentence */
	atomic_bool went_on;
} rig;

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	model = malloc(RAM_SIZE);
	memset(model, 0x5a, RAM_SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	free(model);
	return 0;
}

/* Neither a thread nor the kernel gets at it any more. */
static void end_process(void *owner)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC), pipes[2];
	struct error error = rig.loss.error;

	(void)owner;
	if (null_fd < 0 || pipe(pipes) < 0 || write(pipes[1], rig.ram.host, 1) != -1 || errno != EFAULT)
		_exit(BAD_RIG);
	if (rig.loss.at || error.code == EFAULT) {
		uint64_t offset = rig.loss.at ? (uint64_t)(rig.loss.at - rig.loss.host) : SNAPSHOT_ANYWHERE;

		if (!snapshot_find_lost(&rig.snapshot, offset, &error))
			_exit(BAD_RIG);
	}
	usleep(20000); /* for whoever might go on */
	if (!strstr(error.text, rig.expected))
		fprintf(stderr, "no \"%s\" in: %s\n", rig.expected, error.text);
	_exit(atomic_load(&rig.went_on) || !strstr(error.text, rig.expected) ? WENT_ON : ENDED);
}

static void *touch(void *at)
{
	uint8_t byte = *(volatile uint8_t *)at;

	atomic_store(&rig.went_on, true);
	return (void *)(uintptr_t)byte;
}

static void open_ram(uint64_t frame, uint32_t damaged)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE, .frame = frame, .damaged_chunk = damaged };
	struct error error;

	crafted_write(&file, 1);
	rig.loss.lost = end_process;
	if (snapshot_open(&rig.snapshot, path, &error) < 0 || snapshot_map_ram(&rig.snapshot, &rig.ram, &rig.missing, &error) < 0 ||
	    memory_loss_open(&rig.loss, &error) < 0)
		_exit(BAD_RIG);
	memory_loss_watch(rig.ram.host, rig.ram.size);
}

static void start_thread(uint64_t offset)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, touch, rig.ram.host + offset))
		_exit(BAD_RIG);
}

static void expect_end(void (*lose)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		lose();
		sleep(20);
		_exit(BAD_RIG);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), ENDED);
}

static void cut_under_a_thread(void)
{
	open_ram(0, 0);
	rig.expected = "/s became shorter while it was in use: it has ";
	if (truncate(path, CUT) < 0)
		_exit(BAD_RIG);
	start_thread(RAM_SIZE - 1);
}

static void no_thread_goes_on_when_file_is_cut(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++)
		expect_end(cut_under_a_thread);
}

/* As KVM and a disk's worker meet it. */
static void cut_under_the_kernel(void)
{
	int pipes[2];

	open_ram(0, 0);
	rig.expected = "/s became shorter while it was in use: it has ";
	if (truncate(path, CUT) < 0 || pipe(pipes) < 0 || write(pipes[1], rig.ram.host + RAM_SIZE - 4096, 1) != -1)
		_exit(BAD_RIG);
	memory_check(EIO, "another error");
	memory_check(errno, "write");
	atomic_store(&rig.went_on, true);
}

static void no_thread_goes_on_when_system_call_cannot_access_memory(void **state)
{
	(void)state;
	expect_end(cut_under_the_kernel);
}

static bool is_damaged(void *owner)
{
	struct error error;

	(void)owner;
	return snapshot_find_lost(&rig.snapshot, SNAPSHOT_ANYWHERE, &error);
}

/* KVM gives EFAULT for a guest's wrong address, too: that alone ends nothing. */
static void suspected_then_cut(void)
{
	struct error why;

	open_ram(0, 0);
	rig.loss.is_damaged = is_damaged;
	rig.expected = "/s became shorter while it was in use: it has ";
	error_system(&why, EFAULT, "KVM_DEV_ARM_ITS_SAVE_TABLES");
	memory_suspect(&why);
	if (truncate(path, CUT) < 0)
		_exit(BAD_RIG);
	why.code = EINVAL;
	memory_suspect(&why);
	why.code = EFAULT;
	memory_suspect(&why);
	atomic_store(&rig.went_on, true);
}

static void error_of_kvm_ends_the_process_only_when_a_file_is_damaged(void **state)
{
	(void)state;
	expect_end(suspected_then_cut);
}

/* It returns, and nobody else ends the process. */
static void suspected_without_damage(void)
{
	struct error why;

	open_ram(0, 0);
	rig.loss.is_damaged = is_damaged;
	error_system(&why, EFAULT, "KVM_DEV_ARM_ITS_SAVE_TABLES");
	memory_suspect(&why);
	_exit(ENDED);
}

static void error_of_kvm_ends_nothing_when_files_are_whole(void **state)
{
	(void)state;
	expect_end(suspected_without_damage);
}

static void damage_under_a_thread(void)
{
	struct error error;

	open_ram(FORMAT_RAM_FRAME, DAMAGED);
	rig.expected = "RAM is damaged: the checksum of the 65536 bytes at 0x80070000 is wrong";
	if (pager_open(&rig.pager, &rig.snapshot, &rig.ram, &rig.missing, true, &error) < 0)
		_exit(SKIPPED);
	start_thread(DAMAGED * FORMAT_RAM_CHUNK);
}

static void no_thread_sees_zeroes_when_compressed_ram_is_damaged(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++)
		expect_end(damage_under_a_thread);
}

static void close_returns_when_nothing_was_lost(void **state)
{
	struct memory_loss loss = { .lost = end_process };
	struct error error;

	(void)state;
	assert_int_equal(memory_loss_open(&loss, &error), 0);
	memory_loss_close(&loss);
	memory_loss_close(&loss);
	memory_lost(&error); /* nobody watches */
	memory_check(EFAULT, "write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_thread_goes_on_when_file_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(no_thread_goes_on_when_system_call_cannot_access_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(error_of_kvm_ends_the_process_only_when_a_file_is_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(error_of_kvm_ends_nothing_when_files_are_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(no_thread_sees_zeroes_when_compressed_ram_is_damaged, setup, teardown),
		cmocka_unit_test(close_returns_when_nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
