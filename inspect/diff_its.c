/* SPDX-License-Identifier: MIT */
/* Compares what the ITS's tables map: collections, devices and events. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

#define PROPERTIES 6

/* An entry of a table. `key` identifies it; `values` may change. */
struct entry {
	uint64_t key;
	uint64_t values[PROPERTIES];
	uint32_t order; /* in the walk: sorts entries with the same key */
};

struct entries {
	struct entry *items;
	uint32_t count, capacity;
	bool over, failed; /* there are more than DIFF_MAX_EVENTS; there was no memory */
};

enum table { COLLECTIONS, DEVICES, EVENTS, FAULTS, TABLES };

/* The tables of one snapshot. */
struct mappings {
	struct entries tables[TABLES];
};

enum value { VALUE_NONE, VALUE_NUMBER, VALUE_HEX, VALUE_BOOL, VALUE_VCPU, VALUE_STOP };

struct property {
	const char *name;
	enum value value;
	bool left_out; /* of the short text of a whole entry */
};

static void name_collection(struct report *report, const struct inspection *inspection, uint64_t key)
{
	(void)inspection;
	report_number(report, "collection", key);
}

static void name_device(struct report *report, const struct inspection *inspection, uint64_t key)
{
	const struct inspect_device *device = inspection_device(inspection, (uint32_t)key);

	report_hex(report, "device", key);
	report_string(report, "name", device ? device->name : NULL);
}

static void name_event(struct report *report, const struct inspection *inspection, uint64_t key)
{
	name_device(report, inspection, key >> 32);
	report_number(report, "event", (uint32_t)key);
}

static void name_fault(struct report *report, const struct inspection *inspection, uint64_t key)
{
	(void)inspection;
	report_hex(report, "address", key);
}

static const struct table_view {
	const char *name;
	void (*name_entry)(struct report *report, const struct inspection *inspection, uint64_t key);
	struct property properties[PROPERTIES];
} views[TABLES] = {
	[COLLECTIONS] = { "its_collections", name_collection, { { "vCPU", VALUE_VCPU } } },
	[DEVICES] = { "its_devices", name_device, { { "events", VALUE_NUMBER }, { "ITT", VALUE_HEX } } },
	[EVENTS] = { "its_events", name_event,
		     { { "LPI", VALUE_NUMBER }, { "collection", VALUE_NUMBER, .left_out = true }, { "vCPU", VALUE_VCPU },
		       { "enabled", VALUE_BOOL }, { "priority", VALUE_NUMBER, .left_out = true },
		       { "pending", VALUE_BOOL } } },
	[FAULTS] = { "its_faults", name_fault, { { "problem", VALUE_STOP } } },
};

/* Collecting. */

static void add(struct entries *entries, struct entry entry)
{
	if (entries->failed)
		return;
	if (entries->count == DIFF_MAX_EVENTS) {
		entries->over = true;
		return;
	}
	if (entries->count == entries->capacity) {
		uint32_t capacity = entries->capacity ? entries->capacity * 2 : 64;
		struct entry *items = reallocarray(entries->items, capacity, sizeof(*items));

		entries->failed = !items;
		if (!items)
			return;
		entries->items = items;
		entries->capacity = capacity;
	}
	entry.order = entries->count;
	entries->items[entries->count++] = entry;
}

static void diff_its_collection(void *owner, const struct its_collection *collection)
{
	struct mappings *mappings = owner;

	add(&mappings->tables[COLLECTIONS], (struct entry){ .key = collection->id, .values = { collection->vcpu } });
}

static void diff_its_device(void *owner, const struct its_device *device)
{
	struct mappings *mappings = owner;

	add(&mappings->tables[DEVICES],
	    (struct entry){ .key = device->id, .values = { 1ull << device->event_bits, device->itt } });
}

static void diff_its_event(void *owner, const struct its_event *event)
{
	struct mappings *mappings = owner;

	add(&mappings->tables[EVENTS], (struct entry){
		.key = (uint64_t)event->device << 32 | event->id,
		.values = { event->lpi, event->collection, event->vcpu, event->enabled, event->priority, event->pending },
	});
}

static void diff_its_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	struct mappings *mappings = owner;

	(void)device;
	add(&mappings->tables[FAULTS], (struct entry){ .key = address, .values = { stop } });
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

/* A machine without an ITS maps nothing. */
static int collect(const struct inspection *inspection, struct mappings *mappings, struct error *error)
{
	const struct its_visitor visitor = { diff_its_collection, diff_its_device, diff_its_event, diff_its_stop, mappings };
	int result;

	if (!inspection_has_its(inspection))
		return 0;
	result = inspection_walk(inspection, &visitor, NULL, error);
	for (unsigned i = 0; i < TABLES; i++) {
		struct entries *entries = &mappings->tables[i];

		if (result == 0 && entries->failed)
			result = error_system(error, ENOMEM, "the ITS's mappings");
		if (entries->count)
			qsort(entries->items, entries->count, sizeof(*entries->items), compare_entries);
	}
	return result;
}

