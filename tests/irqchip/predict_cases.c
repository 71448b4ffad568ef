/* SPDX-License-Identifier: MIT */
/* Tables at the limits of what KVM accepts, one in each row, with the walk's prediction. KVM must do the same. */
#include <errno.h>
#include <string.h>

#include "cases.h"
#include "predict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATCHES 8u
#define PROBLEM(name) (1u << ITS_PROBLEM_##name)
#define STOP(name) (1u << ITS_STOP_##name)
#define END (RIG_RAM + RIG_RAM_SIZE)
#define ROOM (RIG_RAM + 0x800000) /* for large tables */
#define LAST_LPI (8192 + (END - RIG_PROPERTIES) - 1) /* its configuration is the last byte of RAM */

struct row {
	const char *name;
	int refusal;
	uint32_t problems, stops;
	struct patch patches[PATCHES];
};

/* Patches. */
#define AT_DEVICE(number, entry) { .place = DEVICE, .id = (number), .value = (entry) }
#define AT_EVENT(device, number, entry) { .place = EVENT, .id = (device), .event = (number), .value = (entry) }
#define AT_COLLECTION(index, entry) { .place = COLLECTION, .id = (index), .value = (entry) }
#define AT_FIRST(index, entry) { .place = FIRST, .id = (index), .value = (entry) }
#define AT(address, entry) { .place = WORD, .id = (uint32_t)((address) - RIG_RAM), .value = (entry) }
#define SET_DEVICES(baser) { .place = DEVICES, .value = (baser) }
#define SET_COLLECTIONS(baser) { .place = COLLECTIONS, .value = (baser) }
#define SET_PROPERTIES(baser) { .place = PROPERTIES, .value = (baser) }
#define SET_PENDING(vcpu, baser) { .place = PENDING, .id = (vcpu), .value = (baser) }

