/* SPDX-License-Identifier: MIT */
/* Valid tables with random values in one to four places. LKVM_SEED repeats a run. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "predict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TRIES 300u
#define PATCHES 4u
#define MOST_ENTRIES 100000u /* KVM needs microseconds for each */
#define END (RIG_RAM + RIG_RAM_SIZE)

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t one_of(const uint64_t *list, size_t count, uint64_t *state)
{
	return list[next_random(state) / 7 % count];
}

#define ONE_OF(list, state) one_of(list, COUNT(list), state)

/* Returns a random place, mostly one that has an entry. */
static struct patch pick_place(const struct predict *predict, uint64_t *state)
{
	static const uint64_t devices[] = { 0, 3, 3, 8, 8, 9, 100, 200, 200, 8191, 8192, 8193, 24580, 24581 };
	static const uint64_t used[] = { 3, 8, 200, 8191 }, all_used[] = { 3, 8, 200, 8191, 8193, 24581 };
	static const uint64_t events[] = { 0, 1, 1, 2, 3, 5, 9, 9, 30, 31, 500, 511 };
	struct patch patch = { 0 };

	switch (next_random(state) / 11 % 16) {
	case 0: case 1: case 2: case 3:
		patch.place = DEVICE;
		patch.id = (uint32_t)ONE_OF(devices, state);
		return patch;
	case 4: case 5: case 6: case 7: case 8:
		patch.place = EVENT;
		patch.id = (uint32_t)(predict->indirect ? ONE_OF(all_used, state) : ONE_OF(used, state));
		patch.event = (uint32_t)ONE_OF(events, state);
		return patch;
	case 9: case 10: case 11:
		patch.place = COLLECTION;
		patch.id = (uint32_t)(next_random(state) / 3 % 7);
		return patch;
	case 12:
		patch.place = FIRST;
		patch.id = (uint32_t)(next_random(state) / 3 % 5);
		return patch;
	case 13:
		patch.place = next_random(state) / 5 % 2 ? DEVICES : COLLECTIONS;
		return patch;
	case 14:
		patch.place = PROPERTIES;
		return patch;
	default:
		patch.place = PENDING;
		patch.id = (uint32_t)(next_random(state) / 3 % PREDICT_VCPUS);
		return patch;
	}
}

static uint64_t set_field(uint64_t old, unsigned low, unsigned bits, uint64_t value)
{
	uint64_t mask = (1ull << bits) - 1;

	return (old & ~(mask << low)) | (value & mask) << low;
}

static const uint64_t addresses[] = {
	0, RIG_RAM - 0x10000, RIG_RAM, END - 0x10000, END - 0x100, END, ITT(3), ITT(8), ITT(100), ITT(200), RIG_DEVICES,
	RIG_COLLECTIONS, RIG_LEVEL2, SECOND_LEVEL(1), SECOND_LEVEL(3), RIG_PROPERTIES, RIG_RAM | 1ull << 48, UINT64_MAX,
};

static uint64_t other_device(uint64_t old, uint64_t *state)
{
	static const uint64_t steps[] = { 0, 1, 2, 5, 92, 192, 7991, 7992, 8192, 16383 };
	static const uint64_t bits[] = { 0, 1, 4, 5, 8, 15, 16, 31 };

	switch (next_random(state) / 3 % 4) {
	case 0:
		return set_field(old, 49, 14, ONE_OF(steps, state));
	case 1:
		return set_field(old, 0, 5, ONE_OF(bits, state));
	case 2:
		return set_field(old, 5, 44, ONE_OF(addresses, state) >> 8);
	default:
		return old ^ BASER_VALID;
	}
}

static uint64_t other_event(uint64_t old, uint64_t *state)
{
	static const uint64_t steps[] = { 0, 1, 2, 4, 8, 22, 30, 31, 511, 512, 65535 };
	static const uint64_t lpis[] = { 0, 1, 1023, 8191, 8192, 8200, 8201, 8202, 9000, 65535, 65536, 1 << 20,
					 UINT32_MAX };
	static const uint64_t collections[] = { 0, 1, 2, 3, 4, 9, 8191, 65535 };

	switch (next_random(state) / 3 % 4) {
	case 0:
		return set_field(old, 48, 16, ONE_OF(steps, state));
	case 1:
		return set_field(old, 16, 32, ONE_OF(lpis, state));
	case 2:
		return set_field(old, 0, 16, ONE_OF(collections, state));
	default:
		return ITE(ONE_OF(lpis, state), ONE_OF(collections, state), ONE_OF(steps, state));
	}
}

