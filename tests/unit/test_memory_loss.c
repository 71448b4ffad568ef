/* SPDX-License-Identifier: MIT */
/* Loss of guest memory: no thread continues with it, and the error names the file, for each way to detect the loss. */
#include "unit/crafted.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arm/boot.h"
#include "snapshot/checker.h"
#include "machine/machine.h"
#include "memory/memory_loss.h"
#include "snapshot/pager.h"
#include "unit/run_loop.h"
#include "util/bits.h"

#define RAM_SIZE (256ull * FORMAT_RAM_CHUNK)
#define DAMAGED 7u /* index of the damaged chunk */
#define CUT (RAM_SIZE / 2)

enum { ENDED = 7, WENT_ON, BAD_RIG, SKIPPED };

static char folder[] = "/tmp/lkvm-loss-XXXXXX";
static char path[sizeof(folder) + 2], base_path[sizeof(folder) + 5];
static uint8_t *model;

/* State of the child process. */
static struct rig {
	struct memory_loss loss;
	struct snapshot snapshot;
	struct snapshot_unloaded unloaded;
	struct ram ram;
	struct pager pager;
	const char *expected; /* part of the error */
	atomic_bool went_on;
} rig;

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(base_path, sizeof(base_path), "%s/base", folder);
	model = malloc(RAM_SIZE);
	memset(model, 0x5a, RAM_SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(base_path);
	rmdir(folder);
	free(model);
	return 0;
}

/* Checks that neither a thread nor the kernel can access RAM any more, and ends the process. */
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
	usleep(20000); /* time for other threads to continue wrongly */
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

static atomic_uint reads;

ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t);

	atomic_fetch_add(&reads, 1);
	*(void **)&real = dlsym(RTLD_NEXT, "pread");
	return real(fd, to, size, at);
}

static void open_file(void)
{
	struct error error;

	rig.loss.lost = end_process;
	if (snapshot_open(&rig.snapshot, path, &error) < 0 || snapshot_map_ram(&rig.snapshot, &rig.ram, &rig.unloaded, &error) < 0 ||
	    memory_loss_open(&rig.loss, &error) < 0)
		_exit(BAD_RIG);
	memory_loss_watch(rig.ram.host, rig.ram.size);
}

static void open_ram(uint64_t frame, uint32_t damaged)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE, .frame = frame, .damaged_chunk = damaged };

	crafted_write(&file, 1);
	open_file();
}

/* Writes a snapshot whose first half is in its base. */
static void write_chain(void)
{
	static uint8_t pages[RAM_SIZE / FORMAT_RAM_PAGE / 8];
	struct crafted old = { .path = base_path, .ram = model, .size = RAM_SIZE };
	struct crafted newer = { .path = path, .ram = model, .size = RAM_SIZE, .base_path = base_path, .pages = pages };

	memset(pages + sizeof(pages) / 2, 0xff, sizeof(pages) / 2);
	crafted_write(&old, 1);
	crafted_write(&newer, 2);
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
		alarm(60);
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

static void thread_stops_when_file_is_cut(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++)
		expect_end(cut_under_a_thread);
}

/* The kernel accesses lost RAM, as for KVM and for a disk's worker. */
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

static void thread_stops_when_system_call_cannot_access_memory(void **state)
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

/* KVM returns EFAULT also for a guest's wrong address, so EFAULT alone does not end the process. */
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

/* memory_suspect() returns, and the process continues. */
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
	if (pager_open(&rig.pager, &rig.snapshot, &rig.ram, &rig.unloaded, true, &error) < 0)
		_exit(SKIPPED);
	start_thread(DAMAGED * FORMAT_RAM_CHUNK);
}

static void thread_never_sees_zeroes_when_compressed_ram_is_damaged(void **state)
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
	memory_lost(&error); /* without an open watch it has no effect */
	memory_check(EFAULT, "write");
}

/* The main loop of a restored guest must detect these changes, as no access to RAM fails. */
static void write_under_the_loop(const char *name, void (*change)(int fd, off_t at))
{
	struct snapshot_watch watch;
	struct error error;
	struct loop loop;
	char other[80];
	int fd;

	open_file();
	loop_open(&loop);
	if (snapshot_watch_open(&watch, &rig.snapshot, &loop, &error) < 0)
		_exit(BAD_RIG);
	fd = open(name, O_RDWR | O_CLOEXEC);
	snprintf(other, sizeof(other), "%s.other", name);
	/* These do not change the contents. */
	if (fd < 0 || rename(name, other) < 0 || fchmod(fd, 0640) < 0 || unlink(other) < 0)
		_exit(BAD_RIG);
	rig.expected = "nothing was written yet";
	run_loop_for(&loop, 20);
	change(fd, (off_t)(rig.snapshot.ram_offset + CUT));
	run_loop_for(&loop, 10000);
}