/* Each row is tried with tables of one level and of two levels. */
static const struct row rows[] = {
	{ "as it is", 0, 0, 0, { { 0 } } },

	/* Collections. */
	{ "a vCPU behind the last", EINVAL, PROBLEM(VCPU), 0, { AT_COLLECTION(4, CTE(4, PREDICT_VCPUS)) } },
	{ "a vCPU of 32 bits", EINVAL, PROBLEM(VCPU), 0, { AT_COLLECTION(4, CTE(4, 0xfffffffe)) } },
	{ "on no vCPU", 0, PROBLEM(NOWHERE), 0, { AT_COLLECTION(1, CTE(1, 0xffffffff)) } },
	{ "on no vCPU, twice", EEXIST, PROBLEM(NOWHERE) | PROBLEM(TWICE), 0,
	  { AT_COLLECTION(1, CTE(1, 0xffffffff)), AT_COLLECTION(4, CTE(1, 1)) } },
	{ "a collection twice", EEXIST, PROBLEM(TWICE), 0, { AT_COLLECTION(4, CTE(2, 0)) } },
	{ "a vCPU behind the last, twice", EINVAL, PROBLEM(VCPU) | PROBLEM(TWICE), 0,
	  { AT_COLLECTION(4, CTE(2, 77)) } },
	{ "the table's last id", 0, 0, 0, { AT_COLLECTION(4, CTE(8191, 1)), AT_EVENT(3, 1, ITE(8200, 8191, 8)) } },
	{ "the id behind it", EINVAL, PROBLEM(COLLECTION_ID), 0, { AT_COLLECTION(4, CTE(8192, 1)) } },
	{ "an id of 16 bits", EINVAL, PROBLEM(COLLECTION_ID), 0, { AT_COLLECTION(4, CTE(65535, 1)) } },
	{ "an id of 16 bits in eight pages", 0, 0, 0,
	  { SET_COLLECTIONS(BASER_VALID | RIG_COLLECTIONS | 7), AT_COLLECTION(4, CTE(65535, 1)),
	    AT_EVENT(3, 1, ITE(8200, 65535, 8)) } },
	{ "an id whose place is not RAM", EINVAL, PROBLEM(COLLECTION_ID), 0,
	  { SET_COLLECTIONS(BASER_VALID | (END - 0x10000) | 1), AT(END - 0x10000, CTE(0, 0)), AT(END - 0xfff8, CTE(1, 0)),
	    AT(END - 0xfff0, CTE(2, 0)), AT(END - 0xffe8, CTE(3, 0)), AT(END - 0xffe0, CTE(8192, 0)) } },
	{ "a collection of reserved bits", 0, 0, 0, { AT_COLLECTION(0, CTE(0, 0) | 0x7fffull << 48) } },
	{ "no collections", EINVAL, PROBLEM(COLLECTION), 0, { AT_COLLECTION(0, 0) } },
	{ "one collection less", EINVAL, PROBLEM(COLLECTION), 0, { AT_COLLECTION(3, 0) } },
	{ "one without its valid bit", EINVAL, PROBLEM(COLLECTION), 0,
	  { AT_COLLECTION(3, CTE(3, 3) & ~BASER_VALID) } },
	{ "no collection table", EINVAL, PROBLEM(COLLECTION), 0, { SET_COLLECTIONS(RIG_COLLECTIONS) } },
	{ "collections of two levels", 0, 0, 0, { SET_COLLECTIONS(BASER_VALID | BASER_INDIRECT | RIG_COLLECTIONS) } },
	{ "collections of all bits that KVM sets", 0, 0, 0,
	  { SET_COLLECTIONS(BASER_VALID | 0x071f000000000000 | RIG_COLLECTIONS) } },
	{ "collections outside RAM", EFAULT, PROBLEM(COLLECTION), STOP(COLLECTIONS),
	  { SET_COLLECTIONS(BASER_VALID | END) } },
	{ "collections at 0", EFAULT, PROBLEM(COLLECTION), STOP(COLLECTIONS), { SET_COLLECTIONS(BASER_VALID) } },
	{ "collections above 48 bits", EFAULT, PROBLEM(COLLECTION), STOP(COLLECTIONS),
	  { SET_COLLECTIONS(BASER_VALID | RIG_COLLECTIONS | 0x1000) } },

	/* Devices. */
	{ "no device table", 0, 0, 0, { SET_DEVICES(RIG_DEVICES) } },
	{ "no table", 0, 0, 0, { SET_DEVICES(0), SET_COLLECTIONS(0) } },
	{ "16 bits of events", 0, 0, 0,
	  { AT_DEVICE(8191, DTE(ROOM, 16, 0)), AT(ROOM + 8 * 65535, ITE(8400, 0, 0)) } },
	{ "an event behind 16 bits", EINVAL, PROBLEM(NEXT), 0,
	  { AT_DEVICE(8191, DTE(ROOM, 16, 0)), AT(ROOM + 8 * 65535, ITE(8400, 0, 1)) } },
	{ "16 bits, and no event", 0, 0, 0, { AT_DEVICE(8191, DTE(ROOM, 16, 0)) } },
	{ "17 bits of events", EINVAL, PROBLEM(EVENT_BITS), 0, { AT_DEVICE(8, DTE(ITT(8), 17, 192)) } },
	{ "32 bits of events", EINVAL, PROBLEM(EVENT_BITS), 0, { AT_DEVICE(8, DTE(ITT(8), 32, 192)) } },
	{ "less events than there are", EINVAL, PROBLEM(NEXT), 0, { AT_DEVICE(3, DTE(ITT(3), 4, 5)) } },
	{ "one event", 0, 0, 0, { AT_DEVICE(3, DTE(ITT(3), 1, 5)), AT_EVENT(3, 1, ITE(8200, 0, 0)) } },
	{ "the last device", 0, 0, 0, { AT_DEVICE(8, DTE(ITT(8), 1, 0)) } },
	{ "a device left over", 0, 0, 0, { AT_DEVICE(8, DTE(ITT(8), 1, 92)) } },
	{ "between two devices", 0, 0, 0, { AT_DEVICE(8, DTE(ITT(8), 1, 93)) } },
	{ "not valid, and a next one", 0, 0, 0, { AT_DEVICE(3, DTE(ITT(3), 5, 190) & ~BASER_VALID) } },
	{ "the next device next to it", 0, 0, 0,
	  { AT_DEVICE(8, DTE(ITT(8), 1, 1)), AT_DEVICE(9, DTE(ITT(9), 2, 191)) } },
	{ "devices outside RAM", EFAULT, 0, STOP(DEVICES), { SET_DEVICES(BASER_VALID | END) } },
	{ "devices at 0", EFAULT, 0, STOP(DEVICES), { SET_DEVICES(BASER_VALID) } },
	{ "devices before RAM", EFAULT, 0, STOP(DEVICES), { SET_DEVICES(BASER_VALID | (RIG_RAM - 0x10000)) } },
	{ "devices above 48 bits", EFAULT, 0, STOP(DEVICES), { SET_DEVICES(BASER_VALID | RIG_DEVICES | 0xf000) } },
	{ "devices without an end, to RAM's end", EFAULT, 0, STOP(DEVICES),
	  { SET_DEVICES(BASER_VALID | (END - 0x10000) | 1) } },
	{ "devices in RAM's first page", 0, 0, 0,
	  { SET_DEVICES(BASER_VALID | RIG_RAM), AT(RIG_RAM + 8 * 8, DTE(ITT(8), 1, 8191)) } },
	{ "devices in RAM's last page", 0, 0, 0,
	  { SET_DEVICES(BASER_VALID | (END - 0x10000) | 1), AT(END - 8, DTE(ITT(8), 1, 0)) } },

	/* ITTs. */
	{ "an ITT at RAM's end", 0, 0, 0,
	  { AT_DEVICE(3, DTE(END - 256, 5, 5)), AT(END - 8, ITE(8200, 1, 0)) } },
	{ "an ITT that ends in time", 0, 0, 0,
	  { AT_DEVICE(3, DTE(END - 256, 6, 5)), AT(END - 8, ITE(8200, 1, 0)) } },
	{ "an ITT over RAM's end", EFAULT, 0, STOP(EVENTS),
	  { AT_DEVICE(3, DTE(END - 256, 6, 5)), AT(END - 8, ITE(8200, 1, 1)) } },
	{ "an empty ITT over RAM's end", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(END - 256, 6, 5)) } },
	{ "an ITT at RAM's start", 0, 0, 0, { AT_DEVICE(3, DTE(RIG_RAM, 5, 5)), AT(RIG_RAM, ITE(8200, 1, 31)) } },
	{ "an ITT before RAM", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(RIG_RAM - 256, 5, 5)) } },
	{ "an ITT at 0", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(0, 5, 5)) } },
	{ "an ITT behind RAM", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(END, 5, 5)) } },
	{ "an ITT of 52 bits", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(0xfffffffffff00, 5, 5)) } },
	{ "an ITT above 51 bits", EFAULT, 0, STOP(EVENTS), { AT_DEVICE(3, DTE(ITT(3) | 1ull << 51, 5, 5)) } },
	{ "an ITT over another", 0, PROBLEM(LPI_SHARED), 0, { AT_DEVICE(8, DTE(ITT(3), 5, 192)) } },

	/* Events. */
	{ "the INTID below LPIs", EINVAL, PROBLEM(LPI), 0, { AT_EVENT(3, 9, ITE(8191, 1, 22)) } },
	{ "the INTID 1", EINVAL, PROBLEM(LPI), 0, { AT_EVENT(3, 9, ITE(1, 1, 22)) } },
	{ "no LPI, and another collection", EINVAL, PROBLEM(LPI) | PROBLEM(COLLECTION), 0,
	  { AT_EVENT(3, 9, ITE(1, 4, 22)) } },
	{ "no event, but a next one", 0, 0, 0, { AT_EVENT(3, 9, ITE(0, 1, 23)) } },
	{ "the next one is left over", 0, 0, 0, { AT_EVENT(3, 1, ITE(8200, 0, 4)) } },
	{ "the next one is none", 0, 0, 0, { AT_EVENT(3, 1, ITE(8200, 0, 5)) } },
	{ "the next one is the last", 0, 0, 0, { AT_EVENT(3, 1, ITE(8200, 0, 30)) } },
	{ "the next one is behind the last", EINVAL, PROBLEM(NEXT), 0, { AT_EVENT(3, 1, ITE(8200, 0, 31)) } },
	{ "a next one behind the last", EINVAL, PROBLEM(NEXT), 0, { AT_EVENT(3, 31, ITE(8202, 2, 1)) } },
	{ "a next one far away", EINVAL, PROBLEM(NEXT), 0, { AT_EVENT(3, 1, ITE(8200, 0, 65535)) } },
	{ "a collection that is not there", EINVAL, PROBLEM(COLLECTION), 0, { AT_EVENT(3, 9, ITE(8201, 4, 22)) } },
	{ "a collection that is left over", EINVAL, PROBLEM(COLLECTION), 0, { AT_EVENT(3, 9, ITE(8201, 9, 22)) } },
	{ "a collection of 16 bits", EINVAL, PROBLEM(COLLECTION), 0, { AT_EVENT(3, 9, ITE(8201, 65535, 22)) } },

	/* LPIs. */
	{ "an LPI twice", 0, PROBLEM(LPI_SHARED), 0, { AT_EVENT(3, 31, ITE(8201, 2, 0)) } },
	{ "twice, first on no vCPU", 0, PROBLEM(LPI_SHARED) | PROBLEM(NOWHERE), 0,
	  { AT_COLLECTION(2, CTE(2, 0xffffffff)), AT_EVENT(3, 1, ITE(8201, 2, 8)) } },
	{ "twice, then on no vCPU", 0, PROBLEM(LPI_SHARED) | PROBLEM(NOWHERE), 0,
	  { AT_COLLECTION(2, CTE(2, 0xffffffff)), AT_EVENT(3, 31, ITE(8201, 2, 0)) } },
	{ "twice, then where nothing is pending", 0, PROBLEM(LPI_SHARED), 0,
	  { AT_COLLECTION(4, CTE(4, 2)), SET_PENDING(2, END), AT_EVENT(3, 31, ITE(8201, 2, 0)),
	    AT_EVENT(200, 500, ITE(8192, 0, 11)), AT_EVENT(24581, 1, ITE(8501, 0, 0)) } },
	{ "an LPI above 16 bits", 0, PROBLEM(LPI_LIMIT), 0, { AT_EVENT(3, 9, ITE(65536, 1, 22)) } },
	{ "an LPI configured by RAM's last byte", 0, PROBLEM(LPI_LIMIT), 0,
	  { AT_EVENT(3, 9, ITE(LAST_LPI, 1, 22)) } },
	{ "the LPI behind it", EFAULT, PROBLEM(LPI_LIMIT) | PROBLEM(PROPERTIES), 0,
	  { AT_EVENT(3, 9, ITE(LAST_LPI + 1, 1, 22)) } },
	{ "an LPI of 32 bits", EFAULT, PROBLEM(LPI_LIMIT) | PROBLEM(PROPERTIES), 0,
	  { AT_EVENT(3, 9, ITE(0xffffffff, 1, 22)) } },
	{ "13 bits of INTIDs", 0, PROBLEM(LPI_LIMIT), 0, { SET_PROPERTIES(RIG_PROPERTIES | 12) } },
	{ "32 bits of INTIDs", 0, 0, 0, { SET_PROPERTIES(RIG_PROPERTIES | 31) } },
	{ "one bit of INTIDs", 0, PROBLEM(LPI_LIMIT), 0, { SET_PROPERTIES(RIG_PROPERTIES) } },
	{ "configuration of all other bits", 0, 0, 0, { SET_PROPERTIES(RIG_PROPERTIES | 15 | 0xfff0000000000fe0) } },
	{ "configuration at 0", EFAULT, PROBLEM(PROPERTIES), 0, { SET_PROPERTIES(15) } },
	{ "configuration outside RAM", EFAULT, PROBLEM(PROPERTIES), 0, { SET_PROPERTIES(END | 15) } },
	{ "configuration above 48 bits", EFAULT, PROBLEM(PROPERTIES), 0,
	  { SET_PROPERTIES(RIG_PROPERTIES | 1ull << 51 | 15) } },
	{ "configuration of the first LPIs only", EFAULT, PROBLEM(PROPERTIES), 0,
	  { SET_PROPERTIES((END - 0x1000) | 15) } },
	{ "pending bits at 0", EFAULT, PROBLEM(PENDING), 0, { SET_PENDING(1, 0) } },
	{ "pending bits outside RAM", EFAULT, PROBLEM(PENDING), 0, { SET_PENDING(1, END) } },
	{ "pending bits above 48 bits", EFAULT, PROBLEM(PENDING), 0,
	  { SET_PENDING(1, (RIG_PENDING + 0x10000) | 1ull << 51) } },
	{ "neither in RAM", EFAULT, PROBLEM(PROPERTIES) | PROBLEM(PENDING), 0,
	  { SET_PENDING(1, 0), SET_PROPERTIES((END - 0x1000) | 15) } },
	{ "pending bits of all other bits", 0, 0, 0,
	  { SET_PENDING(1, (RIG_PENDING + 0x10000) | 0xfff000000000ffff) } },
	{ "pending bits in RAM's last page", 0, 0, 0,
	  { SET_PENDING(1, END - 0x10000), AT(END - 0x10000 + 8200 / 8, 2) } },
	{ "pending bits in RAM's first page", 0, 0, 0, { SET_PENDING(1, RIG_RAM), AT(RIG_RAM + 8200 / 8, 2) } },
	{ "pending bits over RAM's end", EFAULT, PROBLEM(PENDING) | PROBLEM(LPI_LIMIT), 0,
	  { SET_PENDING(1, END - 0x10000), AT_EVENT(3, 9, ITE(0x10000 * 8, 1, 22)) } },
	{ "pending bits that nothing needs", 0, PROBLEM(NOWHERE), 0,
	  { SET_PENDING(1, 0), AT_COLLECTION(1, CTE(1, 0xffffffff)) } },
	{ "pending bits of two vCPUs in one table", 0, 0, 0, { SET_PENDING(1, RIG_PENDING) } },
};

