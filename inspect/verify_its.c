/* SPDX-License-Identifier: MIT */
/* Verifies the ITS: KVM would accept it unchanged, and no interrupt of the guest would be lost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its_table.h"
#include "state/names.h"
#include "verify_its.h"

#define PLACE_LENGTH 40

struct check {
	struct verdict *verdict;
	struct ranges ranges;
	struct its_stops stops;
};

/* Describes the consequence of a problem. */
static const char *consequence(enum its_problem problem, char text[64])
{
	int refusal = its_problem_refusal(problem);

	if (refusal) {
		snprintf(text, 64, "RESTORE_TABLES refuses it (%s)", strerrorname_np(refusal));
		return text;
	}
	switch ((unsigned)problem) {
	case ITS_PROBLEM_DEVICE_TWICE:
		return "KVM would look for its events in the first one only, and the interrupt would be lost";
	case ITS_PROBLEM_LPI_LIMIT:
		return "its configuration would be whatever follows the table";
	case ITS_PROBLEM_LPI_SHARED:
		return "it would go to the vCPU of that event's collection";
	default:
		return "the interrupt would be lost";
	}
}

/* `subject` names the entry and its address. */
static void report_problems(struct check *check, const char *place, const char *subject, uint32_t problems)
{
	char text[64];

	for (unsigned i = 0; i < ITS_PROBLEMS; i++)
		if (problems >> i & 1)
			verdict_fault(check->verdict, place, "%s: %s; %s", subject, its_problem_text((enum its_problem)i),
				      consequence((enum its_problem)i, text));
}

static void verify_its_collection(void *owner, const struct its_collection *collection)
{
	char place[PLACE_LENGTH], subject[64];

	snprintf(place, sizeof(place), "its/collection %u", collection->id);
	snprintf(subject, sizeof(subject), "the entry at 0x%llx", (unsigned long long)collection->address);
	report_problems(owner, place, subject, collection->problems);
}

static void verify_its_device(void *owner, const struct its_device *device)
{
	struct check *check = owner;
	char place[PLACE_LENGTH], subject[64];

	snprintf(place, sizeof(place), "its/device 0x%x", device->id);
	snprintf(subject, sizeof(subject), "the entry at 0x%llx", (unsigned long long)device->address);
	report_problems(check, place, subject, device->problems);
	/* The walk reports a second device with the same id as a problem, so there are at most 65536 ranges. */
	if (!device->problems)
		ranges_add(&check->ranges, device->itt, device->itt_size, "the events' table of device 0x%x", device->id);
}

static void verify_its_event(void *owner, const struct its_event *event)
{
	char place[PLACE_LENGTH], subject[64];

	snprintf(place, sizeof(place), "its/device 0x%x", event->device);
	snprintf(subject, sizeof(subject), "event %u at 0x%llx, LPI %u", event->id, (unsigned long long)event->address,
		 event->lpi);
	report_problems(owner, place, subject, event->problems);
}

static void verify_its_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	struct check *check = owner;
	char place[PLACE_LENGTH] = SECTION_ITS;

	if (stop == ITS_STOP_EVENTS)
		snprintf(place, sizeof(place), "its/device 0x%x", device);
	check->stops.devices |= stop == ITS_STOP_DEVICES;
	check->stops.collections |= stop == ITS_STOP_COLLECTIONS;
	if (stop == ITS_STOP_SECOND && device / ITS_SECOND_LEVEL_IDS < ITS_SECOND_LEVELS)
		check->stops.second[device / ITS_SECOND_LEVEL_IDS] = true;
	verdict_fault(check->verdict, place, "at 0x%llx %s%s", (unsigned long long)address, its_stop_text(stop),
		      stop == ITS_STOP_LIMIT ? "" : "; RESTORE_TABLES refuses it (EFAULT)");
}

static int verify_tables(const struct inspection *inspection, const struct its_registers *registers, struct check *check,
			 struct error *error)
{
	const struct its_visitor visitor = {
		.collection = verify_its_collection,
		.device = verify_its_device,
		.event = verify_its_event,
		.stop = verify_its_stop,
		.owner = check,
	};

	if (inspection_walk(inspection, &visitor, NULL, error) < 0 ||
	    verify_its_places(inspection, registers, &check->stops, &check->ranges, check->verdict, error) < 0)
		return -1;
	return ranges_verify_apart(&check->ranges, check->verdict, SECTION_ITS, error);
}

int verify_its(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	struct check check = { .verdict = verdict };
	struct its_registers registers;
	int result;

	if (!inspection_has_its(inspection) || !verify_its_find(inspection, verdict, &registers))
		return 0;
	verify_its_registers(&registers, verdict);
	result = verify_tables(inspection, &registers, &check, error);
	ranges_free(&check.ranges);
	return result;
}
