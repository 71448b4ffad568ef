/* SPDX-License-Identifier: MIT */
/* virtio/disk_overlay.c, and virtio/disk.c over it: reads, places of writes, and files that are refused. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../virtio/disk.h"
#include "util/bits.h"
#include "util/checksum.h"

#define BLOCK DISK_OVERLAY_BLOCK
#define BLOCKS 50u
#define SIZE ((uint64_t)BLOCKS * BLOCK - 3 * DISK_SECTOR) /* the last block is incomplete */
#define MAP_AT ((uint64_t)BLOCKS * BLOCK)
#define FOOTER_AT (MAP_AT + BLOCK)

struct fixture {
	char folder[64], base[80], overlay[80];
	uint8_t old[SIZE]; /* contents of the base */
	struct disk disk;
	struct error error;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void write_whole(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static int open_disk(struct fixture *f, struct disk *disk, const char *overlay, bool is_new)
{
	const struct virtio_block_config config = { .path = f->base, .overlay = overlay, .overlay_new = is_new };

	return disk_open(disk, &config, NULL, &f->error);
}

static void must_open(struct fixture *f, bool is_new)
{
	if (open_disk(f, &f->disk, f->overlay, is_new) < 0)
		fail_msg("%s", f->error.text);
}

static void expect_refused(struct fixture *f, bool is_new, const char *why)
{
	struct disk disk;

	assert_int_equal(open_disk(f, &disk, f->overlay, is_new), -1);
	if (!strstr(f->error.text, why))
		fail_msg("\"%s\", not \"%s\"", f->error.text, why);
}

static int setup(void **state)
{
	static struct fixture f;
	uint64_t random = 42;

	memset(&f, 0, sizeof(f));
	strcpy(f.folder, "/tmp/lkvm-test-overlay-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	snprintf(f.base, sizeof(f.base), "%s/base", f.folder);
	snprintf(f.overlay, sizeof(f.overlay), "%s/overlay", f.folder);
	for (size_t i = 0; i < SIZE; i++)
		f.old[i] = (uint8_t)(next_random(&random) | 1); /* not zero, so that a hole is not mistaken for it */
	write_whole(f.base, f.old, SIZE);
	must_open(&f, true);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char bytes[SIZE];
	int fd = open(f->base, O_RDONLY);

	disk_close(&f->disk);
	/* No test changes the base. */
	assert_int_equal(read(fd, bytes, sizeof(bytes)), SIZE);
	assert_memory_equal(bytes, f->old, SIZE);
	close(fd);
	unlink(f->base);
	unlink(f->overlay);
	assert_int_equal(rmdir(f->folder), 0);
	return 0;
}

static int read_disk(struct disk *disk, void *to, size_t size, uint64_t offset)
{
	struct iovec iov = { to, size };

	return disk_read(disk, &iov, 1, offset);
}

static int write_disk(struct disk *disk, const void *from, size_t size, uint64_t offset)
{
	struct iovec iov = { (void *)(uintptr_t)from, size };

	return disk_write(disk, &iov, 1, offset);
}

static void expect_contents(struct disk *disk, const uint8_t *want)
{
	static uint8_t bytes[SIZE];

	assert_int_equal(read_disk(disk, bytes, SIZE, 0), 0);
	for (size_t i = 0; i < SIZE; i++)
		if (bytes[i] != want[i])
			fail_msg("byte %zu, of block %zu, is 0x%02x, not 0x%02x", i, i / BLOCK, bytes[i], want[i]);
}

static void expect_byte_of_file(struct fixture *f, uint64_t offset, uint8_t want)
{
	int fd = open(f->overlay, O_RDONLY);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	assert_int_equal(byte, want);
	close(fd);
}

static off_t size_of_overlay(struct fixture *f)
{
	struct stat status;

	assert_int_equal(stat(f->overlay, &status), 0);
	return status.st_size;
}

static void copy_overlay(struct fixture *f, const char *to)
{
	static char bytes[FOOTER_AT + 64];
	int fd = open(f->overlay, O_RDONLY);
	ssize_t size = read(fd, bytes, sizeof(bytes));

	assert_int_equal(size, sizeof(bytes));
	write_whole(to, bytes, (size_t)size);
	close(fd);
}

/* The disk is writable and has the base's size. The overlay's file stays empty until the first write. */
static void overlay_stays_empty_until_the_first_write(void **state)
{
	struct fixture *f = *state;

	assert_false(f->disk.read_only);
	assert_int_equal(f->disk.size, SIZE);
	assert_int_equal(f->disk.physical_block, BLOCK);
	expect_contents(&f->disk, f->old);
	assert_int_equal(disk_flush(&f->disk), 0);
	disk_close(&f->disk);
	assert_int_equal(size_of_overlay(f), 0);
	must_open(f, true); /* again, as after a failed restore */
	disk_close(&f->disk);
	must_open(f, false);
	expect_contents(&f->disk, f->old);
}

/* docs/snapshot-format.md describes the file byte by byte. */
static void overlay_file_has_its_documented_format(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK];

	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 9 * BLOCK), 0);
	disk_close(&f->disk);
	assert_int_equal(size_of_overlay(f), FOOTER_AT + 64);
	expect_byte_of_file(f, 8 * BLOCK, 0); /* a hole */
	expect_byte_of_file(f, 9 * BLOCK, 7);
	expect_byte_of_file(f, MAP_AT, 0);
	expect_byte_of_file(f, MAP_AT + 1, 2);
	expect_byte_of_file(f, FOOTER_AT, 'l');
	expect_byte_of_file(f, FOOTER_AT + 7, 'R');
	expect_byte_of_file(f, FOOTER_AT + 8, 2);
	expect_byte_of_file(f, FOOTER_AT + 13, BLOCK >> 8);
	expect_byte_of_file(f, FOOTER_AT + 16, SIZE & 0xff);
	expect_byte_of_file(f, FOOTER_AT + 17, SIZE >> 8 & 0xff);
}

