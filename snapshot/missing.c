/* SPDX-License-Identifier: MIT */
/* A list of ranges of guest memory that are not loaded yet. */
#include "missing.h"

#include <errno.h>
#include <stdlib.h>

int missing_add(struct snapshot_missing *missing, uint64_t page, uint64_t from, uint64_t end, struct error *error)
{
	struct snapshot_stretch *last = missing->count ? &missing->items[missing->count - 1] : NULL;

	from &= -page;
	end = (end + page - 1) & -page;
	if (last && from <= last->end) {
		if (end > last->end)
			last->end = end;
		return 0;
	}
	if (!missing->items || missing->count == missing->room) {
		size_t room = missing->room ? 2 * missing->room : 64;
		struct snapshot_stretch *items = realloc(missing->items, room * sizeof(*items));

		if (!items)
			return error_system(error, ENOMEM, "memory");
		missing->items = items;
		missing->room = room;
	}
	missing->items[missing->count++] = (struct snapshot_stretch){ from, end };
	return 0;
}

size_t missing_find(const struct snapshot_missing *missing, uint64_t at)
{
	size_t low = 0, high = missing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (missing->items[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void snapshot_missing_free(struct snapshot_missing *missing)
{
	free(missing->items);
	*missing = (struct snapshot_missing){ 0 };
}
