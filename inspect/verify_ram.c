/* SPDX-License-Identifier: MIT */
/* Verifies RAM against its checksums. */
#include <inttypes.h>
#include <stdio.h>

#include "inspect/verify.h"

#define MAX_RANGES 64 /* that are reported one by one */

struct damage {
	struct verdict *verdict;
	unsigned ranges;
	uint64_t unreported; /* bytes in further ranges */
};

static void verify_ram_add(void *owner, const struct snapshot_damage *range)
{
	struct damage *damage = owner;
	char place[40];

	if (++damage->ranges > MAX_RANGES) {
		damage->unreported += range->size;
		return;
	}
	snprintf(place, sizeof(place), "RAM 0x%" PRIx64, range->address);
	if (range->hole)
		verdict_fault(damage->verdict, place, "%" PRIu64 " KiB from here on are a hole in the file, where data was",
			      range->size >> 10);
	else
		verdict_fault(damage->verdict, place, "%" PRIu64 " KiB from here on are damaged: %s", range->size >> 10,
			      range->size > FORMAT_RAM_CHUNK ? "each of their checksums is wrong" : "their checksum is wrong");
}

int verify_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct verdict *verdict,
	       struct error *error)
{
	struct damage damage = { .verdict = verdict };

	if (snapshot_find_damage(snapshot, progress, verify_ram_add, &damage, error) < 0)
		return -1;
	if (damage.unreported)
		verdict_fault(verdict, "RAM", "%" PRIu64 " KiB in %u other places are damaged, too", damage.unreported >> 10,
			      damage.ranges - MAX_RANGES);
	return 0;
}