/* The rest of a block comes from the base, also in the incomplete last block. */
static void overlay_completes_blocks_from_the_base(void **state)
{
	static const struct {
		uint64_t offset, length;
	} parts[] = {
		{ 512, 512 }, { 0, 512 }, { BLOCK - 512, 512 }, { 3 * BLOCK - 512, 1024 }, { 5 * BLOCK + 512, 2 * BLOCK },
		{ 9 * BLOCK, BLOCK + 512 }, { 12 * BLOCK + 512, BLOCK - 512 }, { 20 * BLOCK + 1024, 512 }, { SIZE - 512, 512 },
		{ SIZE - BLOCK, BLOCK },
	};
	struct fixture *f = *state;
	uint8_t want[SIZE], bytes[2 * BLOCK];

	memcpy(want, f->old, SIZE);
	for (unsigned i = 0; i < COUNT(parts); i++) {
		memset(bytes, 2 * (int)i, sizeof(bytes));
		memcpy(want + parts[i].offset, bytes, parts[i].length);
		assert_int_equal(write_disk(&f->disk, bytes, parts[i].length, parts[i].offset), 0);
		expect_contents(&f->disk, want);
	}
	disk_close(&f->disk);
	must_open(f, false);
	expect_contents(&f->disk, want);
	assert_int_equal(write_disk(&f->disk, bytes, 0, SIZE), 0);
}

/* Written zeroes hide the base's data, though they may be a hole in the overlay's file. */
static void overlay_hides_base_when_zeroes_are_written(void **state)
{
	struct fixture *f = *state;
	uint8_t want[SIZE], bytes[SIZE];

	memcpy(want, f->old, SIZE);
	memset(want + 512, 0, 3 * BLOCK);
	memset(want + 10 * BLOCK, 0, BLOCK);
	memset(want + SIZE - 1024, 0, 1024);
	assert_int_equal(disk_write_zeroes(&f->disk, 512, 3 * BLOCK, true), 0);
	assert_int_equal(write_disk(&f->disk, want + 10 * BLOCK, BLOCK, 10 * BLOCK), 0);
	assert_int_equal(disk_write_zeroes(&f->disk, SIZE - 1024, 1024, false), 0);
	expect_contents(&f->disk, want);
	disk_close(&f->disk);
	must_open(f, false);
	expect_contents(&f->disk, want);

	/* Discarding does not uncover the base's data: blocks that were written read as zeroes. */
	assert_int_equal(write_disk(&f->disk, f->old, BLOCK, 20 * BLOCK), 0);
	assert_int_equal(disk_discard(&f->disk, 0, SIZE), 0);
	memset(want, 0, 4 * BLOCK);
	memset(want + 20 * BLOCK, 0, BLOCK);
	memset(want + (SIZE / BLOCK) * BLOCK, 0, SIZE % BLOCK);
	assert_int_equal(read_disk(&f->disk, bytes, SIZE, 0), 0);
	assert_memory_equal(bytes, want, SIZE);
}

