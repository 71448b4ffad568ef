/* SPDX-License-Identifier: MIT */
/*
 * Which pages of this process's memory are there, as the kernel's page map has it: without looking at them, which would make
 * them exist. Kernel: Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef LKVM_MEMORY_PAGE_MAP_H
#define LKVM_MEMORY_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct page_map {
	int fd; /* -1: there is none, every page may be there */
	int problem; /* errno of its opening, or 0 */
	uint64_t page_size;
};

void page_map_open(struct page_map *map);
void page_map_close(struct page_map *map);

#define PAGE_MAP_PRESENT (1ull << 63)
#define PAGE_MAP_SWAPPED (1ull << 62)
#define PAGE_MAP_PROTECTED (1ull << 57) /* by userfaultfd; also of what is neither present nor swapped */
#define PAGE_MAP_FILE (1ull << 61) /* with PRESENT: it is the file's page, not a private copy of it */

/* One entry a page of the host for [host, host + size), which is aligned to pages. False where that is not known: then all bits are set. */
bool page_map_read(const struct page_map *map, uint64_t *entries, const uint8_t *host, uint64_t size);

#endif
