/* SPDX-License-Identifier: MIT */
/* virtio/disk_identity.c, inspect/disks.c and util/hash.c: changes of a disk that are found, copies that match, and errors. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "virtio/disk_identity.h"
#include "util/hash.h"
#include "inspect/inspect.h"

#define SECOND INT64_C(1000000000)
#define TIME (INT64_C(1700000000) * SECOND + 123456789)
#define LARGE (UINT64_C(64) << 20)

struct fixture {
	int fd; /* of an unnamed file */
	struct disk_identity saved, found;
	struct error error;
};

static void set_time(int fd, int64_t time)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { time / SECOND, time % SECOND } };

	assert_int_equal(futimens(fd, times), 0);
}

static int open_file(void)
{
	char path[] = "/tmp/lkvm-identity-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void put(int fd, uint64_t at, const char *text)
{
	assert_int_equal(pwrite(fd, text, strlen(text), (off_t)at), strlen(text));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->fd = open_file();
	assert_int_equal(ftruncate(f->fd, (off_t)LARGE), 0);
	put(f->fd, 0, "first");
	put(f->fd, LARGE - 4, "last");
	set_time(f->fd, TIME);
	assert_int_equal(disk_identity_compute(f->fd, &f->saved), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	free(f);
	return 0;
}

static int check(struct fixture *f)
{
	assert_int_equal(disk_identity_compute(f->fd, &f->found), 0);
	return disk_identity_check(&f->saved, &f->found, "disk /images/d", "the snapshot was saved", &f->error);
}

static void expect_refused(struct fixture *f, const char *why)
{
	assert_int_equal(check(f), -1);
	if (!strstr(f->error.text, why))
		fail_msg("\"%s\" does not say \"%s\"", f->error.text, why);
	assert_non_null(strstr(f->error.text, "disk /images/d"));
}

/* The hash does not depend on the division into parts. It depends on every bit. */
static void hash_is_the_same_for_any_division_into_parts(void **state)
{
	struct hash whole = { .size = 0 }, parts = { .size = 0 };
	uint64_t one[2], two[2], none[2];
	uint8_t bytes[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	hash_get(&whole, none);
	assert_true(none[0] == 0 && none[1] == 0);
	hash_add(&whole, bytes, 64);
	hash_add(&parts, bytes, 16);
	hash_add(&parts, bytes + 16, 48);
	hash_get(&whole, one);
	hash_get(&parts, two);
	assert_memory_equal(one, two, sizeof(one));
	bytes[63] ^= 1;
	parts = (struct hash){ .size = 0 };
	hash_add(&parts, bytes, 64);
	hash_get(&parts, two);
	assert_true(one[0] != two[0] && one[1] != two[1]);
}

static void disk_matches_when_nothing_was_written(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->saved.size, LARGE);
	assert_true(f->saved.modified == TIME);
	assert_int_equal(check(f), 0);
}

/* Archives have files of 1970. Some file systems have times that do not fit 64 bits of nanoseconds. */
static void disk_has_a_time_when_its_file_has_an_unusual_one(void **state)
{
	static const struct timespec unusual[] = { { 0, 0 }, { 1ll << 34, 0 }, { -(1ll << 31), 999999999 } };
	struct fixture *f = *state;

	for (unsigned i = 0; i < COUNT(unusual); i++) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, unusual[i] };

		assert_int_equal(futimens(f->fd, times), 0);
		assert_int_equal(disk_identity_compute(f->fd, &f->saved), 0);
		assert_true(f->saved.modified != 0);
		assert_int_equal(check(f), 0);
		put(f->fd, 1234567, "x");
		assert_int_equal(check(f), -1);
	}
}

/* The first write of a file system may be in no sampled block, so the time must differ. */
static void disk_is_refused_when_any_block_was_written(void **state)
{
	struct fixture *f = *state;

	put(f->fd, 1234567, "x");
	expect_refused(f, "was written after the snapshot was saved: last written at ");
}

static void refusal_names_both_times(void **state)
{
	struct fixture *f = *state;

	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	set_time(f->fd, TIME + 3600 * SECOND);
	expect_refused(f, "last written at 2023-11-15 04:43:20.123456789 +0530, then at 2023-11-15 03:43:20.123456789 +0530");
	assert_non_null(strstr(f->error.text, "a copy without its times"));
	unsetenv("TZ");
	tzset();
}