/* After a crash of the host, the map must not have blocks that were not synced. */
static void overlay_records_blocks_after_their_data_is_synced(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK] = { 1 }, want[SIZE];
	char copy[96];
	struct disk disk;

	memcpy(want, f->old, SIZE);
	snprintf(copy, sizeof(copy), "%s.copy", f->overlay);
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 0), 0);
	copy_overlay(f, copy);
	assert_int_equal(open_disk(f, &disk, copy, false), 0);
	expect_contents(&disk, f->old);
	disk_close(&disk);

	memcpy(want, bytes, BLOCK);
	assert_int_equal(disk_record_map(&f->disk), 0);
	copy_overlay(f, copy);
	assert_int_equal(open_disk(f, &disk, copy, false), 0);
	expect_contents(&disk, want);
	disk_close(&disk);

	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 30 * BLOCK), 0);
	memcpy(want + 30 * BLOCK, bytes, BLOCK);
	assert_int_equal(disk_flush(&f->disk), 0);
	copy_overlay(f, copy);
	assert_int_equal(open_disk(f, &disk, copy, false), 0);
	expect_contents(&disk, want);
	disk_close(&disk);
	unlink(copy);

	/* After a failed sync the map is not written any more. */
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 40 * BLOCK), 0);
	f->disk.overlay->failed = EIO;
	assert_int_equal(disk_flush(&f->disk), EIO);
	assert_int_equal(disk_record_map(&f->disk), EIO);
	disk_close(&f->disk);
	must_open(f, false);
	expect_contents(&f->disk, want);
}

/* The file cannot grow: the request fails, old data stays, and later writes are not lost. */
static void overlay_keeps_old_data_when_its_file_cannot_grow(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, small = { 0 };
	uint8_t bytes[2 * BLOCK] = { 1 };

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = (struct rlimit){ 10 * BLOCK + 512, limit.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 0), EFBIG); /* the end of the file cannot be written */
	setrlimit(RLIMIT_FSIZE, &limit);
	expect_contents(&f->disk, f->old);
	assert_int_equal(size_of_overlay(f), 0);

	assert_int_equal(write_disk(&f->disk, f->old, BLOCK, 0), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(write_disk(&f->disk, bytes, 2 * BLOCK, 9 * BLOCK), EFBIG); /* half of it was written */
	assert_int_equal(write_disk(&f->disk, bytes, 512, 10 * BLOCK + 512), EFBIG);
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK + 512, 9 * BLOCK), EFBIG);
	assert_int_equal(disk_flush(&f->disk), EFBIG); /* the map cannot be written either */
	setrlimit(RLIMIT_FSIZE, &limit);
	expect_contents(&f->disk, f->old);
	assert_int_equal(write_disk(&f->disk, f->old + 9 * BLOCK, 512, 9 * BLOCK), 0);
	expect_contents(&f->disk, f->old);
	assert_int_equal(disk_flush(&f->disk), 0);
	expect_byte_of_file(f, MAP_AT, 1);
	expect_byte_of_file(f, MAP_AT + 1, 2);
}

/* A base that shrank is an error, not zeroes. */
static void overlay_reports_error_when_the_base_shrank(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK];

	assert_int_equal(truncate(f->base, 5 * BLOCK), 0);
	assert_int_equal(read_disk(&f->disk, bytes, BLOCK, 5 * BLOCK), EIO);
	assert_int_equal(write_disk(&f->disk, bytes, 512, 5 * BLOCK), EIO);
	write_whole(f->base, f->old, SIZE);
	expect_contents(&f->disk, f->old);
}

