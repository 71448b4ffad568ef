/* SPDX-License-Identifier: MIT */
/* The view of the ITS: registers, tables and waiting commands, with the problems of each entry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its_command.h"
#include "inspect/inspect.h"
#include "state/names.h"
#include "util/bits.h"

static int add_registers(const struct inspection *inspection, struct report *report, struct error *error)
{
	static const char *const names[] = { "CTLR", "IIDR", "TYPER", "CBASER", "CWRITER", "CREADR", "BASER0", "BASER1" };

	report_begin_list(report, "registers");
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[16];
		uint64_t value;

		if (inspection_number(inspection, SECTION_ITS, names[i], &value, error) < 0)
			return -1;
		snprintf(name, sizeof(name), "GITS_%s", names[i]);
		inspect_register(report, name, value);
	}
	report_end_list(report);
	return 0;
}

/* A walk visits collections, devices and events in turn, but the report has a list of each kind. So each list has a walk. */

struct view {
	const struct inspection *inspection;
	struct report *report;
	struct inspect_rows rows;
};

static void add_device_name(const struct view *view, uint32_t id)
{
	const struct inspect_device *device = inspection_device(view->inspection, id);

	report_string(view->report, "name", device ? device->name : NULL);
}

void inspect_problems(struct report *report, uint32_t problems)
{
	char text[256] = "";
	size_t length = 0;

	for (unsigned i = 0; i < ITS_PROBLEMS && length < sizeof(text); i++)
		if (problems >> i & 1)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", length ? "; " : "",
						   its_problem_text((enum its_problem)i));
	report_string(report, "problem", length ? text : NULL);
}

void inspect_vcpu(struct report *report, uint32_t vcpu)
{
	if (vcpu == ITS_NO_VCPU)
		report_string(report, "vcpu", NULL);
	else
		report_number(report, "vcpu", vcpu);
}

static void inspect_its_collection(void *owner, const struct its_collection *collection)
{
	struct view *view = owner;
	struct report *report = view->report;

	if (!inspect_row(&view->rows))
		return;
	report_begin(report, NULL);
	report_number(report, "collection", collection->id);
	inspect_vcpu(report, collection->vcpu);
	report_hex(report, "entry", collection->address);
	inspect_problems(report, collection->problems);
	report_end(report);
}

static void inspect_its_device(void *owner, const struct its_device *device)
{
	struct view *view = owner;
	struct report *report = view->report;
	char address[INSPECT_ADDRESS_LENGTH];

	if (!inspect_row(&view->rows))
		return;
	report_begin(report, NULL);
	report_hex(report, "device", device->id);
	inspect_pci_address(device->id, address);
	report_string(report, "pci", address);
	add_device_name(view, device->id);
	report_number(report, "events", 1ull << device->event_bits);
	report_hex(report, "itt", device->itt);
	report_bytes(report, "itt_size", device->itt_size);
	report_hex(report, "entry", device->address);
	inspect_problems(report, device->problems);
	report_end(report);
}

static void inspect_its_event(void *owner, const struct its_event *event)
{
	struct view *view = owner;
	struct report *report = view->report;

	if (!inspect_row(&view->rows))
		return;
	report_begin(report, NULL);
	report_hex(report, "device", event->device);
	add_device_name(view, event->device);
	report_number(report, "event", event->id);
	report_number(report, "lpi", event->lpi);
	report_number(report, "collection", event->collection);
	inspect_vcpu(report, event->vcpu);
	report_bool(report, "enabled", event->enabled);
	report_number(report, "priority", event->priority);
	report_bool(report, "pending", event->pending);
	report_hex(report, "entry", event->address);
	inspect_problems(report, event->problems);
	report_end(report);
}

static void inspect_its_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	struct view *view = owner;
	struct report *report = view->report;

	if (!inspect_row(&view->rows))
		return;
	report_begin(report, NULL);
	report_hex(report, "address", address);
	if (stop == ITS_STOP_EVENTS)
		report_hex(report, "device", device);
	else
		report_string(report, "device", NULL);
	report_string(report, "problem", its_stop_text(stop));
	report_end(report);
}