static const struct row flat_rows[] = {
	{ "the next device behind the table", 0, 0, 0, { AT_DEVICE(200, DTE(ITT(200), 9, 16383)) } },
	{ "the next device right behind the table", 0, 0, 0, { AT_DEVICE(200, DTE(ITT(200), 9, 7992)) } },
	{ "the last device has a next one", 0, 0, 0, { AT_DEVICE(8191, DTE(ITT(8191), 2, 1)) } },
	{ "the next device as far as it can be", 0, 0, 0,
	  { SET_DEVICES(BASER_VALID | ROOM | 7), AT(ROOM + 8 * 3, DTE(ITT(3), 5, 16383)),
	    AT(ROOM + 8 * 8194, DTE(ITT(3), 32, 0)), AT(ROOM + 8 * 16386, DTE(ITT(8), 1, 0)) } },
	{ "a device of all 16 bits", 0, 0, 0,
	  { SET_DEVICES(BASER_VALID | ROOM | 7), AT(ROOM + 8 * 65535, DTE(ITT(3), 5, 1)) } },
	{ "a device behind 16 bits", EINVAL, PROBLEM(DEVICE_ID), 0,
	  { SET_DEVICES(BASER_VALID | ROOM | 15), AT(ROOM + 8 * 65536, DTE(ITT(3), 5, 0)) } },
	{ "a device far behind 16 bits", EINVAL, PROBLEM(DEVICE_ID), 0,
	  { SET_DEVICES(BASER_VALID | ROOM | 15), AT(ROOM, DTE(ITT(3), 5, 16383)),
	    AT(ROOM + 8 * 100000, DTE(ITT(8), 1, 0)) } },
	{ "both wrong", EINVAL, PROBLEM(DEVICE_ID) | PROBLEM(EVENT_BITS), 0,
	  { SET_DEVICES(BASER_VALID | ROOM | 15), AT(ROOM + 8 * 65536, DTE(ITT(3), 17, 0)) } },
	{ "devices of all bits that KVM sets", 0, 0, 0,
	  { SET_DEVICES(BASER_VALID | 0x071f000000000300 | RIG_DEVICES) } },
};

