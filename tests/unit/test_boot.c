/* SPDX-License-Identifier: MIT */
/* boot_load() and boot_check(): addresses of kernels and initrds in each format, and the errors for other files. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "arm/boot.h"
#include "arm/bootargs.h"
#include "arm/fdt.h"
#include "util/bits.h"

#define MIB (1ull << 20)
#define BASE 0x80000000ull

struct fixture {
	struct ram ram;
	struct boot boot;
	char kernel[32], initrd[32];
	struct error error;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->kernel, "/tmp/lkvm-kernel-XXXXXX");
	strcpy(fixture->initrd, "/tmp/lkvm-initrd-XXXXXX");
	close(mkstemp(fixture->kernel));
	close(mkstemp(fixture->initrd));
	assert_int_equal(ram_open(&fixture->ram, BASE, 64 * MIB, &fixture->error), 0);
	fixture->boot.kernel_fd = fixture->boot.initrd_fd = -1;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	boot_close(&fixture->boot);
	ram_close(&fixture->ram);
	unlink(fixture->kernel);
	unlink(fixture->initrd);
	free(fixture);
	return 0;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

/* Returns an Image of `size` bytes. */
static uint8_t *make_image(size_t size, uint64_t text_offset, uint64_t image_size)
{
	uint8_t *image = calloc(1, size);

	for (size_t i = 64; i < size; i++)
		image[i] = (uint8_t)(i * 7 + i / 251);
	memcpy(image + 8, &text_offset, 8);
	memcpy(image + 16, &image_size, 8);
	memcpy(image + 56, "ARM\x64", 4);
	return image;
}

static int load(struct fixture *fixture, bool initrd)
{
	boot_close(&fixture->boot);
	if (boot_open(&fixture->boot, fixture->kernel, initrd ? fixture->initrd : NULL, &fixture->error) < 0)
		return -1;
	return boot_load(&fixture->boot, &fixture->ram, &fixture->error);
}

static void image_is_loaded_at_its_text_offset(void **state)
{
	static const struct {
		uint64_t text_offset, image_size, where;
	} cases[] = { { 0, MIB, 0 }, { 0x80000, MIB, 0x80000 }, { 0x80000, 0, 0x80000 }, { 0, 0, 0x80000 } };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t *image = make_image(70000, cases[i].text_offset, cases[i].image_size);

		write_file(fixture->kernel, image, 70000);
		assert_int_equal(load(fixture, false), 0);
		assert_false(fixture->boot.flat);
		assert_int_equal(fixture->boot.entry, BASE + cases[i].where);
		assert_memory_equal(fixture->ram.host + cases[i].where, image, 70000);
		assert_int_equal(fixture->boot.initrd_size, 0);
		assert_int_equal(fixture->boot.fdt % 8, 0);
		assert_true(fixture->boot.fdt >= fixture->boot.entry + 70000);
		assert_non_null(ram_at(&fixture->ram, fixture->boot.fdt, FDT_MAX_SIZE));
		free(image);
	}
}

static void kernel_is_inflated_when_it_is_gzip_or_zboot(void **state)
{
	struct fixture *fixture = *state;
	size_t size = 3 * MIB + 17;
	uint8_t *image = make_image(size, 0, 4 * MIB);
	gzFile file = gzopen(fixture->kernel, "wb");

	assert_int_equal(gzwrite(file, image, (unsigned)size), size);
	gzclose(file);
	assert_int_equal(load(fixture, false), 0);
	assert_int_equal(fixture->boot.entry, BASE);
	assert_memory_equal(fixture->ram.host, image, size);

	/* The file is truncated. */
	assert_int_equal(truncate(fixture->kernel, 2000), 0);
	assert_int_equal(load(fixture, false), -1);
	assert_non_null(strstr(fixture->error.text, "gzip"));

	/* In an EFI zboot wrapper. */
	uint8_t wrapped[4096] = { 'M', 'Z', 0, 0, 'z', 'i', 'm', 'g', 0, 8, 0, 0 };
	uLongf packed = sizeof(wrapped) - 2048;
	z_stream stream = { .next_in = image, .avail_in = 5000, .next_out = wrapped + 2048, .avail_out = (uInt)packed };

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	memcpy(wrapped + 12, &(uint32_t){ (uint32_t)stream.total_out }, 4);
	memcpy(wrapped + 24, "gzip", 5);
	deflateEnd(&stream);
	memset(fixture->ram.host, 0, 5000);
	write_file(fixture->kernel, wrapped, sizeof(wrapped));
	assert_int_equal(load(fixture, false), 0);
	assert_memory_equal(fixture->ram.host, image, 5000);

	memcpy(wrapped + 24, "zstd22\0", 7);
	write_file(fixture->kernel, wrapped, sizeof(wrapped));
	assert_int_equal(load(fixture, false), -1);
	assert_non_null(strstr(fixture->error.text, "zstd22"));

	memcpy(wrapped + 24, "gzip\0\0", 6);
	memset(wrapped + 12, 0xff, 4);
	write_file(fixture->kernel, wrapped, sizeof(wrapped));
	assert_int_equal(load(fixture, false), -1);
	assert_non_null(strstr(fixture->error.text, "cut short"));
	free(image);
}