static int add_list(struct view *view, const char *name, struct its_visitor visitor, struct its_walk **walk,
		    struct error *error)
{
	int result;

	visitor.owner = view;
	view->rows = (struct inspect_rows){ .list = name, .limit = INSPECT_MOST_ROWS };
	report_begin_list(view->report, name);
	result = inspection_walk(view->inspection, &visitor, walk, error);
	report_end_list(view->report);
	inspect_rows_end(&view->rows, view->report);
	return result;
}

static void add_table(struct report *report, const char *name, uint64_t baser, bool may_be_indirect)
{
	struct its_baser table = its_baser_decode(baser, may_be_indirect);

	report_begin(report, NULL);
	report_string(report, "table", name);
	report_bool(report, "valid", table.valid);
	report_hex(report, "address", table.address);
	report_bytes(report, "size", table.size);
	report_number(report, "levels", table.indirect ? 2 : 1);
	report_end(report);
}

void inspect_restore_tables(struct report *report, const struct its_walk *walk)
{
	const char *answer = walk->refusal ? strerrorname_np(walk->refusal) : walk->over ? NULL : "accepted";

	report_string(report, "restore_tables", answer);
}

static int add_tables(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct its_tables tables;

	if (inspection_its_tables(inspection, &tables, error) < 0)
		return -1;
	report_begin_list(report, "tables");
	add_table(report, "devices", tables.device_baser, true);
	add_table(report, "collections", tables.collection_baser, false);
	report_end_list(report);
	return 0;
}

static int add_entries(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct view view = { .inspection = inspection, .report = report };
	struct its_walk *walk;

	if (add_list(&view, "collections", (struct its_visitor){ .collection = inspect_its_collection }, NULL, error) < 0 ||
	    add_list(&view, "devices", (struct its_visitor){ .device = inspect_its_device }, NULL, error) < 0 ||
	    add_list(&view, "events", (struct its_visitor){ .event = inspect_its_event }, NULL, error) < 0 ||
	    add_list(&view, "faults", (struct its_visitor){ .stop = inspect_its_stop }, &walk, error) < 0)
		return -1;
	inspect_restore_tables(report, walk);
	free(walk);
	return 0;
}

/* Adds the commands that the guest wrote and the ITS has not executed yet. */
static int add_commands(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct guest_window window = { .memory = &inspection->memory };
	uint64_t cbaser, creadr, cwriter;
	struct its_queue queue;

	if (inspection_number(inspection, SECTION_ITS, "CBASER", &cbaser, error) < 0 ||
	    inspection_number(inspection, SECTION_ITS, "CREADR", &creadr, error) < 0 ||
	    inspection_number(inspection, SECTION_ITS, "CWRITER", &cwriter, error) < 0)
		return -1;
	queue = its_queue_decode(cbaser, creadr, cwriter);
	report_begin_list(report, "commands");
	for (uint64_t at = queue.read; its_queue_is_sound(&queue) && at != queue.write;
	     at = (at + ITS_COMMAND_SIZE) % queue.size) {
		char text[ITS_COMMAND_TEXT] = "not in RAM";
		uint64_t command[4] = { 0 };
		int result = 0;

		for (unsigned i = 0; i < COUNT(command) && result == 0; i++)
			result = guest_window_read(&window, queue.address + at + 8 * i, 8, &command[i], error);
		if (result == 0)
			its_command_text(command, text);
		else if (error->code != EFAULT)
			return -1;
		report_begin(report, NULL);
		report_hex(report, "address", queue.address + at);
		report_string(report, "command", text);
		report_end(report);
	}
	report_end_list(report);
	return 0;
}

int inspect_its(const struct inspection *inspection, struct report *report, struct error *error)
{
	if (!inspection_has_its(inspection)) {
		report_bool(report, "present", false);
		return 0;
	}
	if (add_registers(inspection, report, error) < 0 || add_commands(inspection, report, error) < 0 ||
	    add_tables(inspection, report, error) < 0)
		return -1;
	return add_entries(inspection, report, error);
}