/* Another user may have put the link into the folder, so that lkvm makes or writes a file that this user never named. */
static void overlay_is_refused_when_it_is_a_link(void **state)
{
	struct fixture *f = *state;
	char target[PATH_MAX + 8];
	struct stat status;

	snprintf(target, sizeof(target), "%s.target", f->overlay);
	disk_close(&f->disk);
	assert_int_equal(unlink(f->overlay), 0);
	assert_int_equal(symlink(target, f->overlay), 0);
	expect_refused(f, true, "is a symbolic link");
	expect_refused(f, false, "is a symbolic link");
	assert_int_equal(stat(target, &status), -1);
	assert_int_equal(unlink(f->overlay), 0);
	/* A link by name is no better: an empty file may be one of this user in another folder. */
	close(creat(target, 0600));
	assert_int_equal(link(target, f->overlay), 0);
	expect_refused(f, true, "already exists");
	assert_int_equal(unlink(target), 0);
	must_open(f, true);
	assert_int_equal(unlink(f->overlay), 0);
	disk_close(&f->disk);
	must_open(f, true);
	assert_int_equal(stat(f->overlay, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void overlay_is_refused_when_it_is_in_use_or_damaged(void **state)
{
	struct fixture *f = *state;
	const struct virtio_block_config read_only = { .path = f->base, .overlay = f->overlay, .overlay_new = true, .read_only = true };
	uint8_t bytes[FOOTER_AT + 64] = { 0 };
	struct stat base;
	struct disk disk;
	int fd;

	assert_int_equal(stat(f->base, &base), 0);
	expect_refused(f, false, "is in use by another VM");
	assert_int_equal(write_disk(&f->disk, bytes, 512, 0), 0);
	disk_close(&f->disk);
	expect_refused(f, true, "already exists");
	/* The overlay of a read-only disk is not opened. */
	assert_int_equal(disk_open(&disk, &read_only, NULL, &f->error), 0);
	assert_true(disk.read_only && !disk.overlay);
	disk_close(&disk);

	fd = open(f->overlay, O_RDWR);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(pwrite(fd, "x", 1, FOOTER_AT), 1);
	expect_refused(f, false, "it is not an overlay");
	assert_int_equal(pwrite(fd, bytes + FOOTER_AT, 1, FOOTER_AT), 1);
	assert_int_equal(pwrite(fd, "\3", 1, FOOTER_AT + 8), 1);
	expect_refused(f, false, "its checksum is wrong");
	assert_int_equal(pwrite(fd, bytes + FOOTER_AT, 64, FOOTER_AT), 64);
	assert_int_equal(ftruncate(fd, 63), 0);
	expect_refused(f, false, "it is not an overlay");
	/* The file has its full size, but data in the middle is missing. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes + FOOTER_AT, 64, FOOTER_AT - BLOCK), 64);
	expect_refused(f, false, "it is damaged");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	close(fd);

	assert_int_equal(truncate(f->base, SIZE - 512), 0);
	expect_refused(f, false, "it belongs to a disk of");
	write_whole(f->base, f->old, SIZE);
	assert_int_equal(utimensat(AT_FDCWD, f->base, (const struct timespec[]){ base.st_atim, base.st_mtim }, 0), 0);
	must_open(f, false);
	disk_close(&f->disk);

	unlink(f->overlay);
	expect_refused(f, false, "cannot open overlay");
	assert_int_equal(mkfifo(f->overlay, 0600), 0);
	expect_refused(f, true, "is not a file");
	unlink(f->overlay);
	/* A FIFO as a base, which is opened for reading only, does not block either. */
	rename(f->base, f->overlay);
	assert_int_equal(mkfifo(f->base, 0600), 0);
	assert_int_equal(disk_open(&disk, &read_only, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "neither a file nor a block device"));
	rename(f->overlay, f->base);
	must_open(f, true);
}

/* One base can have any number of overlays, but none while another VM writes the base. */
static void base_is_shared_by_overlays_but_not_with_a_writer(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK] = { 1 }, want[SIZE];
	struct disk second, writer;
	char name[96];

	snprintf(name, sizeof(name), "%s.second", f->overlay);
	assert_int_equal(open_disk(f, &second, name, true), 0);
	assert_int_equal(write_disk(&second, bytes, BLOCK, 0), 0);
	expect_contents(&f->disk, f->old);
	memcpy(want, f->old, SIZE);
	memcpy(want, bytes, BLOCK);
	expect_contents(&second, want);
	assert_int_equal(open_disk(f, &writer, NULL, false), -1);
	assert_non_null(strstr(f->error.text, "is in use by another VM"));
	disk_close(&second);
	unlink(name);

	disk_close(&f->disk);
	assert_int_equal(open_disk(f, &writer, NULL, false), 0);
	expect_refused(f, false, "is being written by another VM");
	disk_close(&writer);
	must_open(f, false);
}

/* Divides a request into random buffers, as a driver may. */
static unsigned cut(uint64_t *random, uint8_t *bytes, uint64_t length, struct iovec iov[64])
{
	unsigned count = 0;

	while (length > 0 && count < 63) {
		uint64_t part = next_random(random) % 5 ? 1 + next_random(random) % 3000 : 0;

		part = part < length ? part : length;
		iov[count++] = (struct iovec){ bytes, part };
		bytes += part;
		length -= part;
	}
	iov[count++] = (struct iovec){ bytes, length };
	return count;
}

static void set_base(struct fixture *f, int64_t seconds, uint8_t first)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { seconds, 0 } };
	int fd = open(f->base, O_WRONLY);

	assert_int_equal(pwrite(fd, &first, 1, 0), 1);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void overlay_is_refused_when_its_base_was_written(void **state)
{
	const uint8_t bytes[BLOCK] = { 1 };
	struct fixture *f = *state;
	struct virtio_block_config config = { .path = f->base, .overlay = f->overlay };

	/* An overlay without blocks accepts any base. Its first write binds it to the current base. */
	disk_close(&f->disk);
	set_base(f, 1000, f->old[0]);
	must_open(f, false);
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, BLOCK), 0);
	disk_close(&f->disk);
	must_open(f, false);
	disk_close(&f->disk);

	set_base(f, 2000, f->old[0]);
	expect_refused(f, false, "was written after overlay /tmp/lkvm-test-overlay-");
	assert_non_null(strstr(f->error.text, "--disks-changed=allow"));
	set_base(f, 1000, (uint8_t)~f->old[0]);
	expect_refused(f, false, "has other contents than when overlay /tmp/lkvm-test-overlay-");
	config.changed_allowed = true;
	assert_int_equal(disk_open(&f->disk, &config, NULL, &f->error), 0);
	disk_close(&f->disk);
	/* A base that the user chose does not allow changes of the overlay. */
	config.changed_allowed = false;
	config.chosen = true;
	assert_int_equal(disk_open(&f->disk, &config, NULL, &f->error), 0);
	disk_close(&f->disk);
	config.overlay_identity = (struct disk_identity){ .known = true, .size = 1, .modified = 1 };
	assert_int_equal(disk_open(&f->disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "was written after the snapshot was saved"));
	set_base(f, 1000, f->old[0]);
	must_open(f, false);
}