static void cut_in_a_page(int fd, off_t at)
{
	rig.expected = "/s.other (deleted) became shorter while it was in use: it has ";
	if (ftruncate(fd, at + 1) < 0)
		_exit(BAD_RIG);
}

static void cut_and_grow(int fd, off_t at)
{
	(void)at;
	rig.expected = "/s.other (deleted) was written while it was in use";
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)rig.snapshot.file_size) < 0)
		_exit(BAD_RIG);
}

static void overwrite(int fd, off_t at)
{
	rig.expected = "/s.other (deleted) was written while it was in use";
	if (pwrite(fd, "other", 5, at) != 5)
		_exit(BAD_RIG);
}

static void punch_a_hole(int fd, off_t at)
{
	rig.expected = "/s.other (deleted) was written while it was in use";
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 65536) < 0)
		_exit(errno == EOPNOTSUPP ? SKIPPED : BAD_RIG);
}

static void overwrite_base(int fd, off_t at)
{
	rig.expected = "/base.other (deleted) was written while it was in use";
	if (pwrite(fd, "other", 5, at) != 5)
		_exit(BAD_RIG);
}

static void (*change_of_file)(int fd, off_t at);

static void write_to_plain_file(void)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE };

	crafted_write(&file, 1);
	write_under_the_loop(path, change_of_file);
}

static void write_to_base(void)
{
	write_chain();
	write_under_the_loop(base_path, overwrite_base);
}

static void guest_ends_when_its_file_is_written(void **state)
{
	void (*const changes[])(int fd, off_t at) = { cut_in_a_page, cut_and_grow, overwrite, punch_a_hole };

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		change_of_file = changes[i];
		expect_end(write_to_plain_file);
	}
	expect_end(write_to_base);
}

static void watch_fails_when_there_is_no_descriptor(void **state)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE };
	struct snapshot_watch watch;
	struct snapshot snapshot;
	struct rlimit limit, none;
	struct error error;
	struct loop loop;

	(void)state;
	loop_open(&loop);
	crafted_write(&file, 1);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(snapshot_watch_open(&watch, &snapshot, &loop, &error), -1);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_non_null(strstr(error.text, "inotify"));
	snapshot_watch_close(&watch);
	assert_int_equal(snapshot_watch_open(&watch, &snapshot, &loop, &error), 0);
	snapshot_watch_close(&watch);
	snapshot_watch_close(&watch);
	snapshot_close(&snapshot);
}

/* The event loop does not run, so the checker's thread must end the process. */
static void damage_that_the_checker_finds(void)
{
	struct checker checker;
	struct error error;
	struct loop loop;

	open_ram(0, DAMAGED);
	loop_open(&loop);
	rig.expected = "/s: RAM is damaged: the checksum of the 65536 bytes at 0x80070000 is wrong";
	if (checker_open(&checker, &rig.snapshot, &loop, &error) < 0)
		_exit(BAD_RIG);
	sleep(20);
}

static void checker_ends_the_guest_when_the_loop_is_busy(void **state)
{
	(void)state;
	expect_end(damage_that_the_checker_finds);
}

static void check_stops_when_it_finds_damage(void **state)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct snapshot snapshot;
	struct error error;
	int fd;

	(void)state;
	if (processors >= 16) /* RAM has 16 pieces, one for each thread */
		skip();
	crafted_write(&file, 1);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (uint64_t at = 0; at < RAM_SIZE; at += FORMAT_RAM_CHUNK)
		assert_int_equal(pwrite(fd, "other", 5, (off_t)(snapshot.ram_offset + at)), 5);
	close(fd);
	atomic_store(&reads, 0);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), -1);
	assert_true(atomic_load(&reads) <= (unsigned)processors);
	snapshot_close(&snapshot);
}

static void error_names_the_base_when_base_is_damaged(void **state)
{
	struct snapshot snapshot;
	char expected[160];
	struct error error;
	uint8_t *bytes = malloc(FORMAT_RAM_CHUNK);
	int fd;

	(void)state;
	write_chain();
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	fd = open(base_path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "other", 5, (off_t)(snapshot.base->ram_offset + DAMAGED * FORMAT_RAM_CHUNK)), 5);
	close(fd);
	snprintf(expected, sizeof(expected), "its base %s: RAM is damaged: the checksum of the 65536 bytes at 0x80070000 is wrong",
		 base_path);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), -1);
	assert_string_equal(error.text, expected);
	assert_int_equal(snapshot_load(&snapshot, DAMAGED * FORMAT_RAM_CHUNK, bytes, FORMAT_RAM_CHUNK, true, &error), -1);
	assert_string_equal(error.text, expected);
	assert_int_equal(truncate(base_path, (off_t)snapshot.base->file_size - 1), 0);
	snprintf(expected, sizeof(expected), "its base %s: it was cut short while it was read", base_path);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), -1);
	assert_string_equal(error.text, expected);
	free(bytes);
	snapshot_close(&snapshot);
}

