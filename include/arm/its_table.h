/* SPDX-License-Identifier: MIT */
/*
 * The tables that KVM's ITS keeps in guest RAM between SAVE_TABLES and RESTORE_TABLES, ABI revision 0: device table, one or
 * two levels; an interrupt translation table (ITT) a device; collection table; and the LPIs' configuration and pending
 * tables (ARM IHI 0069). Kernel: Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI REV0".
 *
 * The walk takes the way that RESTORE_TABLES takes, entry by entry, so that it can tell what that will say; but it goes on
 * where KVM gives up, to find all that is wrong. Pure. The tables may be hostile: whatever they hold, the walk ends, and
 * uses no more memory than struct its_walk.
 */
#ifndef LKVM_ARM_ITS_TABLE_H
#define LKVM_ARM_ITS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/guest_memory.h"
#include "util/err.h"

#define ITS_FIRST_LPI 8192u
#define ITS_LPI_LIMIT 65536u /* KVM has 16 bits of INTIDs, whatever a guest asks for */
#define ITS_TABLE_PAGE 0x10000u
#define ITS_NO_VCPU UINT32_MAX

/* A GITS_BASERn register: where a table is. */
struct its_baser {
	bool valid, indirect;
	uint64_t address; /* guest physical */
	uint64_t size;    /* bytes; of the first level if indirect */
};

/* As KVM takes it: the type and the page size are fixed, a collection table has one level. */
struct its_baser its_baser_decode(uint64_t value, bool may_be_indirect);

/* What is wrong with an entry, as bits; in the order in which KVM looks, so that the lowest one is its answer. */
enum its_problem {
	ITS_PROBLEM_VCPU,          /* collection: on a vCPU that is not there */
	ITS_PROBLEM_TWICE,         /* collection: its id stands in an earlier entry */
	ITS_PROBLEM_COLLECTION_ID, /* collection: the table has no room for this id */
	ITS_PROBLEM_EVENT_BITS,    /* device: more than 16 */
	ITS_PROBLEM_DEVICE_ID,     /* device: above 16 bits, or no place in the table */
	ITS_PROBLEM_LPI,           /* event: an INTID below the LPIs */
	ITS_PROBLEM_NEXT,          /* event: the next one is behind the table's end */
	ITS_PROBLEM_COLLECTION,    /* event: its collection does not exist */
	ITS_PROBLEM_PROPERTIES,    /* event: its LPI's configuration is not in RAM */
	ITS_PROBLEM_PENDING,       /* event: its LPI's pending bit is not in RAM */
	ITS_PROBLEMS_REFUSED,      /* RESTORE_TABLES takes the following */
	ITS_PROBLEM_DEVICE_TWICE = ITS_PROBLEMS_REFUSED, /* device: another entry is of the same id */
	ITS_PROBLEM_LPI_LIMIT,     /* event: an LPI above what GICR_PROPBASER allows: its configuration is something else */
	ITS_PROBLEM_LPI_SHARED,    /* event: its LPI is an earlier event's, whose collection and state it gets */
	ITS_PROBLEM_NOWHERE,       /* event: its collection is on no vCPU, so a pending interrupt is lost */
	ITS_PROBLEMS,
};

/* The errno of RESTORE_TABLES, or 0 where it takes it. */
int its_problem_refusal(enum its_problem problem);

/* A few words, "its collection does not exist". */
const char *its_problem_text(enum its_problem problem);

struct its_collection {
	uint64_t address; /* of its entry, guest physical */
	uint32_t id;
	uint32_t vcpu;     /* or ITS_NO_VCPU: unmapped */
	uint32_t problems; /* bits 1 << enum its_problem */
};

struct its_device {
	uint64_t address;
	uint32_t id;         /* the requester id of a PCI device */
	uint64_t itt;        /* guest physical */
	uint64_t itt_size;   /* bytes */
	unsigned event_bits;
	uint32_t next;       /* ids to the next device, 0: the last */
	uint32_t problems;
};

struct its_event {
	uint64_t address;
	uint32_t device, id;
	uint32_t lpi;
	uint32_t collection;
	uint32_t vcpu;    /* where its LPI goes, or ITS_NO_VCPU */
	uint32_t next;    /* ids to the next event, 0: the last */
	bool enabled, pending;
	uint8_t priority;
	uint32_t problems;
};

/* What keeps the walk from going on along a table. */
enum its_stop {
	ITS_STOP_DEVICES,     /* the device table, or its first level, is not in RAM at `address` */
	ITS_STOP_SECOND,      /* a second level */
	ITS_STOP_COLLECTIONS, /* the collection table */
	ITS_STOP_EVENTS,      /* the ITT of `device` */
	ITS_STOP_LIMIT,       /* there are more entries than any guest has: the rest was not looked at */
};

const char *its_stop_text(enum its_stop stop);

/* Any may be NULL. */
struct its_visitor {
	void (*collection)(void *owner, const struct its_collection *collection);
	void (*device)(void *owner, const struct its_device *device); /* before its events */
	void (*event)(void *owner, const struct its_event *event);
	void (*stop)(void *owner, enum its_stop stop, uint64_t address, uint32_t device);
	void *owner;
};

struct its_tables {
	const struct guest_memory *memory;
	uint64_t device_baser, collection_baser; /* GITS_BASER0 and GITS_BASER1 */
	uint64_t propbaser;         /* GICR_PROPBASER, of which KVM has one a VM */
	unsigned vcpu_count;
	const uint64_t *pendbasers; /* GICR_PENDBASER of each */
};

/* What a walk finds out. Large: on the heap. */
struct its_walk {
	int refusal;       /* errno that RESTORE_TABLES will give, 0: it takes them */
	unsigned collections, devices, events, pending;
	uint16_t vcpus[65536];  /* by collection id: 0: none; 0xffff: on no vCPU; else the vCPU plus 1 */
	struct its_owner {
		uint32_t vcpu; /* or ITS_NO_VCPU */
		uint32_t device;
		uint32_t event;
		bool used;
	} lpis[ITS_LPI_LIMIT]; /* the first event of each LPI */
	uint8_t device_ids[65536 / 8];
	uint32_t entries; /* looked at */
	bool over;        /* too many */
};

/* -1 only where memory cannot be read that is RAM. */
int its_tables_walk(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
		    struct error *error);

/* The same with a walk that is zero already: one from calloc(3) costs only the pages that are touched. */
int its_tables_walk_zeroed(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
			   struct error *error);

/* Predicts what RESTORE_TABLES will answer: 0, or -1 with ESTALE and a sentence that names the first entry that it refuses. */
int its_tables_check(const struct its_tables *tables, struct error *error);

/* LPIs by their tables. How many INTIDs KVM has with this GICR_PROPBASER, and where its tables are. */
uint32_t its_lpi_limit(uint64_t propbaser);
uint64_t its_properties_address(uint64_t propbaser);
uint64_t its_pending_address(uint64_t pendbaser);

#endif
