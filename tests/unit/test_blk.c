/* SPDX-License-Identifier: MIT */
/* virtio/blk.c and virtio/disk.c: valid and invalid requests on a file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake/driver.h"
#include "fake/kvm.h"
#include "util/bits.h"

#define SIZE 16
#define QUEUES 2
#define SECTORS 2048u
#define RINGS(n) (FAKE_RAM_BASE + 0x10000ull * ((n) + 1))
#define HEADER (FAKE_RAM_BASE + 0x100000)
#define STATUS (FAKE_RAM_BASE + 0x100100)
#define DATA (FAKE_RAM_BASE + 0x200000)
#define END (FAKE_RAM_BASE + FAKE_RAM_SIZE)
#define UNTOUCHED 0x5a

struct fixture {
	struct fake_machine machine;
	struct fake_function function;
	struct fake_queue rings[QUEUES];
	struct virtio_device *device;
	char path[64];
	int fd;
};

static struct virtio_device *open_disk(struct fixture *f, bool read_only, struct error *error)
{
	const struct virtio_block_config config = {
		.path = f->path,
		.read_only = read_only,
		.queues = QUEUES,
		.serial = "a serial number that is too long",
	};

	return virtio_block_open(&f->machine.vm, &f->machine.pci, 0, &config, error);
}

static void run_driver(struct fixture *f, uint64_t without)
{
	/* The driver may write the rings again only after a reset. */
	fake_set_common(&f->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		fake_queue_init(&f->rings[i], &f->machine.vm.ram, RINGS(i), SIZE);
	fake_negotiate(&f->function, without);
	for (uint16_t i = 0; i < QUEUES; i++)
		fake_set_queue(&f->function, i, &f->rings[i], i);
	fake_driver_ok(&f->function);
}

static struct fixture *open_fixture(bool read_only, bool in_memory)
{
	static struct fixture f;
	struct error error;

	memset(&f, 0, sizeof(f));
	fake_kvm_reset();
	fake_machine_open(&f.machine, true);
	strcpy(f.path, "/tmp/lkvm-test-blk-XXXXXX");
	f.fd = in_memory ? memfd_create("disk", MFD_CLOEXEC) : mkstemp(f.path);
	if (in_memory)
		snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	assert_true(f.fd >= 0);
	assert_int_equal(ftruncate(f.fd, SECTORS * 512 + 100), 0); /* an incomplete last sector is not part of the disk */
	f.device = open_disk(&f, read_only, &error);
	if (!f.device)
		fail_msg("%s", error.text);
	virtio_resume(f.device);
	fake_probe(&f.function, &f.machine, 0);
	run_driver(&f, 0);
	return &f;
}

static int setup(void **state)
{
	*state = open_fixture(false, false);
	return 0;
}

/* tmpfs does not support FALLOC_FL_ZERO_RANGE. */
static int setup_in_memory(void **state)
{
	*state = open_fixture(false, true);
	return 0;
}

static int setup_read_only(void **state)
{
	*state = open_fixture(true, false);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_close(f->device);
	free(f->device);
	fake_machine_close(&f->machine);
	close(f->fd);
	unlink(f->path);
	return 0;
}

struct part {
	uint64_t address;
	uint32_t length;
	bool writable;
};

/* Sends a request of several buffers on a queue. Returns the written bytes in the used entry, or -1 without an answer. */
static int64_t request(struct fixture *f, unsigned queue, const struct part *parts, unsigned count)
{
	uint32_t written;

	for (uint16_t i = 0; i < count; i++)
		fake_descriptor(&f->rings[queue], i, parts[i].address, parts[i].length,
				(i + 1u < count ? VRING_DESC_F_NEXT : 0) |
					(parts[i].writable ? VRING_DESC_F_WRITE : 0),
				(uint16_t)(i + 1));
	fake_offer(&f->rings[queue], 0);
	fake_notify(&f->function, (uint16_t)queue);
	if (!fake_wait_used(&f->rings[queue]) || !fake_take(&f->rings[queue], NULL, &written))
		return -1;
	return written;
}

static uint8_t *status_byte(struct fixture *f)
{
	return ram_at(&f->machine.vm.ram, STATUS, 1);
}

/* Sends a request in the usual layout: header, data, status. Returns the status. */
static uint8_t simple(struct fixture *f, uint32_t type, uint64_t sector, uint32_t length, bool from_device)
{
	const struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	const struct part parts[] = {
		{ HEADER, sizeof(header), false },
		{ DATA, length, from_device },
		{ STATUS, 1, true },
	};

	memcpy(ram_at(&f->machine.vm.ram, HEADER, sizeof(header)), &header, sizeof(header));
	*status_byte(f) = UNTOUCHED;
	assert_int_equal(request(f, 0, parts, 3), from_device ? length + 1 : 1);
	return *status_byte(f);
}