static struct disk_overlay *prepare(struct fixture *f, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct disk_overlay *overlay = disk_prepare(&f->disk, fd, path, &f->error);
	struct stat status;

	assert_non_null(overlay);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 0); /* an empty file is a valid overlay */
	return overlay;
}

static void open_plain(struct fixture *f, struct disk *disk, bool read_only)
{
	const struct virtio_block_config config = { .path = f->base, .read_only = read_only };

	assert_int_equal(disk_open(disk, &config, NULL, &f->error), 0);
}

/* Writes before the switch are in the disk's file, writes after it in the overlay. */
static void switched_disk_stays_as_it_was(void **state)
{
	const struct virtio_block_config plain = { .path = ((struct fixture *)*state)->base };
	struct fixture *f = *state;
	uint8_t bytes[BLOCK], model[SIZE];
	struct disk other;

	disk_close(&f->disk);
	unlink(f->overlay);
	open_plain(f, &f->disk, false);
	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 0), 0);
	memcpy(f->old, bytes, BLOCK);
	expect_refused(f, true, "is being written by another VM");

	unlink(f->overlay);
	disk_switch(&f->disk, prepare(f, f->overlay));
	memcpy(model, f->old, SIZE);
	memset(model + 512, 9, 1024);
	assert_int_equal(write_disk(&f->disk, model + 512, 1024, 512), 0);
	expect_contents(&f->disk, model);

	/* Other VMs may have their own overlays over the disk, but must not write it. */
	open_plain(f, &other, true);
	expect_contents(&other, f->old);
	disk_close(&other);
	assert_int_equal(disk_open(&other, &plain, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "is in use by another VM"));
	disk_close(&f->disk);
	must_open(f, false);
	expect_contents(&f->disk, model);
}

