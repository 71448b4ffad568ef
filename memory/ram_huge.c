/* SPDX-License-Identifier: MIT */
/* Maps guest memory from the host's pool of huge pages. Kernel: Documentation/admin-guide/mm/hugetlbpage.rst. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/ram.h"

#define HUGE_SHIFT 26 /* the shift of the size's binary logarithm in mmap()'s flags */

/* Returns the number after `what`, which is the beginning of a line, or "". 0 if there is none. */
static uint64_t read_number(const char *path, const char *what)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0;
	char line[128];

	while (file && !number && fgets(line, sizeof(line), file))
		if (!strncmp(line, what, strlen(what)))
			number = strtoull(line + strlen(what), NULL, 10);
	if (file)
		fclose(file);
	return number;
}

static uint64_t pool(uint64_t page, const char *what)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s", page >> 10, what);
	return read_number(path, "");
}

static int refuse(uint64_t size, uint64_t page, struct error *error)
{
	return error_set(error, ENOMEM, "%" PRIu64 " MiB of guest memory are %" PRIu64 " huge pages of %" PRIu64 " KiB, this host has %"
			 PRIu64 " free: /sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages sets their number",
			 size >> 20, size / page, page >> 10, pool(page, "free_hugepages") - pool(page, "resv_hugepages"), page >> 10);
}

int ram_open_huge(struct ram *ram, uint64_t base, uint64_t size, uint64_t page, struct error *error)
{
	/* The mapping reserves its pages, so that a later access cannot fail because the pool is empty. */
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	uint8_t *area;

	*ram = (struct ram){ 0 };
	if (page == RAM_HUGE_DEFAULT)
		page = read_number("/proc/meminfo", "Hugepagesize:") << 10;
	if (!page)
		return error_set(error, ENOTSUP, "this host has no huge pages");
	if (page < 4096 || page & (page - 1))
		return error_set(error, EINVAL, "this host has no huge pages of %" PRIu64 " KiB", page >> 10);
	if (size % page)
		return error_set(error, EINVAL, "%" PRIu64 " MiB of guest memory are not whole huge pages of %" PRIu64 " KiB", size >> 20,
				 page >> 10);
	area = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | __builtin_ctzll(page) << HUGE_SHIFT, -1, 0);
	if (area == MAP_FAILED && errno == ENOMEM)
		return refuse(size, page, error);
	if (area == MAP_FAILED)
		return error_system(error, errno, "huge pages of %" PRIu64 " KiB", page >> 10);
	madvise(area, size, MADV_DONTDUMP);
	madvise(area, size, MADV_DONTFORK); /* copies for a child would need pages that are not reserved */
	*ram = (struct ram){ .host = area, .base = base, .size = size, .huge_page = page };
	return 0;
}