static void flat_binary_is_loaded_unchanged(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture->kernel, "\x1f\x20\x03\xd5", 4);
	assert_int_equal(load(fixture, false), 0);
	assert_int_equal(fixture->boot.entry, BASE + 0x80000);
	assert_memory_equal(fixture->ram.host + 0x80000, "\x1f\x20\x03\xd5", 4);
	assert_true(fixture->boot.flat);
}

static void initrd_lies_between_kernel_and_device_tree(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *image = make_image(70000, 0, 2 * MIB);
	const size_t size = 5 * MIB + 1;
	uint8_t *initrd = malloc(size);

	memset(initrd, 0x5a, size);
	write_file(fixture->kernel, image, 70000);
	write_file(fixture->initrd, initrd, size);
	assert_int_equal(load(fixture, true), 0);
	assert_int_equal(fixture->boot.initrd_size, size);
	assert_true(fixture->boot.initrd >= BASE + 2 * MIB);
	assert_true(fixture->boot.initrd + size <= fixture->boot.fdt);
	assert_memory_equal(ram_at(&fixture->ram, fixture->boot.initrd, size), initrd, size);

	/* An initrd that does not fit the first 256 MiB is placed above. */
	ram_close(&fixture->ram);
	assert_int_equal(ram_open(&fixture->ram, BASE, 1024 * MIB, &fixture->error), 0);
	assert_int_equal(truncate(fixture->initrd, 300 * MIB), 0);
	assert_int_equal(load(fixture, true), 0);
	assert_true(fixture->boot.fdt > BASE + 256 * MIB);
	free(initrd);
	free(image);
}

static void boot_load_names_the_fault_of_the_file(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *word;
	} cases[] = {
		{ "", 0, "empty" },
		{ "\xfd" "7zXZ\0....", 10, "xz" },
		{ "\x28\xb5\x2f\xfd....", 8, "zstd" },
		{ "\177ELF....", 8, "ELF" },
	};
	struct fixture *fixture = *state;
	uint8_t *image;

	for (size_t i = 0; i < COUNT(cases); i++) {
		write_file(fixture->kernel, cases[i].bytes, cases[i].size);
		assert_int_equal(load(fixture, false), -1);
		assert_non_null(strstr(fixture->error.text, cases[i].word));
		assert_non_null(strstr(fixture->error.text, fixture->kernel));
	}

	image = make_image(70000, 0, 65 * MIB);
	write_file(fixture->kernel, image, 70000);
	assert_int_equal(load(fixture, false), -1);
	assert_non_null(strstr(fixture->error.text, "--mem"));
	free(image);

	image = make_image(70000, UINT64_MAX - 100, 1000);
	write_file(fixture->kernel, image, 70000);
	assert_int_equal(load(fixture, false), -1);
	free(image);

	image = make_image(70000, 0, 40 * MIB);
	write_file(fixture->kernel, image, 70000);
	assert_int_equal(truncate(fixture->initrd, 30 * MIB), 0);
	assert_int_equal(load(fixture, true), -1);
	assert_non_null(strstr(fixture->error.text, "initrd"));
	free(image);

	assert_int_equal(boot_open(&fixture->boot, "/nonexistent/kernel", NULL, &fixture->error), -1);
	assert_string_equal(fixture->error.text, "Unable to open kernel /nonexistent/kernel: No such file or directory");
	assert_int_equal(boot_open(&fixture->boot, "/tmp", NULL, &fixture->error), -1);
}

