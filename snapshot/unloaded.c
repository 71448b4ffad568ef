/* SPDX-License-Identifier: MIT */
/* A list of ranges of guest memory that are not loaded yet. */
#include "unloaded.h"

#include <errno.h>
#include <stdlib.h>

int unloaded_add(struct snapshot_unloaded *unloaded, uint64_t page, uint64_t from, uint64_t end, struct error *error)
{
	struct snapshot_range *last = unloaded->count ? &unloaded->items[unloaded->count - 1] : NULL;

	from &= -page;
	end = (end + page - 1) & -page;
	if (last && from <= last->end) {
		if (end > last->end)
			last->end = end;
		return 0;
	}
	if (!unloaded->items || unloaded->count == unloaded->capacity) {
		size_t capacity = unloaded->capacity ? 2 * unloaded->capacity : 64;
		struct snapshot_range *items = realloc(unloaded->items, capacity * sizeof(*items));

		if (!items)
			return error_system(error, ENOMEM, "memory");
		unloaded->items = items;
		unloaded->capacity = capacity;
	}
	unloaded->items[unloaded->count++] = (struct snapshot_range){ from, end };
	return 0;
}

size_t unloaded_find(const struct snapshot_unloaded *unloaded, uint64_t at)
{
	size_t low = 0, high = unloaded->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unloaded->items[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void snapshot_unloaded_free(struct snapshot_unloaded *unloaded)
{
	free(unloaded->items);
	*unloaded = (struct snapshot_unloaded){ 0 };
}