/* A flush covers all writes of the guest, also those before the switch. */
static void flush_fails_after_switch_when_disk_under_overlay_fails(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK] = { 1 };
	int ends[2], fd;

	disk_close(&f->disk);
	unlink(f->overlay);
	open_plain(f, &f->disk, false);
	disk_switch(&f->disk, prepare(f, f->overlay));
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 0), 0);
	fd = f->disk.overlay->base_fd;
	assert_int_equal(pipe(ends), 0);
	f->disk.overlay->base_fd = ends[0]; /* fdatasync() of a pipe fails */
	assert_int_equal(disk_flush(&f->disk), EINVAL);
	f->disk.overlay->base_fd = fd;
	assert_int_equal(disk_flush(&f->disk), EINVAL);
	close(ends[0]);
	close(ends[1]);
}

/* The kernel reports an error of a file once. Here the save gets it. */
static void flush_fails_when_a_save_got_the_error(void **state)
{
	struct fixture *f = *state;
	int ends[2], fd = f->disk.fd;

	assert_int_equal(pipe(ends), 0);
	f->disk.fd = ends[1]; /* fsync() of a pipe fails */
	f->disk.read_only = false;
	assert_int_equal(disk_sync(&f->disk), EINVAL);
	f->disk.fd = fd;
	assert_int_equal(disk_flush(&f->disk), EINVAL);
	assert_int_equal(disk_flush(&f->disk), 0);
	close(ends[0]);
	close(ends[1]);
}

/* Each overlay has some blocks. All of the guest's writes can be read, also after the overlays are opened again. */
static void overlays_lie_over_overlays(void **state)
{
	struct virtio_block_config config = { .path = ((struct fixture *)*state)->base };
	struct fixture *f = *state;
	char paths[VIRTIO_BLOCK_LOWER + 1][96];
	uint8_t model[SIZE], old[VIRTIO_BLOCK_LOWER + 1][SIZE], bytes[3 * BLOCK];
	uint64_t random = 7;

	disk_close(&f->disk);
	unlink(f->overlay);
	open_plain(f, &f->disk, false);
	memcpy(model, f->old, SIZE);
	for (unsigned i = 0; i <= VIRTIO_BLOCK_LOWER; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s.%u", f->overlay, i);
		assert_int_equal(disk_record_map(&f->disk), 0);
		disk_switch(&f->disk, prepare(f, paths[i]));
		memcpy(old[i], model, SIZE);
		for (unsigned j = 0; j < 5 && i != 2; j++) { /* the third stays empty */
			uint64_t offset = next_random(&random) % (SIZE / 512) * 512, length = (1 + next_random(&random) % 20) * 512;

			length = length < SIZE - offset ? length : SIZE - offset;
			memset(bytes, (int)(10 * i + j), length);
			memcpy(model + offset, bytes, length);
			assert_int_equal(write_disk(&f->disk, bytes, length, offset), 0);
		}
		expect_contents(&f->disk, model);
	}
	assert_null(disk_prepare(&f->disk, -1, "/none", &f->error));
	assert_non_null(strstr(f->error.text, "it has 8 overlays already"));
	disk_close(&f->disk);

	/* The contents are those at each switch, and at the end. */
	for (unsigned i = 0; i <= VIRTIO_BLOCK_LOWER; i++) {
		config.overlay = paths[i];
		if (disk_open(&f->disk, &config, NULL, &f->error) < 0)
			fail_msg("%u: %s", i, f->error.text);
		expect_contents(&f->disk, i < VIRTIO_BLOCK_LOWER ? old[i + 1] : model);
		disk_close(&f->disk);
		config.lower[i < VIRTIO_BLOCK_LOWER ? i : 0] = paths[i];
	}
	for (unsigned i = 0; i <= VIRTIO_BLOCK_LOWER; i++)
		unlink(paths[i]);
	must_open(f, true);
}

