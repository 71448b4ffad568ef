/* SPDX-License-Identifier: MIT */
/* Collects all ITS events, and finds them by device and event. */
#include <errno.h>
#include <stdlib.h>

#include "inspect/inspect.h"

static void events_keep(void *owner, const struct its_event *event)
{
	struct inspect_events *events = owner;

	if (events->count == events->capacity && events->count < INSPECT_MOST_ROWS) {
		size_t capacity = events->capacity ? events->capacity * 2 : 64;
		struct its_event *items = reallocarray(events->items, capacity, sizeof(*items));

		if (items) {
			events->items = items;
			events->capacity = capacity;
		}
	}
	if (events->count < events->capacity)
		events->items[events->count++] = *event;
	else
		events->left_out++;
}

static int compare_events(const void *one, const void *two)
{
	const struct its_event *a = one, *b = two;

	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

int inspect_events_open(struct inspect_events *events, const struct inspection *inspection, struct error *error)
{
	const struct its_visitor visitor = { .event = events_keep, .owner = events };
	int result;

	*events = (struct inspect_events){ 0 };
	if (!inspection_has_its(inspection))
		return 0;
	result = inspection_walk(inspection, &visitor, NULL, error);
	if (result < 0)
		inspect_events_close(events);
	else if (events->count)
		qsort(events->items, events->count, sizeof(*events->items), compare_events);
	return result;
}

void inspect_events_close(struct inspect_events *events)
{
	free(events->items);
	*events = (struct inspect_events){ 0 };
}

const struct its_event *inspect_events_find(const struct inspect_events *events, uint32_t device, uint32_t event)
{
	const struct its_event key = { .device = device, .id = event };

	return events->count ? bsearch(&key, events->items, events->count, sizeof(key), compare_events) : NULL;
}
