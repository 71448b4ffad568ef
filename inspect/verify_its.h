/* SPDX-License-Identifier: MIT */
/* The parts of verify_its(). */
#ifndef LKVM_INSPECT_VERIFY_ITS_H
#define LKVM_INSPECT_VERIFY_ITS_H

#include "arm/its_table.h"
#include "ranges.h"

struct its_registers {
	uint64_t control, identity, queue, read, write; /* CTLR, IIDR, CBASER, CREADR, CWRITER */
	uint64_t tables[8];                             /* BASERn */
};

/* Reads the registers. Reports a fault for each one that is missing, and then returns false. */
bool verify_its_find(const struct inspection *inspection, struct verdict *verdict, struct its_registers *registers);

/* Reports each register that KVM would refuse or change on a restore. */
void verify_its_registers(const struct its_registers *registers, struct verdict *verdict);

/* Address and size (bytes) of the command queue, as KVM decodes GITS_CBASER. */
uint64_t its_queue_address(uint64_t cbaser);
uint64_t its_queue_size(uint64_t cbaser);

/*
 * Tables at which the walk stopped. The walk has reported them, so verify_its_places() does not report them again.
 * `second` is indexed by the entry in the first level. Device ids have 16 bits, so only the first 8 entries matter.
 */
#define ITS_SECOND_LEVELS 8u
#define ITS_SECOND_LEVEL_IDS (ITS_TABLE_PAGE / 8u)
struct its_stops {
	bool devices, collections;
	bool second[ITS_SECOND_LEVELS];
};

/*
 * Adds the tables and the queue to `ranges`. Reports a fault for each one that is not completely in RAM. Returns -1 if RAM
 * cannot be read, or without memory.
 */
int verify_its_places(const struct inspection *inspection, const struct its_registers *registers,
		      const struct its_stops *stops, struct ranges *ranges, struct verdict *verdict, struct error *error);

#endif