static const struct row indirect_rows[] = {
	{ "no first level", 0, 0, 0, { AT_FIRST(0, 0), AT_FIRST(1, 0), AT_FIRST(3, 0) } },
	{ "no first second level", 0, 0, 0, { AT_FIRST(0, 0) } },
	{ "no last second level", 0, 0, 0, { AT_FIRST(3, 0) } },
	{ "a second level at 0", EFAULT, 0, STOP(SECOND), { AT_FIRST(1, BASER_VALID) } },
	{ "a second level outside RAM", EFAULT, 0, STOP(SECOND), { AT_FIRST(0, BASER_VALID | END) } },
	{ "a second level before RAM", EFAULT, 0, STOP(SECOND), { AT_FIRST(3, BASER_VALID | (RIG_RAM - 0x10000)) } },
	{ "a second level of all other bits", 0, 0, 0, { AT_FIRST(0, SECOND_LEVEL(0) | 0xfff000000000ffff) } },
	{ "a second level in RAM's last page", 0, 0, 0,
	  { AT_FIRST(2, BASER_VALID | (END - 0x10000)), AT(END - 8, DTE(ITT(30), 1, 1)) } },
	{ "a second level in RAM's first page", 0, PROBLEM(LPI_SHARED), 0,
	  { AT_FIRST(2, BASER_VALID | RIG_RAM), AT(RIG_RAM, DTE(ITT(8), 1, 1)) } },
	{ "a second level twice", 0, PROBLEM(LPI_SHARED), 0,
	  { AT_FIRST(2, BASER_VALID | SECOND_LEVEL(0)), AT_DEVICE(8193, DTE(ITT(8193), 2, 8191)) } },
	{ "next over a second level", 0, 0, 0, { AT_DEVICE(8191, DTE(ITT(8191), 2, 16383)) } },
	{ "a device of all 16 bits", 0, 0, 0,
	  { AT_DEVICE(24581, DTE(ITT(24581), 1, 16383)), AT_FIRST(7, BASER_VALID | SECOND_LEVEL(4)),
	    AT(SECOND_LEVEL(4) + 8 * 8191, DTE(ITT(0x1f), 5, 0)), AT(ITT(0x1f), ITE(8600, 1, 0)) } },
	{ "a device behind 16 bits", EINVAL, PROBLEM(DEVICE_ID), 0,
	  { AT_DEVICE(24581, DTE(ITT(24581), 1, 16383)), AT_FIRST(8, BASER_VALID | SECOND_LEVEL(4)),
	    AT(SECOND_LEVEL(4), DTE(ITT(0x1f), 5, 0)), AT(ITT(0x1f), ITE(8600, 1, 0)) } },
	/* Ids have 32 bits. After 64 pages of first level they begin again at 0. */
	{ "a device twice", 0, PROBLEM(DEVICE_TWICE) | PROBLEM(LPI_SHARED), 0,
	  { SET_DEVICES(BASER_VALID | BASER_INDIRECT | ROOM | 64), AT(ROOM, BASER_VALID | SECOND_LEVEL(5)),
	    AT(SECOND_LEVEL(5) + 8 * 3, DTE(ITT(3), 5, 16383)), AT(ROOM + 8 * 0x80000, BASER_VALID | SECOND_LEVEL(6)),
	    AT(SECOND_LEVEL(6) + 8 * 3, DTE(ITT(3), 5, 5)), AT(SECOND_LEVEL(6) + 8 * 8, DTE(ITT(8), 1, 0)) } },
	{ "a device twice, but without a place", EINVAL, PROBLEM(DEVICE_ID), 0,
	  { SET_DEVICES(BASER_VALID | BASER_INDIRECT | ROOM | 64), AT(ROOM + 8 * 0x80000, BASER_VALID | SECOND_LEVEL(6)),
	    AT(SECOND_LEVEL(6) + 8 * 3, DTE(ITT(3), 5, 0)) } },
	{ "a first level that leads to itself", EFAULT, 0, STOP(EVENTS),
	  { AT_FIRST(0, BASER_VALID | (RIG_DEVICES)), AT_FIRST(1, 0), AT_FIRST(3, 0) } },
};