/* Files that users give by mistake are refused before anything is loaded, compressed by gzip or not. */
static void boot_open_refuses_formats_by_name(void **state)
{
	static const struct {
		unsigned offset;
		const char *magic;
		unsigned length;
		const char *name, *advice;
	} cases[] = {
		{ 0, "070701", 6, "cpio", "--initrd" },
		{ 0, "070702", 6, "cpio", "--initrd" },
		{ 257, "ustar", 5, "tar", "Image" },
		{ 0x202, "HdrS", 4, "bzImage", "Image" },
		{ 0, "MZ\x90", 3, "EFI", "Image" },
		{ 0, "\177ELF", 4, "ELF", "vmlinux" },
		{ 0, "\x27\x05\x19\x56", 4, "uImage", "Image" },
		{ 0, "\xd0\x0d\xfe\xed", 4, "FIT", "Image" },
		{ 0x24, "\x18\x28\x6f\x01", 4, "zImage", "Image" },
		{ 0x38, "RSC\x05", 4, "RISC-V", "Image" },
		{ 0, "QFI\xfb", 4, "qcow2", "--disk" },
		{ 0, "conectix", 8, "VHD", "--disk" },
		{ 0x40, "\x7f\x10\xda\xbe", 4, "VDI", "--disk" },
		{ 0, "lkvmSNAP", 8, "snapshot", "restore" },
		{ 0, "BZh9", 4, "bzip2", "bunzip2" },
		{ 0, "\x02\x21\x4c\x18", 4, "lz4", "unlz4" },
		{ 0, "#!/bin/sh", 9, "script", "Image" },
		{ 0, "\0\0\0\0", 4, "zeroes", "Image" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t bytes[2048];
		gzFile file;

		memset(bytes, 0x1f, sizeof(bytes));
		memcpy(bytes + cases[i].offset, cases[i].magic, cases[i].length);
		write_file(fixture->kernel, bytes, sizeof(bytes));
		for (int compressed = 0; compressed < 2; compressed++) {
			const char *text = fixture->error.text;

			assert_int_equal(boot_open(&fixture->boot, fixture->kernel, NULL, &fixture->error), -1);
			if (!strstr(text, cases[i].name) || !strstr(text, cases[i].advice) || !strstr(text, fixture->kernel))
				fail_msg("case %zu: %s", i, text);
			assert_int_equal(fixture->boot.kernel_fd, -1);
			file = gzopen(fixture->kernel, "wb");
			assert_int_equal(gzwrite(file, bytes, sizeof(bytes)), sizeof(bytes));
			gzclose(file);
		}
	}
}

/* An arm64 Image with an EFI stub is also an EFI program. */
static void boot_open_accepts_image_that_is_efi_program(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *image = make_image(70000, 0, MIB);

	memcpy(image, "MZ@\xfa", 4);
	write_file(fixture->kernel, image, 70000);
	assert_int_equal(load(fixture, false), 0);
	assert_false(fixture->boot.flat);
	free(image);
}

/* `run` requires 64 MiB. A snapshot may have any size, and a reset loads the kernel again. */
static void boot_load_fails_when_ram_has_no_room_for_a_device_tree(void **state)
{
	static const uint64_t sizes[] = { 4096, 0x90000, MIB, FDT_MAX_SIZE - 4096 };
	struct fixture *fixture = *state;

	write_file(fixture->kernel, "x", 1);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		ram_close(&fixture->ram);
		assert_int_equal(ram_open(&fixture->ram, BASE, sizes[i], &fixture->error), 0);
		assert_int_equal(load(fixture, false), -1);
		assert_non_null(strstr(fixture->error.text, "--mem"));
	}
}

