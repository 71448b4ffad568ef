/* SPDX-License-Identifier: MIT */
/* Reads /proc/self/pagemap. */
#include "memory/page_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/io.h"

void page_map_open(struct page_map *map)
{
	map->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	map->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	map->problem = map->fd < 0 ? errno : 0;
}

void page_map_close(struct page_map *map)
{
	if (map->fd >= 0)
		close(map->fd);
	map->fd = -1;
}

bool page_map_read(const struct page_map *map, uint64_t *entries, const uint8_t *host, uint64_t size)
{
	uint64_t first = (uintptr_t)host / map->page_size;
	size_t bytes = (size_t)((size + map->page_size - 1) / map->page_size * sizeof(*entries));

	if (map->fd >= 0 && pread_full(map->fd, entries, bytes, (off_t)(first * sizeof(*entries))) == (ssize_t)bytes)
		return true;
	memset(entries, 0xff, bytes);
	return false;
}
