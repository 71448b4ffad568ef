/* SPDX-License-Identifier: MIT */
/* A good set of tables, and places in it. */
#include <string.h>

#include "foretell.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Up to the first NOWHERE. Entries that nothing leads to are what earlier saves left. */
static const struct patch good[] = {
	{ .place = COLLECTION, .id = 0, .value = CTE(0, 0) },
	{ .place = COLLECTION, .id = 1, .value = CTE(1, 1) },
	{ .place = COLLECTION, .id = 2, .value = CTE(2, 2) },
	{ .place = COLLECTION, .id = 3, .value = CTE(3, 3) },
	{ .place = COLLECTION, .id = 5, .value = CTE(9, 0) }, /* left over */
	{ .place = DEVICE, .id = 3, .value = DTE(ITT(3), 5, 5) },
	{ .place = EVENT, .id = 3, .event = 1, .value = ITE(8200, 0, 8) },
	{ .place = EVENT, .id = 3, .event = 5, .value = ITE(9000, 0, 0) }, /* left over */
	{ .place = EVENT, .id = 3, .event = 9, .value = ITE(8201, 1, 22) },
	{ .place = EVENT, .id = 3, .event = 31, .value = ITE(8202, 2, 0) },
	{ .place = DEVICE, .id = 8, .value = DTE(ITT(8), 1, 192) },
	{ .place = EVENT, .id = 8, .event = 0, .value = ITE(8300, 3, 1) },
	{ .place = EVENT, .id = 8, .event = 1, .value = ITE(8301, 0, 0) },
	{ .place = DEVICE, .id = 100, .value = DTE(ITT(100), 5, 0) }, /* left over */
	{ .place = EVENT, .id = 100, .event = 5, .value = ITE(9001, 0, 0) },
	{ .place = DEVICE, .id = 200, .value = DTE(ITT(200), 9, 7991) },
	{ .place = EVENT, .id = 200, .event = 500, .value = ITE(8192, 2, 11) },
	{ .place = EVENT, .id = 200, .event = 511, .value = ITE(65535, 1, 0) },
	{ .place = DEVICE, .id = 8191, .value = DTE(ITT(8191), 2, 0) },
	{ .place = EVENT, .id = 8191, .event = 0, .value = ITE(8400, 0, 3) },
	{ .place = EVENT, .id = 8191, .event = 3, .value = ITE(8401, 3, 0) },
	{ 0 },
};

/* Where there are two levels, more devices behind them, as far as `next` reaches. */
static const struct patch behind[] = {
	{ .place = FIRST, .id = 0, .value = BASER_VALID | SECOND_LEVEL(0) },
	{ .place = FIRST, .id = 1, .value = BASER_VALID | SECOND_LEVEL(1) },
	{ .place = FIRST, .id = 3, .value = BASER_VALID | SECOND_LEVEL(3) },
	{ .place = DEVICE, .id = 8191, .value = DTE(ITT(8191), 2, 2) },
	{ .place = DEVICE, .id = 8193, .value = DTE(ITT(8193), 2, 16383) },
	{ .place = EVENT, .id = 8193, .event = 2, .value = ITE(8500, 1, 0) },
	{ .place = DEVICE, .id = 24581, .value = DTE(ITT(24581), 1, 0) },
	{ .place = EVENT, .id = 24581, .event = 1, .value = ITE(8501, 2, 0) },
	{ 0 },
};

/* Some are of LPIs that nothing maps, or that are on another vCPU: those stay as they are. */
static const struct {
	unsigned vcpu;
	uint32_t lpi;
} pending[] = { { 1, 8201 }, { 3, 8300 }, { 1, 65535 }, { 2, 8501 }, { 0, 8202 }, { 0, 9000 }, { 2, 9002 } };

uint64_t *foretell_ram(struct foretell *foretell, uint64_t address)
{
	return ram_at(&foretell->rig.vm.ram, address, 8);
}

uint64_t *foretell_at(struct foretell *foretell, const struct patch *patch)
{
	switch (patch->place) {
	case DEVICE:
		return foretell_ram(foretell, (foretell->indirect ? RIG_LEVEL2 : RIG_DEVICES) + 8ull * patch->id);
	case EVENT:
		return foretell_ram(foretell, ITT(patch->id) + 8ull * patch->event);
	case COLLECTION:
		return foretell_ram(foretell, RIG_COLLECTIONS + 8ull * patch->id);
	case FIRST:
		return foretell_ram(foretell, RIG_DEVICES + 8ull * patch->id);
	case WORD:
		return foretell_ram(foretell, RIG_RAM + patch->id);
	case DEVICES:
		return &foretell->device_baser;
	case COLLECTIONS:
		return &foretell->collection_baser;
	case PROPERTIES:
		return &foretell->propbaser;
	case PENDING:
		return &foretell->pendbasers[patch->id];
	case NOWHERE:
		break;
	}
	fail("a patch without a place");
}

static void apply(struct foretell *foretell, const struct patch *patches, unsigned count)
{
	for (unsigned i = 0; i < count && patches[i].place; i++)
		*foretell_at(foretell, &patches[i]) = patches[i].value;
}

void foretell_patch(struct foretell *foretell, const char *name, const struct patch *patches, unsigned count)
{
	foretell->name = name;
	foretell->patches = patches;
	foretell->patch_count = count;
	apply(foretell, patches, count);
}

void foretell_lay_out(struct foretell *foretell, bool indirect)
{
	uint8_t *ram = foretell->rig.vm.ram.host;

	memset(ram, 0, RIG_RAM_SIZE); /* the vCPUs do not run, and need no code */
	for (uint32_t lpi = 8192; lpi < 65536; lpi++)
		rig_set_properties(&foretell->rig, lpi, 0xa0, lpi % 2);
	foretell->indirect = indirect;
	foretell->device_baser = BASER_VALID | (indirect ? BASER_INDIRECT : 0) | RIG_DEVICES;
	foretell->collection_baser = BASER_VALID | RIG_COLLECTIONS;
	foretell->propbaser = RIG_PROPERTIES | 15;
	for (unsigned i = 0; i < FORETELL_VCPUS; i++)
		foretell->pendbasers[i] = RIG_PENDING + 0x10000 * i;
	for (size_t i = 0; i < COUNT(pending); i++)
		ram[foretell->pendbasers[pending[i].vcpu] - RIG_RAM + pending[i].lpi / 8] |=
			(uint8_t)(1u << pending[i].lpi % 8);
	apply(foretell, good, COUNT(good));
	if (indirect)
		apply(foretell, behind, COUNT(behind));
}
