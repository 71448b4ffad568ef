/* SPDX-License-Identifier: MIT */
/* memory/ram.c: zeroed RAM, files that are mapped over it, and huge pages that the host lacks. */
#include "unit/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/ram.h"

#define SIZE (4u << 20)
#define PAGE 65536u

static void file_is_mapped_over_zeroed_ram(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint8_t bytes[PAGE];
	struct error error;
	struct ram ram;

	(void)state;
	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), PAGE), sizeof(bytes));
	assert_int_equal(ram_open(&ram, 0x80000000, SIZE, &error), 0);
	assert_int_equal((uintptr_t)ram.host % (2u << 20), 0);
	assert_int_equal(ram_map(&ram, 2 * PAGE, PAGE, fd, PAGE, &error), 0);
	assert_int_equal(ram.host[2 * PAGE - 1], 0);
	assert_memory_equal(ram_at(&ram, 0x80000000 + 2 * PAGE, PAGE), bytes, PAGE);
	assert_int_equal(ram.host[3 * PAGE], 0);
	ram.host[2 * PAGE] = 1;
	assert_int_equal(pread(fd, bytes, 1, PAGE), 1);
	assert_int_equal(bytes[0], 0x5a);
	assert_int_equal(ram_map(&ram, 2 * PAGE, PAGE, -1, 0, &error), 0);
	assert_int_equal(ram.host[2 * PAGE], 0);
	assert_null(ram_at(&ram, 0x80000000 + SIZE - 1, 2));
	ram_close(&ram);
	assert_null(ram.host);
	close(fd);
}

static void ram_open_huge_fails_when_the_host_lacks_pages(void **state)
{
	struct error error;
	struct ram ram;

	(void)state;
	assert_int_equal(ram_open_huge(&ram, 0, 1ull << 44, 2u << 20, &error), -1);
	assert_null(ram.host);
	assert_non_null(strstr(error.text, "16777216 MiB of guest memory are 8388608 huge pages of 2048 KiB, this host has "));
	assert_non_null(strstr(error.text, " free: /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
	assert_int_equal(ram_open_huge(&ram, 0, 3u << 20, 2u << 20, &error), -1);
	assert_string_equal(error.text, "3 MiB of guest memory are not whole huge pages of 2048 KiB");
	assert_int_equal(ram_open_huge(&ram, 0, 6u << 20, 3u << 20, &error), -1);
	assert_string_equal(error.text, "this host has no huge pages of 3072 KiB");
	assert_int_equal(ram_open_huge(&ram, 0, 64u << 20, 8192, &error), -1);
	assert_non_null(strstr(error.text, "huge pages of 8 KiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_mapped_over_zeroed_ram),
		cmocka_unit_test(ram_open_huge_fails_when_the_host_lacks_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
