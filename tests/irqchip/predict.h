/* SPDX-License-Identifier: MIT */
/*
 * Compares KVM's restore of hand-written ITS tables with the prediction of its_tables_walk(). All trials use one VM, whose ITS
 * and LPIs are reset for each trial.
 *
 * The walk reads RAM as it was saved and keeps no list of mappings. So KVM and the walk differ in these cases:
 * - RESTORE_TABLES clears the pending bits that it restores. If a pending table overlaps another table, KVM reads entries that
 *   it changed itself.
 * - Events share an LPI above 65535, which no guest can have. The walk does not detect that, and reads the pending bit of each
 *   event on its own vCPU. KVM reads it only on the first event's vCPU.
 * - Above 16 million entries the walk stops. KVM continues, for minutes.
 * - KVM cannot allocate memory (ENOMEM).
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

/* A place in the tables, and its new value. */
struct patch {
	enum place {
		NOWHERE,
		DEVICE,     /* entry of the device `id` */
		EVENT,      /* entry `event` in the ITT of the device `id` */
		COLLECTION, /* the entry at this index, for any collection */
		FIRST,      /* an entry of the device table's first level */
		WORD,       /* the offset in RAM */
		DEVICES, COLLECTIONS, PROPERTIES, /* GITS_BASER0, GITS_BASER1, GICR_PROPBASER */
		PENDING,    /* GICR_PENDBASER of a vCPU */
	} place;
	uint32_t id, event;
	uint64_t value;
};

/* The entries that a walk visited, in its order. */
struct visited {
	unsigned collection_count, device_count, event_count;
	struct its_collection collections[PREDICT_RECORDS];
	struct its_device devices[PREDICT_RECORDS];
	struct its_event events[PREDICT_RECORDS];
	unsigned owners[PREDICT_RECORDS]; /* index of each event's device */
	uint32_t problems, stops; /* one bit for each kind */
};

/* It is large, so it must be on the heap. */
struct predict {
	struct rig rig;
	bool indirect;
	uint64_t device_baser, collection_baser, propbaser, pendbasers[PREDICT_VCPUS];
	const char *name; /* of the trial, for the message of a failure */
	const struct patch *patches;
	unsigned patch_count;
	struct guest_memory memory;
	struct its_walk walk, second_walk;
	struct visited visited, second;
	uint8_t before[RIG_RAM_SIZE]; /* RAM before KVM's restore */
	uint8_t claimed[RIG_RAM_SIZE / 64];
	/* Numbers of trials. */
	unsigned taken, refused, saved;
};

struct predict *predict_open(void);
void predict_close(struct predict *predict);

/* Zeroes RAM, and writes valid tables with several devices. Some entries are left over: nothing refers to them. */
void predict_lay_out(struct predict *predict, bool indirect);

uint64_t *predict_at(struct predict *predict, const struct patch *patch);
uint64_t *predict_ram(struct predict *predict, uint64_t address);

/* Writes patches up to the first that is NOWHERE. The message of a failure has `name`. */
void predict_patch(struct predict *predict, const char *name, const struct patch *patches, unsigned count);

/* Walks the current tables. */
void predict_walk(struct predict *predict);

/* Call it after predict_walk(). Makes KVM restore the tables, and fails if KVM's result differs from the walk's. */
void predict_compare(struct predict *predict);

/* Hundreds of valid tables with random values in a few places. */
void prediction_matches_kvm_for_mutated_flat_tables(void);
void prediction_matches_kvm_for_mutated_two_levels(void);

#endif