static void overlay_is_refused_when_what_is_under_it_changed(void **state)
{
	struct virtio_block_config config = { .path = ((struct fixture *)*state)->base };
	struct fixture *f = *state;
	char first[96], second[96], third[96];
	uint8_t bytes[BLOCK] = { 1 };
	struct disk disk;

	snprintf(first, sizeof(first), "%s.1", f->overlay);
	snprintf(second, sizeof(second), "%s.2", f->overlay);
	snprintf(third, sizeof(third), "%s.3", f->overlay);
	disk_close(&f->disk);
	open_plain(f, &f->disk, false);
	disk_switch(&f->disk, prepare(f, first));
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 0), 0);
	assert_int_equal(disk_record_map(&f->disk), 0);
	disk_switch(&f->disk, prepare(f, second)); /* stays empty */
	disk_switch(&f->disk, prepare(f, third));
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, BLOCK), 0);

	/* A lower overlay that is in use can be read by other VMs, but not written. */
	config.overlay = first;
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, ".1 is in use by another VM"));
	disk_close(&f->disk);

	config = (struct virtio_block_config){ .path = f->base, .lower = { first, second }, .overlay = third };
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), 0);
	disk_close(&disk);
	config.lower[1] = NULL;
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), 0); /* the empty one has no blocks to miss */
	disk_close(&disk);
	config.lower[0] = second;
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "than when overlay "));
	config.lower[1] = first;
	config.lower[0] = first;
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1); /* a file over itself */
	config = (struct virtio_block_config){ .path = f->base, .lower = { first, third }, .overlay = third };
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, ".3 is in use by another VM"));

	/* The one in the middle gets a block. */
	config = (struct virtio_block_config){ .path = f->base, .lower = { first }, .overlay = second };
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), 0);
	assert_int_equal(write_disk(&disk, bytes, BLOCK, 2 * BLOCK), 0);
	disk_close(&disk);
	config = (struct virtio_block_config){ .path = f->base, .lower = { first, second }, .overlay = third };
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "overlay /tmp/"));
	assert_non_null(strstr(f->error.text, "--disks-changed=allow"));
	config.lower[1] = NULL;
	config.lower[0] = "/dev/null";
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, "overlay /dev/null is not a file"));
	unlink(first);
	assert_int_equal(mkfifo(first, 0600), 0); /* opening it must not block */
	config.lower[0] = first;
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, ".1 is not a file"));
	config = (struct virtio_block_config){ .path = first, .overlay = second };
	assert_int_equal(disk_open(&disk, &config, NULL, &f->error), -1);
	assert_non_null(strstr(f->error.text, ".1 is neither a file nor a block device"));
	unlink(first);
	unlink(second);
	unlink(third);
	must_open(f, true);
}

/* The file system may be full, or the disk larger than its largest file. */
static void overlay_is_refused_when_its_end_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, small;
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	disk_close(&f->disk);
	unlink(f->overlay);
	open_plain(f, &f->disk, false);
	fd = open(f->overlay, O_RDWR | O_CREAT | O_EXCL, 0600);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = (struct rlimit){ 10 * BLOCK, limit.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	assert_null(disk_prepare(&f->disk, fd, f->overlay, &f->error));
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_non_null(strstr(f->error.text, "bytes can be made there: File too large"));
	assert_int_equal(close(fd), 0); /* the caller still owns it */
}

/* Version 1 recorded only the size of its base. */
static void overlay_of_version_1_takes_any_base_of_its_size(void **state)
{
	const uint8_t bytes[BLOCK] = { 1 };
	const uint32_t version = 1;
	struct fixture *f = *state;
	uint8_t footer[64];
	uint32_t crc;
	int fd;

	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, BLOCK), 0);
	disk_close(&f->disk);
	fd = open(f->overlay, O_RDWR);
	assert_int_equal(pread(fd, footer, sizeof(footer), FOOTER_AT), sizeof(footer));
	assert_int_equal(footer[8], 2);
	memcpy(footer + 8, &version, sizeof(version));
	memset(footer + 24, 0, 36);
	crc = checksum(0, footer, 60);
	memcpy(footer + 60, &crc, sizeof(crc));
	assert_int_equal(pwrite(fd, footer, sizeof(footer), FOOTER_AT), sizeof(footer));
	close(fd);
	set_base(f, 5000, f->old[0]);
	must_open(f, false);
	assert_int_equal(write_disk(&f->disk, bytes, BLOCK, 3 * BLOCK), 0);
	disk_close(&f->disk);
	must_open(f, false);
}