/* Comparing. */

#define VALUE_LENGTH 80

static void format_value(enum value kind, uint64_t value, char text[VALUE_LENGTH])
{
	switch (kind) {
	case VALUE_BOOL:
		snprintf(text, VALUE_LENGTH, "%s", value ? "yes" : "no");
		break;
	case VALUE_STOP:
		snprintf(text, VALUE_LENGTH, "%s", its_stop_text((enum its_stop)value));
		break;
	case VALUE_HEX:
		snprintf(text, VALUE_LENGTH, "0x%llx", (unsigned long long)value);
		break;
	case VALUE_VCPU:
		snprintf(text, VALUE_LENGTH, value == ITS_NO_VCPU ? "none" : "%llu", (unsigned long long)value);
		break;
	case VALUE_NUMBER:
	case VALUE_NONE:
		snprintf(text, VALUE_LENGTH, "%llu", (unsigned long long)value);
		break;
	}
}

/* Writes a text such as "LPI 8192, vCPU 0, enabled". */
static void describe(const struct table_view *view, const struct entry *entry, char text[DIFF_VALUE_LENGTH])
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < PROPERTIES && view->properties[i].name; i++) {
		const struct property *property = &view->properties[i];
		const char *comma = length ? ", " : "";
		char value[VALUE_LENGTH];

		if (property->left_out || (property->value == VALUE_BOOL && !entry->values[i]))
			continue;
		format_value(property->value, entry->values[i], value);
		if (property->value == VALUE_BOOL)
			snprintf(text + length, DIFF_VALUE_LENGTH - length, "%s%s", comma, property->name);
		else if (property->value == VALUE_STOP)
			snprintf(text + length, DIFF_VALUE_LENGTH - length, "%s%s", comma, value);
		else
			snprintf(text + length, DIFF_VALUE_LENGTH - length, "%s%s %s", comma, property->name, value);
		length = strlen(text);
	}
}

static void add_row(struct diff *diff, const struct table_view *view, uint64_t key, bool is_after, const char *property,
		    const char *before, const char *after)
{
	if (!diff_row(diff))
		return;
	view->name_entry(diff->report, is_after ? diff->after : diff->before, key);
	report_string(diff->report, "property", property);
	diff_end_row(diff, before, after);
}

static void compare_entry(struct diff *diff, const struct table_view *view, const struct entry *before,
			  const struct entry *after)
{
	for (size_t i = 0; i < PROPERTIES; i++) {
		char was[VALUE_LENGTH], is[VALUE_LENGTH];

		if (before->values[i] == after->values[i])
			continue;
		format_value(view->properties[i].value, before->values[i], was);
		format_value(view->properties[i].value, after->values[i], is);
		add_row(diff, view, before->key, false, view->properties[i].name, was, is);
	}
}

/* Finds the table that has the next key. Negative: `before`; positive: `after`; 0: both. */
static int compare_next(const struct entries *before, uint32_t i, const struct entries *after, uint32_t j)
{
	if (i == before->count)
		return 1;
	if (j == after->count)
		return -1;
	return (before->items[i].key > after->items[j].key) - (before->items[i].key < after->items[j].key);
}

static void compare_tables(struct diff *diff, const struct table_view *view, const struct entries *before,
			   const struct entries *after)
{
	char text[DIFF_VALUE_LENGTH];

	diff_list_begin(diff, view->name, DIFF_TEXT_ROWS);
	for (uint32_t i = 0, j = 0; i < before->count || j < after->count;) {
		int order = compare_next(before, i, after, j);

		if (order == 0) {
			compare_entry(diff, view, &before->items[i], &after->items[j]);
		} else if (order < 0) {
			describe(view, &before->items[i], text);
			add_row(diff, view, before->items[i].key, false, "mapping", text, NULL);
		} else {
			describe(view, &after->items[j], text);
			add_row(diff, view, after->items[j].key, true, "mapping", NULL, text);
		}
		i += order <= 0;
		j += order >= 0;
	}
	diff_list_end(diff);
	/* Entries above the limit are not lost: the tables are in RAM, which diff_ram() compares completely. */
	if (before->over || after->over) {
		char name[48];

		snprintf(name, sizeof(name), "%s_compared_up_to", view->name);
		report_number(diff->report, name, DIFF_MAX_EVENTS);
	}
}

int diff_its(struct diff *diff, struct error *error)
{
	struct mappings before = { 0 }, after = { 0 };
	int result = -1;

	if (collect(diff->before, &before, error) == 0 && collect(diff->after, &after, error) == 0) {
		for (unsigned i = 0; i < TABLES; i++)
			compare_tables(diff, &views[i], &before.tables[i], &after.tables[i]);
		result = 0;
	}
	for (unsigned i = 0; i < TABLES; i++) {
		free(before.tables[i].items);
		free(after.tables[i].items);
	}
	return result;
}