static uint8_t *data(struct fixture *f)
{
	return ram_at(&f->machine.vm.ram, DATA, 0x100000);
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

static void disk_reads_what_was_written(void **state)
{
	struct fixture *f = *state;
	uint8_t expected[8192], found[8192];

	fill(expected, sizeof(expected), 1);
	memcpy(data(f), expected, sizeof(expected));
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, 3, sizeof(expected), false), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->fd, found, sizeof(found), 3 * 512), sizeof(found));
	assert_memory_equal(found, expected, sizeof(found));

	memset(data(f), 0, sizeof(expected));
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 3, sizeof(expected), true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), expected, sizeof(expected));
	assert_int_equal(simple(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
}

/* Header, data and status may be in any number of buffers, divided anywhere. Uses the other queue. */
static void request_accepts_any_division_into_buffers(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_outhdr out = { .type = VIRTIO_BLK_T_OUT, .sector = 9 };
	const struct virtio_blk_outhdr in = { .type = VIRTIO_BLK_T_IN, .sector = 9 };
	const struct part write[] = {
		{ DATA, 5, false },          /* part of the header */
		{ DATA + 5, 11 + 24, false }, /* the rest of the header, and some data */
		{ DATA + 40, 1000, false },
		{ STATUS, 1, true },
	};
	const struct part read[] = {
		{ HEADER, 16, false },
		{ DATA + 0x1000, 1, true },
		{ DATA + 0x2000, 1022, true },
		{ DATA + 0x3000, 2, true }, /* the last byte, and the status */
	};
	uint8_t found[1024];

	fill(data(f), 2048, 2);
	memcpy(data(f), &out, sizeof(out));
	assert_int_equal(request(f, 1, write, 4), 1);
	assert_int_equal(*status_byte(f), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->fd, found, sizeof(found), 9 * 512), sizeof(found));
	assert_memory_equal(found, data(f) + 16, sizeof(found));

	memcpy(ram_at(&f->machine.vm.ram, HEADER, sizeof(in)), &in, sizeof(in));
	data(f)[0x3001] = UNTOUCHED;
	assert_int_equal(request(f, 1, read, 4), 1025);
	assert_int_equal(data(f)[0x3001], VIRTIO_BLK_S_OK);
	assert_int_equal(data(f)[0x1000], found[0]);
	assert_memory_equal(data(f) + 0x2000, found + 1, 1022);
	assert_int_equal(data(f)[0x3000], found[1023]);
}

static void request_fails_when_it_exceeds_the_disk(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, SECTORS - 1, 512, true), VIRTIO_BLK_S_OK);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, SECTORS, 0, true), VIRTIO_BLK_S_OK);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, SECTORS, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, ~0ull, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 1ull << 55, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, (1ull << 55) + 1, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 0, 511, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, SECTORS, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, ~0ull, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, 0, 100, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, 77, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	/* The size of the file did not change. */
	struct stat stat;

	assert_int_equal(fstat(f->fd, &stat), 0);
	assert_int_equal(stat.st_size, SECTORS * 512 + 100);
}

static void identity_request_returns_serial(void **state)
{
	struct fixture *f = *state;

	memset(data(f), UNTOUCHED, 32);
	assert_int_equal(simple(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), "a serial number that", 20);
	memset(data(f), UNTOUCHED, 32);
	assert_int_equal(simple(f, VIRTIO_BLK_T_GET_ID, 0, 5, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), "a ser\x5a", 6);
}

static uint64_t config(struct fixture *f, size_t offset, unsigned size)
{
	return fake_read(&f->function, f->function.config + offset, size);
}

static void config_has_capacity_queues_and_limits(void **state)
{
	struct fixture *f = *state;

#define CONFIG(member)                                                                                     \
	config(f, offsetof(struct virtio_blk_config, member), sizeof(((struct virtio_blk_config *)0)->member))
	assert_int_equal(CONFIG(capacity), SECTORS);
	assert_int_equal(CONFIG(seg_max), 254);
	assert_int_equal(CONFIG(blk_size), 512);
	assert_int_equal(CONFIG(num_queues), QUEUES);
	assert_true(CONFIG(max_discard_sectors) > 0 && CONFIG(max_discard_seg) > 0);
	assert_true(CONFIG(max_write_zeroes_sectors) > 0 && CONFIG(max_write_zeroes_seg) > 0);
	assert_int_equal(f->device->features & 1ull << VIRTIO_BLK_F_RO, 0);
}

