/* SPDX-License-Identifier: MIT */
/*
 * Finds the present pages of this process's memory in the kernel's page map. Reading the pages themselves would make them
 * present. Kernel: Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef LKVM_MEMORY_PAGE_MAP_H
#define LKVM_MEMORY_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct page_map {
	int fd; /* -1: there is no page map, so that every page may be present */
	int problem; /* errno of a failed open, or 0 */
	uint64_t page_size;
};

/* Opens the page map. A failure only sets `problem`. */
void page_map_open(struct page_map *map);
void page_map_close(struct page_map *map);

#define PAGE_MAP_PRESENT (1ull << 63)
#define PAGE_MAP_SWAPPED (1ull << 62)
#define PAGE_MAP_PROTECTED (1ull << 57) /* by userfaultfd; may also be set if the page is neither present nor swapped */
#define PAGE_MAP_FILE (1ull << 61) /* with PRESENT: it is the file's page, not a private copy */

/*
 * Reads one entry per page of the host for [host, host + size). `host` is aligned to pages. Returns false if the page map
 * cannot be read, and then sets all bits of all entries.
 */
bool page_map_read(const struct page_map *map, uint64_t *entries, const uint8_t *host, uint64_t size);

#endif
