/* SPDX-License-Identifier: MIT */
/* Predicts whether KVM_DEV_ARM_ITS_RESTORE_TABLES will take the ITS's tables, with a sentence that names the first fault. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its_table.h"

struct check {
	char fault[160]; /* "": none yet */
};

/* The walk reports problems in KVM's order: the first one that KVM refuses is its answer. */
static void check_problems(struct check *check, uint32_t problems, const char *entry, uint64_t address)
{
	for (unsigned problem = 0; problem < ITS_PROBLEMS_REFUSED && !check->fault[0]; problem++)
		if (problems >> problem & 1)
			snprintf(check->fault, sizeof(check->fault), "%s at 0x%llx: %s", entry, (unsigned long long)address,
				 its_problem_text((enum its_problem)problem));
}

static void check_collection(void *owner, const struct its_collection *collection)
{
	char entry[64];

	snprintf(entry, sizeof(entry), "collection %u", collection->id);
	check_problems(owner, collection->problems, entry, collection->address);
}

static void check_device(void *owner, const struct its_device *device)
{
	char entry[64];

	snprintf(entry, sizeof(entry), "device 0x%x", device->id);
	check_problems(owner, device->problems, entry, device->address);
}

static void check_event(void *owner, const struct its_event *event)
{
	char entry[64];

	snprintf(entry, sizeof(entry), "device 0x%x, event %u", event->device, event->id);
	check_problems(owner, event->problems, entry, event->address);
}

static void check_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	struct check *check = owner;

	(void)device;
	if (stop != ITS_STOP_LIMIT && !check->fault[0])
		snprintf(check->fault, sizeof(check->fault), "%s at 0x%llx", its_stop_text(stop), (unsigned long long)address);
}

int its_tables_check(const struct its_tables *tables, struct error *error)
{
	struct its_walk *walk = calloc(1, sizeof(*walk));
	struct check check = { .fault = "" };
	const struct its_visitor visitor = {
		.collection = check_collection, .device = check_device, .event = check_event, .stop = check_stop, .owner = &check,
	};
	int result = walk ? its_tables_walk_zeroed(tables, &visitor, walk, error) : error_system(error, ENOMEM, "memory");

	if (result == 0 && walk->refusal)
		result = error_set(error, ESTALE, "the guest's ITS tables are overwritten (%s), and no host could restore them "
						  "(%s)",
				   check.fault, strerrorname_np(walk->refusal));
	free(walk);
	return result;
}