static void try_row(struct predict *predict, const struct row *row, bool indirect)
{
	predict_lay_out(predict, indirect);
	predict_patch(predict, row->name, row->patches, PATCHES);
	predict_walk(predict);
	if (predict->walk.refusal != row->refusal || predict->visited.problems != row->problems ||
	    predict->visited.stops != row->stops)
		fail("%s, %s: the walk predicts error %d, problems 0x%x, stops 0x%x", row->name,
		     indirect ? "indirect" : "flat", predict->walk.refusal, predict->visited.problems,
		     predict->visited.stops);
	predict_compare(predict);
}

static void try_rows(const struct row *list, size_t count, bool indirect)
{
	struct predict *predict = predict_open();

	for (size_t i = 0; i < count; i++)
		try_row(predict, &list[i], indirect);
	predict_close(predict);
}

static void prediction_matches_kvm_for_flat_tables(void)
{
	try_rows(rows, COUNT(rows), false);
	try_rows(flat_rows, COUNT(flat_rows), false);
}

static void prediction_matches_kvm_for_two_levels(void)
{
	try_rows(rows, COUNT(rows), true);
	try_rows(indirect_rows, COUNT(indirect_rows), true);
}

/* A full collection table without an invalid entry, followed by more entries. */
static void prediction_matches_kvm_for_a_full_table(void)
{
	struct predict *predict = predict_open();

	predict_lay_out(predict, false);
	predict_patch(predict, "a full collection table", NULL, 0);
	for (uint32_t i = 0; i < 8192; i++)
		*predict_ram(predict, RIG_COLLECTIONS + 8 * i) = CTE(8191 - i, i % PREDICT_VCPUS);
	*predict_ram(predict, RIG_COLLECTIONS + 8 * 8192) = CTE(9, 0);
	predict_walk(predict);
	if (predict->visited.collection_count != 8192)
		fail("the walk finds %u collections", predict->visited.collection_count);
	predict_compare(predict);
	predict_close(predict);
}

const struct irqchip_case predict_cases[] = {
	{ "prediction_matches_kvm_for_flat_tables", prediction_matches_kvm_for_flat_tables },
	{ "prediction_matches_kvm_for_two_levels", prediction_matches_kvm_for_two_levels },
	{ "prediction_matches_kvm_for_a_full_table", prediction_matches_kvm_for_a_full_table },
	{ "prediction_matches_kvm_for_mutated_flat_tables", prediction_matches_kvm_for_mutated_flat_tables },
	{ "prediction_matches_kvm_for_mutated_two_levels", prediction_matches_kvm_for_mutated_two_levels },
	{ 0 },
};