static void bootargs_add_what_is_missing(void **state)
{
	static const struct {
		const char *given;
		bool disk;
		const char *result;
	} cases[] = {
		{ NULL, false, "console=ttyS0" },
		{ "quiet", false, "console=ttyS0 quiet" },
		{ "quiet", true, "console=ttyS0 root=/dev/vda rw quiet" },
		{ NULL, true, "console=ttyS0 root=/dev/vda rw" },
		{ "console=hvc0 root=/dev/vdb", true, "console=hvc0 root=/dev/vdb" },
		{ "netconsole=x console=y", false, "netconsole=x console=y" },
		{ "netconsole=x", false, "console=ttyS0 netconsole=x" },
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(bootargs_build(line, sizeof(line), cases[i].given, "ttyS0", cases[i].disk), 0);
		assert_string_equal(line, cases[i].result);
	}
	assert_int_equal(bootargs_build(line, 16, "quiet", "ttyS0", false), -1);
}

/* boot_check() finds each fault that boot_load() would find, and writes no RAM. Each file is restored afterwards. */
static void boot_check_finds_each_fault_and_writes_no_ram(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *image = make_image(100000, 0, 200000);
	static const uint8_t broken_gzip[64] = { 0x1f, 0x8b, 8 };
	char gone[40];

	boot_defer(&fixture->boot, fixture->kernel, fixture->initrd);
	snprintf(gone, sizeof(gone), "%s.gone", fixture->kernel);
	assert_int_equal(rename(fixture->kernel, gone), 0);
	assert_int_equal(boot_check(&fixture->boot, &fixture->ram, &fixture->error), -1);
	assert_non_null(strstr(fixture->error.text, "Unable to open kernel /tmp/lkvm-kernel-"));
	assert_int_equal(rename(gone, fixture->kernel), 0);

	write_file(fixture->kernel, broken_gzip, sizeof(broken_gzip));
	assert_int_equal(boot_check(&fixture->boot, &fixture->ram, &fixture->error), -1);
	write_file(fixture->kernel, image, 100000);
	assert_int_equal(truncate(fixture->initrd, 65 * MIB), 0);
	assert_int_equal(boot_check(&fixture->boot, &fixture->ram, &fixture->error), -1);
	assert_non_null(strstr(fixture->error.text, "do not fit"));
	assert_int_equal(truncate(fixture->initrd, 0), 0);

	assert_int_equal(boot_check(&fixture->boot, &fixture->ram, &fixture->error), 0);
	for (size_t i = 0; i < fixture->ram.size; i += 8)
		assert_int_equal(*(const uint64_t *)((const char *)fixture->ram.host + i), 0);
	assert_int_equal(boot_load(&fixture->boot, &fixture->ram, &fixture->error), 0);
	assert_memory_equal(fixture->ram.host, image, 100000);
	free(image);
}

/* A snapshot may have any path as its kernel. */
static void kernel_that_is_a_fifo_is_refused_at_once(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->kernel);
	assert_int_equal(mkfifo(fixture->kernel, 0600), 0);
	assert_int_equal(boot_open(&fixture->boot, fixture->kernel, NULL, &fixture->error), -1);
	assert_non_null(strstr(fixture->error.text, "not a regular file"));
	assert_int_equal(boot_open(&fixture->boot, NULL, NULL, &fixture->error), -1);
	assert_string_equal(fixture->error.text, "no kernel is known");
}

static void bootargs_are_exactly_the_parameters_without_console_and_root(void **state)
{
	char line[64];

	(void)state;
	assert_int_equal(bootargs_build(line, sizeof(line), " a  b ", NULL, false), 0);
	assert_string_equal(line, " a  b ");
	assert_int_equal(bootargs_build(line, sizeof(line), NULL, NULL, false), 0);
	assert_string_equal(line, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(image_is_loaded_at_its_text_offset),
		CASE(kernel_is_inflated_when_it_is_gzip_or_zboot),
		CASE(flat_binary_is_loaded_unchanged),
		CASE(initrd_lies_between_kernel_and_device_tree),
		CASE(boot_load_names_the_fault_of_the_file),
		CASE(boot_check_finds_each_fault_and_writes_no_ram),
		CASE(kernel_that_is_a_fifo_is_refused_at_once),
		CASE(boot_open_refuses_formats_by_name),
		CASE(boot_open_accepts_image_that_is_efi_program),
		CASE(boot_load_fails_when_ram_has_no_room_for_a_device_tree),
		CASE(bootargs_add_what_is_missing),
		CASE(bootargs_are_exactly_the_parameters_without_console_and_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