static uint8_t erase(struct fixture *f, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags,
		     uint32_t bytes)
{
	const struct virtio_blk_discard_write_zeroes segment = { sector, sectors, flags };

	memcpy(data(f), &segment, sizeof(segment));
	return simple(f, type, 0, bytes, false);
}

static bool is_filled(struct fixture *f, unsigned sector, unsigned sectors, uint8_t value)
{
	uint8_t found[512];

	for (; sectors--; sector++) {
		if (pread(f->fd, found, sizeof(found), sector * 512) != sizeof(found))
			return false;
		for (unsigned i = 0; i < sizeof(found); i++)
			if (found[i] != value)
				return false;
	}
	return true;
}

static void erase_zeroes_exactly_its_sectors(void **state)
{
	static const struct {
		uint32_t type, flags;
	} kinds[] = {
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
		{ VIRTIO_BLK_T_DISCARD, 0 },
	};
	struct fixture *f = *state;
	uint8_t ones[512 * 64];
	struct stat stat;

	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < 3; i++) {
		uint32_t type = kinds[i].type, flags = kinds[i].flags;

		assert_int_equal(pwrite(f->fd, ones, sizeof(ones), 0), sizeof(ones));
		assert_int_equal(erase(f, type, 9, 33, flags, 16), VIRTIO_BLK_S_OK);
		assert_true(is_filled(f, 0, 9, 0xff));
		assert_true(is_filled(f, 9, 33, 0));
		assert_true(is_filled(f, 42, 22, 0xff));
		assert_int_equal(erase(f, type, SECTORS - 1, 1, flags, 16), VIRTIO_BLK_S_OK);
		assert_int_equal(erase(f, type, 0, 0, flags, 16), VIRTIO_BLK_S_OK);

		assert_int_equal(erase(f, type, SECTORS - 1, 2, flags, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, ~0ull, 2, flags, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 1ull << 55, 1, flags, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 0, ~0u, flags, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 0, 1, flags, 15), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 0, 1, flags, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 0, 1, flags, 64 * 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(erase(f, type, 0, 1, flags | 2, 16), VIRTIO_BLK_S_UNSUPP);
		assert_true(is_filled(f, 0, 9, 0xff));
	}
	assert_int_equal(erase(f, VIRTIO_BLK_T_DISCARD, 0, 1, 1, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(fstat(f->fd, &stat), 0);
	assert_int_equal(stat.st_size, SECTORS * 512 + 100);
}

/* Without the flush feature, each write is durable when it completes. The request is the same. */
static void write_succeeds_without_flush_feature(void **state)
{
	struct fixture *f = *state;

	run_driver(f, 1ull << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
}

static void disk_refuses_writes_when_it_is_read_only(void **state)
{
	struct fixture *f = *state;

	assert_true(f->device->features & 1ull << VIRTIO_BLK_F_RO);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	assert_int_equal(simple(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	memset(data(f), 0xff, 512);
	assert_int_equal(simple(f, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(erase(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0, 16), VIRTIO_BLK_S_IOERR);
	assert_int_equal(erase(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0, 16), VIRTIO_BLK_S_IOERR);
	assert_true(is_filled(f, 0, 1, 0));
}

static void read_fails_when_the_file_shrank(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 512 * 10 + 7), 0);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 8, 1024, true), VIRTIO_BLK_S_OK);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 8, 2048, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 100, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(f->device->counters.errors, 2);
}

/* As on a full disk: the first half is written, and the rest fails. */
static void write_fails_when_half_of_it_can_be_written(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, small;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 512 * 9;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	uint8_t status = simple(f, VIRTIO_BLK_T_OUT, 8, 1024, false);
	uint8_t next = simple(f, VIRTIO_BLK_T_OUT, 0, 512, false);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(status, VIRTIO_BLK_S_IOERR);
	assert_int_equal(next, VIRTIO_BLK_S_OK); /* the device still works */
}

static void request_is_unsupported_when_its_header_is_short(void **state)
{
	struct fixture *f = *state;
	const struct part parts[] = { { HEADER, 15, false }, { DATA, 512, true }, { STATUS, 1, true } };
	const struct part only_status[] = { { STATUS, 1, true } };

	memset(ram_at(&f->machine.vm.ram, HEADER, 16), 0, 16);
	*status_byte(f) = UNTOUCHED;
	assert_int_equal(request(f, 0, parts, 3), 513);
	assert_int_equal(*status_byte(f), VIRTIO_BLK_S_UNSUPP);
	*status_byte(f) = UNTOUCHED;
	assert_int_equal(request(f, 0, only_status, 1), 1);
	assert_int_equal(*status_byte(f), VIRTIO_BLK_S_UNSUPP);
}

static void device_needs_reset_when_request_has_no_status(void **state)
{
	struct fixture *f = *state;

	fake_descriptor(&f->rings[0], 0, HEADER, 16, 0, 0);
	fake_offer(&f->rings[0], 0);
	fake_notify(&f->function, 0);
	assert_true(fake_wait_status(&f->function, VIRTIO_STATUS_NEEDS_RESET));
	run_driver(f, 0);
	assert_int_equal(simple(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

static void device_needs_reset_when_data_is_outside_of_ram(void **state)
{
	struct fixture *f = *state;

	fake_descriptor(&f->rings[1], 0, HEADER, 16, VRING_DESC_F_NEXT, 1);
	fake_descriptor(&f->rings[1], 1, END - 512, 513, VRING_DESC_F_WRITE, 0);
	fake_offer(&f->rings[1], 0);
	fake_notify(&f->function, 1);
	assert_true(fake_wait_status(&f->function, VIRTIO_STATUS_NEEDS_RESET));
}

/* Both queues are full at once, with one notification each. */
static void device_completes_all_requests_when_both_queues_are_full(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_IN };

	memcpy(ram_at(&f->machine.vm.ram, HEADER, sizeof(header)), &header, sizeof(header));
	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		fake_descriptor(&f->rings[queue], 0, HEADER, 16, VRING_DESC_F_NEXT, 1);
		fake_descriptor(&f->rings[queue], 1, DATA, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
		fake_descriptor(&f->rings[queue], 2, STATUS, 1, VRING_DESC_F_WRITE, 0);
	}
	for (unsigned round = 0; round < 200; round++) {
		for (uint16_t queue = 0; queue < QUEUES; queue++) {
			for (unsigned i = 0; i < SIZE; i++)
				fake_offer(&f->rings[queue], 0);
			fake_notify(&f->function, queue);
		}
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			for (unsigned i = 0; i < SIZE; i++)
				assert_true(fake_wait_used(&f->rings[queue]) && fake_take(&f->rings[queue], NULL, NULL));
	}
	assert_int_equal(f->device->counters.requests, 200 * SIZE * QUEUES);
}

static void disk_open_fails_when_another_vm_writes_the_disk(void **state)
{
	struct fixture *f = *state;
	struct error error;

	assert_null(open_disk(f, false, &error));
	assert_int_equal(error.code, EBUSY);
	assert_non_null(strstr(error.text, f->path));
	assert_null(open_disk(f, true, &error));
	assert_int_equal(error.code, EBUSY);
}

static void disk_open_succeeds_when_all_vms_only_read(void **state)
{
	struct fixture *f = *state;
	struct error error;
	struct virtio_device *second = open_disk(f, true, &error);

	assert_non_null(second);
	virtio_close(second);
	free(second);
	assert_null(open_disk(f, false, &error));
	assert_int_equal(error.code, EBUSY);
}

static void disk_open_refuses_files_that_are_no_disk(void **state)
{
	static const char *const paths[] = { "/nonexistent/disk", "/tmp", "/dev/null" };
	struct fixture *f = *state;
	struct virtio_block_config config = { .read_only = true, .queues = 1 };
	struct error error;

	for (unsigned i = 0; i < 3; i++) {
		config.path = paths[i];
		assert_null(virtio_block_open(&f->machine.vm, &f->machine.pci, 1, &config, &error));
		assert_non_null(strstr(error.text, paths[i]));
	}
	config.path = f->path;
	assert_int_equal(ftruncate(f->fd, 511), 0);
	assert_null(virtio_block_open(&f->machine.vm, &f->machine.pci, 1, &config, &error));
	assert_non_null(strstr(error.text, "smaller than one sector"));
}

/* Writes the magic number to an empty disk of 64 KiB and opens it. */
static int open_with_magic(struct fixture *f, const char *magic, size_t length, off_t offset,
			   const struct virtio_block_config *config, struct error *error)
{
	struct virtio_device *device;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(ftruncate(f->fd, 65536), 0);
	assert_int_equal(pwrite(f->fd, magic, length, offset), length);
	device = virtio_block_open(&f->machine.vm, &f->machine.pci, 1, config, error);
	if (!device)
		return -1;
	virtio_close(device);
	free(device);
	return 0;
}

static void disk_open_refuses_images_that_are_not_raw(void **state)
{
	static const struct {
		const char *magic;
		size_t length;
		off_t offset;
		const char *name, *command;
	} cases[] = {
		{ "QFI\xfb", 4, 0, "qcow2", "qemu-img convert -f qcow2 -O raw" },
		{ "QED", 4, 0, "QED", "qemu-img convert -f qed -O raw" },
		{ "KDMV", 4, 0, "VMDK", "qemu-img convert -f vmdk -O raw" },
		{ "# Disk DescriptorFile", 21, 0, "VMDK", "qemu-img convert -f vmdk -O raw" },
		{ "vhdxfile", 8, 0, "VHDX", "qemu-img convert -f vhdx -O raw" },
		{ "conectix", 8, 0, "VHD", "qemu-img convert -f vpc -O raw" },
		{ "conectix", 8, 65536 - 512, "VHD", "qemu-img convert -f vpc -O raw" },
		{ "\x7f\x10\xda\xbe", 4, 0x40, "VDI", "qemu-img convert -f vdi -O raw" },
		{ "WithouFreSpacExt", 16, 0, "Parallels", "qemu-img convert -f parallels -O raw" },
		{ "\x1f\x8b\x08", 3, 0, "gzip", "gunzip" },
		{ "\xfd" "7zXZ", 6, 0, "xz", "unxz" },
		{ "\x28\xb5\x2f\xfd", 4, 0, "zstd", "unzstd" },
		{ "lkvmSNAP", 8, 0, "snapshot", "not a disk" },
		{ "lkvmOVER", 8, 65536 - 64, "overlay", "not a disk" },
	};
	struct fixture *f = *state;
	struct error error;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct virtio_block_config config = { .path = f->path, .read_only = true, .queues = 1 };

		assert_int_equal(open_with_magic(f, cases[i].magic, cases[i].length, cases[i].offset, &config, &error), -1);
		if (!strstr(error.text, cases[i].name) || !strstr(error.text, cases[i].command) ||
		    !strstr(error.text, "format=raw") || !strstr(error.text, f->path))
			fail_msg("case %zu: %s", i, error.text);

		/* The user declared the disk raw, or it is a snapshot's: then the guest may have written the magic number. */
		config.raw = true;
		assert_int_equal(open_with_magic(f, cases[i].magic, cases[i].length, cases[i].offset, &config, &error), 0);
		config.raw = false;
		config.size = 65536;
		assert_int_equal(open_with_magic(f, cases[i].magic, cases[i].length, cases[i].offset, &config, &error), 0);
	}
}

static void disk_open_accepts_data_that_is_no_disk_image(void **state)
{
	struct fixture *f = *state;
	const struct virtio_block_config config = { .path = f->path, .read_only = true, .queues = 1 };
	struct error error;

	assert_int_equal(open_with_magic(f, "ustar", 5, 257, &config, &error), 0);
	assert_int_equal(open_with_magic(f, "070701", 6, 0, &config, &error), 0);
	assert_int_equal(open_with_magic(f, "LUKS\xba\xbe", 6, 0, &config, &error), 0);
	assert_int_equal(open_with_magic(f, "\x55\xaa", 2, 510, &config, &error), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_READ_ONLY(name) cmocka_unit_test_setup_teardown(name, setup_read_only, teardown)
	const struct CMUnitTest tests[] = {
		TEST(disk_reads_what_was_written),
		TEST(request_accepts_any_division_into_buffers),
		TEST(request_fails_when_it_exceeds_the_disk),
		TEST(identity_request_returns_serial),
		TEST(config_has_capacity_queues_and_limits),
		TEST(erase_zeroes_exactly_its_sectors),
		cmocka_unit_test_setup_teardown(erase_zeroes_exactly_its_sectors, setup_in_memory, teardown),
		TEST(write_succeeds_without_flush_feature),
		TEST_READ_ONLY(disk_refuses_writes_when_it_is_read_only),
		TEST(read_fails_when_the_file_shrank),
		TEST(write_fails_when_half_of_it_can_be_written),
		TEST(request_is_unsupported_when_its_header_is_short),
		TEST(device_needs_reset_when_request_has_no_status),
		TEST(device_needs_reset_when_data_is_outside_of_ram),
		TEST(device_completes_all_requests_when_both_queues_are_full),
		TEST(disk_open_fails_when_another_vm_writes_the_disk),
		TEST_READ_ONLY(disk_open_succeeds_when_all_vms_only_read),
		TEST(disk_open_refuses_files_that_are_no_disk),
		TEST_READ_ONLY(disk_open_refuses_images_that_are_not_raw),
		TEST_READ_ONLY(disk_open_accepts_data_that_is_no_disk_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
