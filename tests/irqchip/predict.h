/* SPDX-License-Identifier: MIT */
/*
 * Tables of an ITS that are written by hand, for KVM to restore and for its_tables_walk() to predict what it makes of
 * them. All in one VM, whose ITS and LPIs are made fresh for each try.
 *
 * Where the two do not agree, because the walk looks at RAM as it was saved and keeps no list of mappings:
 * - RESTORE_TABLES clears the pending bits that it takes. Where a pending table lies over another table, KVM reads
 *   entries that it changed itself meanwhile.
 * - Events that share an LPI above 65535, which no guest can have: the walk does not see that they do, so it looks for
 *   the pending bit of each on its own vCPU; KVM, on the first one's only.
 * - Above 16 million entries the walk gives up, and KVM goes on, for minutes.
 * - Memory that KVM cannot allocate (ENOMEM).
 */
#ifndef LKVM_TESTS_IRQCHIP_PREDICT_H
#define LKVM_TESTS_IRQCHIP_PREDICT_H

#include "arm/its_table.h"
#include "rig.h"

#define PREDICT_VCPUS 4u
#define PREDICT_RECORDS 9000u

/* Entries: Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI REV0". */
#define DTE(itt, bits, next) (BASER_VALID | (uint64_t)(next) << 49 | (uint64_t)(itt) >> 8 << 5 | ((bits) - 1))
#define ITE(lpi, collection, next) ((uint64_t)(next) << 48 | (uint64_t)(lpi) << 16 | (collection))
#define CTE(id, vcpu) (BASER_VALID | (uint64_t)(vcpu) << 16 | (id))
#define ITT(device) (RIG_TRANSLATIONS + RIG_TRANSLATION_SIZE * ((device) % 256))
#define SECOND_LEVEL(index) (RIG_LEVEL2 + (uint64_t)(index) * ITS_TABLE_PAGE)

/* A place in tables, and what is written to it. */
struct patch {
	enum place {
		NOWHERE,
		DEVICE,     /* entry of the device `id` */
		EVENT,      /* entry `event` in the ITT of the device `id` */
		COLLECTION, /* the entry at this index, whatever its collection */
		FIRST,      /* an entry of the device table's first level */
		WORD,       /* the offset in RAM */
		DEVICES, COLLECTIONS, PROPERTIES, /* GITS_BASER0, GITS_BASER1, GICR_PROPBASER */
		PENDING,    /* GICR_PENDBASER of a vCPU */
	} place;
	uint32_t id, event;
	uint64_t value;
};

/* What a walk visited, in its order. */
struct visited {
	unsigned collection_count, device_count, event_count;
	struct its_collection collections[PREDICT_RECORDS];
	struct its_device devices[PREDICT_RECORDS];
	struct its_event events[PREDICT_RECORDS];
	unsigned owners[PREDICT_RECORDS]; /* index of each event's device */
	uint32_t problems, stops; /* bits */
};

/* Large: on the heap. */
struct predict {
	struct rig rig;
	bool indirect;
	uint64_t device_baser, collection_baser, propbaser, pendbasers[PREDICT_VCPUS];
	const char *name; /* of the try, for a failure */
	const struct patch *patches;
	unsigned patch_count;
	struct guest_memory memory;
	struct its_walk walk, second_walk;
	struct visited visited, second;
	uint8_t before[RIG_RAM_SIZE]; /* RAM as KVM is to find it */
	uint8_t claimed[RIG_RAM_SIZE / 64];
	/* How many were... */
	unsigned taken, refused, saved;
};

struct predict *predict_open(void);
void predict_close(struct predict *predict);

/* RAM is zeroed, and a good set of tables written: several devices, some of whose entries are only left over. */
void predict_lay_out(struct predict *predict, bool indirect);

uint64_t *predict_at(struct predict *predict, const struct patch *patch);
uint64_t *predict_ram(struct predict *predict, uint64_t address);

/* Writes them; a failure names them. Up to the first that is NOWHERE. */
void predict_patch(struct predict *predict, const char *name, const struct patch *patches, unsigned count);

/* Walks the tables, as they are now. */
void predict_walk(struct predict *predict);

/* After the walk: has KVM restore them, and fails where it says or does something else. */
void predict_compare(struct predict *predict);

/* Hundreds of good tables with something else in a few places. */
void predict_mutated_flat(void);
void predict_mutated_indirect(void);

#endif