static void disk_is_refused_when_it_is_older(void **state)
{
	struct fixture *f = *state;

	put(f->fd, 0, "older");
	set_time(f->fd, TIME - SECOND);
	expect_refused(f, "is older than when the snapshot was saved");
}

/* A tool may set the modification time back. */
static void disk_is_refused_when_sampled_blocks_differ_at_the_same_time(void **state)
{
	static const uint64_t places[] = { 0, 1024, 65536 + 100, LARGE - 4 * 4096, LARGE - 1 };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(places); i++) {
		char was = 0;

		assert_int_equal(pread(f->fd, &was, 1, (off_t)places[i]), 1);
		put(f->fd, places[i], "~");
		set_time(f->fd, TIME);
		expect_refused(f, "has other contents than when the snapshot was saved");
		assert_int_equal(pwrite(f->fd, &was, 1, (off_t)places[i]), 1);
		set_time(f->fd, TIME);
		assert_int_equal(check(f), 0);
	}
}

/* The samples are so close that a large change contains one at any place. */
static void disk_is_refused_when_a_megabyte_differs_at_the_same_time(void **state)
{
	static uint8_t bytes[1 << 20];
	struct fixture *f = *state;

	memset(bytes, 'x', sizeof(bytes));
	for (uint64_t at = 0; at < LARGE; at += 9 << 20) {
		assert_int_equal(pwrite(f->fd, bytes, sizeof(bytes), (off_t)at), sizeof(bytes));
		set_time(f->fd, TIME);
		expect_refused(f, "has other contents");
		f->saved = f->found;
	}
}

/* cp -p and rsync -a make another inode with the same times. */
static void copy_with_its_times_matches(void **state)
{
	struct fixture *f = *state;
	int copy = open_file();

	assert_int_equal(ftruncate(copy, (off_t)LARGE), 0);
	put(copy, 0, "first");
	put(copy, LARGE - 4, "last");
	set_time(copy, TIME);
	close(f->fd);
	f->fd = copy;
	assert_int_equal(check(f), 0);
}

/* Archives keep whole seconds. Other programs keep microseconds, or the resolution of a file system. */
static void copy_with_a_part_of_its_time_matches(void **state)
{
	static const int64_t units[] = { 100, 1000, 1000000, SECOND };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(units); i++) {
		set_time(f->fd, TIME - TIME % units[i]);
		assert_int_equal(check(f), 0);
		put(f->fd, 0, "other");
		set_time(f->fd, TIME - TIME % units[i]);
		assert_int_equal(check(f), -1);
		put(f->fd, 0, "first");
	}
	set_time(f->fd, TIME - 1);
	assert_int_equal(check(f), -1);
}

static void identity_covers_every_byte_of_a_small_disk(void **state)
{
	struct fixture *f = *state;

	for (uint64_t size = 512; size <= 149 * 4096; size = size * 3 + 512) {
		assert_int_equal(ftruncate(f->fd, 0), 0);
		assert_int_equal(ftruncate(f->fd, (off_t)size), 0);
		set_time(f->fd, TIME);
		assert_int_equal(disk_identity_compute(f->fd, &f->saved), 0);
		for (uint64_t at = 0; at < size; at += 509) {
			put(f->fd, at, "y");
			set_time(f->fd, TIME);
			expect_refused(f, "has other contents");
			f->saved = f->found;
		}
	}
}

static void empty_file_has_an_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(disk_identity_compute(f->fd, &f->saved), 0);
	assert_true(f->saved.known);
	assert_int_equal(check(f), 0);
	put(f->fd, 0, "some");
	assert_int_equal(check(f), -1);
}

/* The modification time of a block device does not show writes, so its contents are compared. */
static void contents_are_compared_when_the_disk_has_no_time(void **state)
{
	struct fixture *f = *state;

	f->saved.modified = 0;
	set_time(f->fd, TIME + SECOND);
	assert_int_equal(check(f), 0);
	put(f->fd, 0, "other");
	expect_refused(f, "was written after the snapshot was saved: its contents differ");
}

