/* SPDX-License-Identifier: MIT */
/* Valid tables, and the addresses of places in them. */
#include <string.h>

#include "predict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Ends with NOWHERE. Entries that nothing refers to are left over, as from earlier saves. */
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

/* With two levels there are more devices after these, as far as `next` reaches. */
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

/* Pending bits. Those of LPIs that no event maps, or that another vCPU has, must not change. */
static const struct {
	unsigned vcpu;
	uint32_t lpi;
} pending[] = { { 1, 8201 }, { 3, 8300 }, { 1, 65535 }, { 2, 8501 }, { 0, 8202 }, { 0, 9000 }, { 2, 9002 } };

uint64_t *predict_ram(struct predict *predict, uint64_t address)
{
	return ram_at(&predict->rig.vm.ram, address, 8);
}

uint64_t *predict_at(struct predict *predict, const struct patch *patch)
{
	switch (patch->place) {
	case DEVICE:
		return predict_ram(predict, (predict->indirect ? RIG_LEVEL2 : RIG_DEVICES) + 8ull * patch->id);
	case EVENT:
		return predict_ram(predict, ITT(patch->id) + 8ull * patch->event);
	case COLLECTION:
		return predict_ram(predict, RIG_COLLECTIONS + 8ull * patch->id);
	case FIRST:
		return predict_ram(predict, RIG_DEVICES + 8ull * patch->id);
	case WORD:
		return predict_ram(predict, RIG_RAM + patch->id);
	case DEVICES:
		return &predict->device_baser;
	case COLLECTIONS:
		return &predict->collection_baser;
	case PROPERTIES:
		return &predict->propbaser;
	case PENDING:
		return &predict->pendbasers[patch->id];
	case NOWHERE:
		break;
	}
	fail("a patch without a place");
}

static void apply(struct predict *predict, const struct patch *patches, unsigned count)
{
	for (unsigned i = 0; i < count && patches[i].place; i++)
		*predict_at(predict, &patches[i]) = patches[i].value;
}

void predict_patch(struct predict *predict, const char *name, const struct patch *patches, unsigned count)
{
	predict->name = name;
	predict->patches = patches;
	predict->patch_count = count;
	apply(predict, patches, count);
}

void predict_lay_out(struct predict *predict, bool indirect)
{
	uint8_t *ram = predict->rig.vm.ram.host;

	memset(ram, 0, RIG_RAM_SIZE); /* also the vCPUs' code, as they do not run */
	for (uint32_t lpi = 8192; lpi < 65536; lpi++)
		rig_set_properties(&predict->rig, lpi, 0xa0, lpi % 2);
	predict->indirect = indirect;
	predict->device_baser = BASER_VALID | (indirect ? BASER_INDIRECT : 0) | RIG_DEVICES;
	predict->collection_baser = BASER_VALID | RIG_COLLECTIONS;
	predict->propbaser = RIG_PROPERTIES | 15;
	for (unsigned i = 0; i < PREDICT_VCPUS; i++)
		predict->pendbasers[i] = RIG_PENDING + 0x10000 * i;
	for (size_t i = 0; i < COUNT(pending); i++)
		ram[predict->pendbasers[pending[i].vcpu] - RIG_RAM + pending[i].lpi / 8] |=
			(uint8_t)(1u << pending[i].lpi % 8);
	apply(predict, good, COUNT(good));
	if (indirect)
		apply(predict, behind, COUNT(behind));
}
