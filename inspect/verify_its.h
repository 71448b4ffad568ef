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

/* False where one is missing, which is a fault. */
bool verify_its_find(const struct inspection *inspection, struct verdict *verdict, struct its_registers *registers);

/* What a restore would have refused or changed of them. */
void verify_its_registers(const struct its_registers *registers, struct verdict *verdict);

/* Where the queue is, as KVM takes GITS_CBASER. */
uint64_t its_queue_address(uint64_t cbaser);
uint64_t its_queue_size(uint64_t cbaser);

/*
 * What a walk met, told already: so that a table is not told again. Second levels by the number of their entry; those of
 * ids above 16 bits are of no use to anyone.
 */
#define ITS_SECOND_LEVELS 8u
#define ITS_SECOND_LEVEL_IDS (ITS_TABLE_PAGE / 8u)
struct its_stops {
	bool devices, collections;
	bool second[ITS_SECOND_LEVELS];
};

/* Adds the tables and the queue to `ranges`, and tells which are not all RAM. -1: RAM cannot be read. */
int verify_its_places(const struct inspection *inspection, const struct its_registers *registers,
		      const struct its_stops *stops, struct ranges *ranges, struct verdict *verdict, struct error *error);

#endif