/* After a discard the contents are undefined. lkvm returns the old data or zeroes; the model takes what it returns. */
static void adopt(struct disk *disk, uint8_t *model, uint64_t offset, uint64_t length)
{
	static uint8_t bytes[SIZE];

	assert_int_equal(read_disk(disk, bytes, length, offset), 0);
	for (uint64_t i = 0; i < length; i++)
		assert_true(bytes[i] == 0 || bytes[i] == model[offset + i]);
	memcpy(model + offset, bytes, length);
}

/* Compares thousands of requests with a flat array. */
static void overlay_matches_a_flat_array_after_random_requests(void **state)
{
	static uint8_t model[SIZE], bytes[SIZE];
	struct fixture *f = *state;

	memcpy(model, f->old, SIZE);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t random = seed * 0x9e3779b97f4a7c15ull;

		for (unsigned step = 0; step < 200; step++) {
			uint64_t sector = next_random(&random) % (SIZE / DISK_SECTOR), offset = sector * DISK_SECTOR;
			uint64_t most = next_random(&random) % 4 ? 20 : SIZE / DISK_SECTOR;
			uint64_t length = DISK_SECTOR * (1 + next_random(&random) % most);
			struct iovec iov[64];
			unsigned count;

			length = length < SIZE - offset ? length : SIZE - offset;
			count = cut(&random, bytes, length, iov);
			switch (next_random(&random) % 16) {
			case 0:
				assert_int_equal(disk_flush(&f->disk), 0);
				break;
			case 1:
				disk_close(&f->disk);
				must_open(f, false);
				break;
			case 2:
				assert_int_equal(disk_discard(&f->disk, offset, length), 0);
				adopt(&f->disk, model, offset, length);
				break;
			case 3:
			case 4:
				assert_int_equal(disk_write_zeroes(&f->disk, offset, length, next_random(&random) % 2), 0);
				memset(model + offset, 0, length);
				break;
			case 5:
			case 6:
			case 7:
			case 8:
			case 9:
				memset(bytes, 0, sizeof(bytes));
				assert_int_equal(disk_read(&f->disk, iov, count, offset), 0);
				assert_memory_equal(bytes, model + offset, length);
				break;
			default:
				for (uint64_t i = 0; i < length; i++)
					bytes[i] = (uint8_t)next_random(&random);
				assert_int_equal(disk_write(&f->disk, iov, count, offset), 0);
				memcpy(model + offset, bytes, length);
			}
		}
		expect_contents(&f->disk, model);
		/* Begins again with a new overlay. */
		disk_close(&f->disk);
		unlink(f->overlay);
		must_open(f, true);
		memcpy(model, f->old, SIZE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(overlay_stays_empty_until_the_first_write), TEST(overlay_file_has_its_documented_format),
		TEST(overlay_completes_blocks_from_the_base),
		TEST(overlay_hides_base_when_zeroes_are_written),
		TEST(overlay_records_blocks_after_their_data_is_synced),
		TEST(overlay_keeps_old_data_when_its_file_cannot_grow),
		TEST(overlay_reports_error_when_the_base_shrank),
		TEST(overlay_is_refused_when_it_is_a_link), TEST(overlay_is_refused_when_it_is_in_use_or_damaged),
		TEST(base_is_shared_by_overlays_but_not_with_a_writer),
		TEST(overlay_matches_a_flat_array_after_random_requests),
		TEST(overlay_is_refused_when_its_base_was_written), TEST(switched_disk_stays_as_it_was),
		TEST(flush_fails_after_switch_when_disk_under_overlay_fails),
		TEST(overlays_lie_over_overlays),
		TEST(flush_fails_when_a_save_got_the_error),
		TEST(overlay_is_refused_when_what_is_under_it_changed),
		TEST(overlay_is_refused_when_its_end_cannot_be_written),
		TEST(overlay_of_version_1_takes_any_base_of_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