static uint64_t other_collection(uint64_t old, uint64_t *state)
{
	static const uint64_t ids[] = { 0, 1, 2, 3, 4, 9, 8191, 8192, 65535 };
	static const uint64_t vcpus[] = { 0, 1, 2, 3, 4, UINT32_MAX, UINT32_MAX, UINT32_MAX - 1 };

	switch (next_random(state) / 3 % 4) {
	case 0:
		return set_field(old, 0, 16, ONE_OF(ids, state));
	case 1:
		return set_field(old, 16, 32, ONE_OF(vcpus, state));
	case 2:
		return CTE(ONE_OF(ids, state), ONE_OF(vcpus, state));
	default:
		return old ^ BASER_VALID;
	}
}

/* Returns a new value of a register or of a first-level entry. No table overlaps a pending table: predict.h. */
static uint64_t other_register(uint64_t old, uint64_t *state)
{
	switch (next_random(state) / 3 % 4) {
	case 0:
		return set_field(old, 0, 8, next_random(state) / 5 % 20);
	case 1:
		return old ^ BASER_VALID;
	case 2:
		return old ^ BASER_INDIRECT;
	default:
		return (old & ~0xfffffffff0000ull) | (ONE_OF(addresses, state) & 0xfffffffff0000);
	}
}

/* Returns a new GICR_PENDBASER. KVM writes the pending table during the restore, so it overlaps no other table. */
static uint64_t other_pending(uint64_t old, uint64_t *state)
{
	static const uint64_t places[] = {
		0, RIG_RAM - 0x10000, RIG_RAM, RIG_PENDING, RIG_PENDING + 0x10000, END - 0x10000, END, 1ull << 48,
	};

	return next_random(state) / 3 % 4 ? ONE_OF(places, state) : old ^ 1ull << next_random(state) / 3 % 16;
}

static uint64_t pick_value(const struct patch *patch, uint64_t old, uint64_t *state)
{
	if (patch->place == PENDING)
		return other_pending(old, state);
	if (next_random(state) / 3 % 4 == 0)
		return old ^ 1ull << next_random(state) / 3 % 64;
	if (patch->place == DEVICE)
		return other_device(old, state);
	if (patch->place == EVENT)
		return other_event(old, state);
	return patch->place == COLLECTION ? other_collection(old, state) : other_register(old, state);
}

/* KVM and the walk differ in this case: predict.h. */
static bool shares_a_high_lpi(const struct visited *visited)
{
	for (unsigned i = 0; i < visited->event_count; i++)
		for (unsigned other = 0; other < i && visited->events[i].lpi >= ITS_LPI_LIMIT; other++)
			if (visited->events[i].lpi == visited->events[other].lpi)
				return true;
	return false;
}

static void try_one(struct predict *predict, unsigned number, bool indirect, uint64_t *state)
{
	unsigned count = (unsigned)(next_random(state) / 3 % PATCHES) + 1;
	struct patch patches[PATCHES] = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "mutated %u", number);
	predict_lay_out(predict, indirect);
	for (unsigned i = 0; i < count; i++) {
		patches[i] = pick_place(predict, state);
		patches[i].value = pick_value(&patches[i], *predict_at(predict, &patches[i]), state);
		predict_patch(predict, name, patches, i + 1);
	}
	predict_walk(predict);
	if (predict->walk.entries <= MOST_ENTRIES && !shares_a_high_lpi(&predict->visited))
		predict_compare(predict);
}

static uint64_t seed(void)
{
	const char *text = getenv("LKVM_SEED");
	uint16_t random = 1;

	if (text && *text)
		return strtoull(text, NULL, 10);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		fail("no random numbers");
	return random;
}

static void try_mutated(bool indirect)
{
	struct predict *predict = predict_open();
	uint64_t from = seed(), state = (from + 1) * 0x9e3779b97f4a7c15;

	printf("LKVM_SEED=%llu\n", (unsigned long long)from);
	for (unsigned i = 0; i < TRIES; i++)
		try_one(predict, i, indirect, &state);
	printf("%u tables taken, %u of them saved again, %u refused\n", predict->taken, predict->saved,
	       predict->refused);
	if (predict->taken < TRIES / 8 || predict->saved < TRIES / 16 || predict->refused < TRIES / 8)
		fail("the tables are not of all kinds");
	predict_close(predict);
}

void prediction_matches_kvm_for_mutated_flat_tables(void)
{
	try_mutated(false);
}

void prediction_matches_kvm_for_mutated_two_levels(void)
{
	try_mutated(true);
}