static void unknown_identity_matches_everything(void **state)
{
	const struct disk_identity unknown = { .known = false };
	struct fixture *f = *state;

	assert_int_equal(disk_identity_check(&unknown, &f->saved, "disk", "it", &f->error), 0);
	assert_int_equal(disk_identity_check(&f->saved, &unknown, "disk", "it", &f->error), 0);
	assert_int_equal(disk_identity_compute(-1, &f->found), EBADF);
	assert_false(f->found.known);
}

/* A hostile snapshot may have any time. */
static void refusal_prints_any_time(void **state)
{
	static const int64_t times[] = { INT64_MIN, INT64_MAX, -1, -SECOND, 1 };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(times); i++) {
		f->saved.modified = times[i];
		assert_int_equal(check(f), -1);
	}
}

struct told {
	unsigned count;
	unsigned disks[8];
	enum inspect_disk_state states[8];
	char sentences[8][512];
};

static void keep(void *owner, unsigned disk, const char *path, enum inspect_disk_state state, const char *sentence)
{
	struct told *told = owner;

	(void)path;
	told->disks[told->count] = disk;
	told->states[told->count] = state;
	snprintf(told->sentences[told->count++], sizeof(told->sentences[0]), "%s", sentence);
}

static void inspect_compares_each_file_of_the_snapshot(void **state)
{
	struct fixture *f = *state;
	struct disk_identity other = f->saved;
	struct machine_config config = { .disk_count = 4 };
	char path[40], fifo[] = "/tmp/lkvm-identity-fifo-XXXXXX";
	struct told told = { 0 };

	other.modified -= SECOND;
	assert_true(mkdtemp(fifo) != NULL);
	rmdir(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	config.disks[0] = (struct virtio_block_config){ .path = path, .read_only = true };
	config.disks[1] = (struct virtio_block_config){
		.path = path, .identity = f->saved, .lower = { path }, .lower_identities = { other }, .overlay = "/nowhere",
		.overlay_identity = f->saved,
	};
	config.disks[2] = (struct virtio_block_config){ .path = fifo, .identity = f->saved };
	config.disks[3] = (struct virtio_block_config){ .path = "/dev/null", .identity = f->saved };
	inspect_disks(&config, keep, &told);
	unlink(fifo);
	assert_int_equal(told.count, 5);
	assert_int_equal(told.disks[0], 1);
	assert_int_equal(told.states[0], INSPECT_DISK_MATCHES);
	assert_string_equal(told.sentences[0], "");
	assert_int_equal(told.states[1], INSPECT_DISK_DIFFERS);
	assert_non_null(strstr(told.sentences[1], "overlay /proc/self/fd/"));
	assert_non_null(strstr(told.sentences[1], "was written after the snapshot was saved"));
	assert_int_equal(told.states[2], INSPECT_DISK_UNREADABLE);
	assert_string_equal(told.sentences[2], "overlay /nowhere: No such file or directory");
	for (unsigned i = 3; i < 5; i++) { /* a FIFO must not block, and a device must not be opened */
		assert_int_equal(told.states[i], INSPECT_DISK_UNREADABLE);
		assert_non_null(strstr(told.sentences[i], "is neither a file nor a block device"));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_is_the_same_for_any_division_into_parts),
		TEST(disk_matches_when_nothing_was_written),
		TEST(disk_has_a_time_when_its_file_has_an_unusual_one),
		TEST(disk_is_refused_when_any_block_was_written),
		TEST(refusal_names_both_times),
		TEST(disk_is_refused_when_it_is_older),
		TEST(disk_is_refused_when_sampled_blocks_differ_at_the_same_time),
		TEST(disk_is_refused_when_a_megabyte_differs_at_the_same_time),
		TEST(copy_with_its_times_matches),
		TEST(copy_with_a_part_of_its_time_matches),
		TEST(identity_covers_every_byte_of_a_small_disk),
		TEST(empty_file_has_an_identity),
		TEST(contents_are_compared_when_the_disk_has_no_time),
		TEST(unknown_identity_matches_everything),
		TEST(refusal_prints_any_time),
		TEST(inspect_compares_each_file_of_the_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
