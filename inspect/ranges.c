/* SPDX-License-Identifier: MIT */
/* Finds ranges of guest memory that overlap. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ranges.h"

static bool grow(struct ranges *ranges)
{
	size_t room = ranges->room ? 2 * ranges->room : 64;
	struct range *items = reallocarray(ranges->items, room, sizeof(*items));

	if (!items)
		return false;
	ranges->items = items;
	ranges->room = room;
	return true;
}

void ranges_add(struct ranges *ranges, uint64_t start, uint64_t size, const char *format, ...)
{
	struct range *range;
	va_list arguments;

	if (!size || ranges->failed)
		return;
	if (ranges->count == ranges->room && !grow(ranges)) {
		ranges->failed = true;
		return;
	}
	range = &ranges->items[ranges->count++];
	range->start = start;
	range->end = start + size;
	va_start(arguments, format);
	vsnprintf(range->name, sizeof(range->name), format, arguments);
	va_end(arguments);
}

/* Sorts by start, then longer ranges first. */
static int compare_ranges(const void *a, const void *b)
{
	const struct range *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? -1 : 1;
	return one->end > other->end ? -1 : one->end < other->end;
}

int ranges_verify_apart(struct ranges *ranges, struct verdict *verdict, const char *place, struct error *error)
{
	const struct range *furthest;

	if (ranges->failed)
		return error_system(error, ENOMEM, "the list of tables");
	if (!ranges->count)
		return 0;
	qsort(ranges->items, ranges->count, sizeof(ranges->items[0]), compare_ranges);
	furthest = &ranges->items[0];
	for (size_t i = 1; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];

		if (range->start < furthest->end)
			verdict_fault(verdict, place, "%s at 0x%llx (%llu bytes) overlaps %s at 0x%llx (%llu bytes): a write to "
				      "one changes the other", range->name, (unsigned long long)range->start,
				      (unsigned long long)(range->end - range->start), furthest->name,
				      (unsigned long long)furthest->start,
				      (unsigned long long)(furthest->end - furthest->start));
		if (range->end > furthest->end)
			furthest = range;
	}
	return 0;
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct ranges){ .count = 0 };
}