/* A reset loads the kernel, here a flat program, into lost RAM. */
static void cut_under_boot(void)
{
	static struct boot boot;
	struct error error;
	char kernel[80];
	int fd;

	open_ram(0, 0);
	rig.expected = "/s became shorter while it was in use: it has ";
	snprintf(kernel, sizeof(kernel), "%s.kernel", path);
	fd = open(kernel, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, model, 65536) != 65536 || boot_open(&boot, kernel, NULL, &error) < 0 || unlink(kernel) < 0 ||
	    truncate(path, (off_t)rig.snapshot.ram_offset) < 0)
		_exit(BAD_RIG);
	boot_load(&boot, &rig.ram, &error);
	atomic_store(&rig.went_on, true);
}

static void kernel_is_not_blamed_when_guest_memory_is_lost(void **state)
{
	(void)state;
	expect_end(cut_under_boot);
}

static void *lose_memory(void *barrier)
{
	struct error error;

	error_set(&error, EBADMSG, "it is lost");
	pthread_barrier_wait(barrier);
	memory_lost(&error);
	return NULL;
}

static void close_and_lose_at_once(void)
{
	pthread_barrier_t barrier;
	struct error error;
	pthread_t thread;

	rig.loss.lost = end_process;
	if (ram_open(&rig.ram, CRAFTED_BASE, RAM_SIZE, &error) < 0 || memory_loss_open(&rig.loss, &error) < 0)
		_exit(BAD_RIG);
	memory_loss_watch(rig.ram.host, rig.ram.size);
	rig.expected = "it is lost";
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, lose_memory, &barrier))
		_exit(BAD_RIG);
	pthread_barrier_wait(&barrier);
	memory_loss_close(&rig.loss);
	pthread_join(thread, NULL);
	_exit(ENDED);
}

static void close_does_not_hang_when_memory_is_lost_at_once(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS(300, 100); round++)
		expect_end(close_and_lose_at_once);
}

/* A fault on RAM without a loss is a fault of lkvm itself. */
static void fault_of_the_program_is_no_loss_of_memory(void **state)
{
	struct rlimit none = { 0 };
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &none);
		open_ram(0, 0);
		rig.expected = "";
		mprotect(rig.ram.host, RAM_SIZE, PROT_NONE);
		start_thread(0);
		sleep(20);
		_exit(BAD_RIG);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	/* A sanitizer has its own handler, which lkvm's handler calls. */
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) != ENDED && WEXITSTATUS(status) != BAD_RIG);
}

/* Replaces the disks of a machine. */
static char disk_paths[MACHINE_MAX_DISKS][100];

const char *virtio_block_written(const struct virtio_device *device)
{
	return (const char *)device;
}

static void message_ends_at_a_whole_name_when_many_disks_were_written(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	struct memory_loss loss = { 0 };
	struct snapshot snapshot = { .fd = -1 };
	struct error error;

	(void)state;
	error_set(&loss.error, EBADMSG, "the snapshot /s: RAM is damaged");
	machine->config.snapshot = &snapshot;
	atomic_store(&machine->was_resumed, true);
	for (unsigned i = 0; i < MACHINE_MAX_DISKS; i++) {
		snprintf(disk_paths[i], sizeof(disk_paths[i]), "/disks/%080u", i);
		machine->virtio[i] = (struct virtio_device *)(void *)disk_paths[i];
	}
	machine->config.disk_count = machine->virtio_count = 2;
	machine_explain_loss(machine, &loss, &error);
	assert_non_null(strstr(error.text, "RAM is damaged; since the restore the guest wrote to /disks/000"));
	assert_string_equal(error.text + strlen(error.text) - 3, "001");
	machine->config.disk_count = machine->virtio_count = MACHINE_MAX_DISKS;
	machine_explain_loss(machine, &loss, &error);
	assert_string_equal(error.text + strlen(error.text) - 16, "0003 and 12 more");
	free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(thread_stops_when_file_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(thread_stops_when_system_call_cannot_access_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(error_of_kvm_ends_the_process_only_when_a_file_is_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(error_of_kvm_ends_nothing_when_files_are_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(thread_never_sees_zeroes_when_compressed_ram_is_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_ends_when_its_file_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(watch_fails_when_there_is_no_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(checker_ends_the_guest_when_the_loop_is_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(check_stops_when_it_finds_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(error_names_the_base_when_base_is_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_is_not_blamed_when_guest_memory_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(close_does_not_hang_when_memory_is_lost_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(fault_of_the_program_is_no_loss_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(message_ends_at_a_whole_name_when_many_disks_were_written, setup, teardown),
		cmocka_unit_test(close_returns_when_nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
