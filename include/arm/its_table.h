/* SPDX-License-Identifier: MIT */
/*
 * The tables that KVM's ITS has in guest RAM between SAVE_TABLES and RESTORE_TABLES, ABI revision 0: the device table,
 * with one or two levels; an interrupt translation table (ITT) for each device; the collection table; and the
 * configuration and pending tables of LPIs (ARM IHI 0069). Kernel: Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS
 * Table ABI REV0".
 *
 * The walk reads the entries in the order of RESTORE_TABLES, so it can predict its result. Where KVM stops, the walk
 * continues, to find all problems. Pure. The tables may be hostile: with any content the walk ends, and it uses no more
 * memory than struct its_walk.
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

/* A GITS_BASERn register: the place of a table. */
struct its_baser {
	bool valid, indirect;
	uint64_t address; /* guest physical */
	uint64_t size;    /* bytes; of the first level if indirect */
};

/* Decodes it as KVM does: type and page size are fixed, and a collection table has one level. */
struct its_baser its_baser_decode(uint64_t value, bool may_be_indirect);

/* Problems of an entry, as bits, in the order in which KVM checks: the lowest one is the error that KVM returns. */
enum its_problem {
	ITS_PROBLEM_VCPU,          /* collection: on a vCPU that does not exist */
	ITS_PROBLEM_TWICE,         /* collection: an earlier entry has its id */
	ITS_PROBLEM_COLLECTION_ID, /* collection: the table has no room for this id */
	ITS_PROBLEM_EVENT_BITS,    /* device: more than 16 */
	ITS_PROBLEM_DEVICE_ID,     /* device: above 16 bits, or outside of the table */
	ITS_PROBLEM_LPI,           /* event: an INTID below the LPIs */
	ITS_PROBLEM_NEXT,          /* event: the next one is after the table's end */
	ITS_PROBLEM_COLLECTION,    /* event: its collection does not exist */
	ITS_PROBLEM_PROPERTIES,    /* event: its LPI's configuration is not in RAM */
	ITS_PROBLEM_PENDING,       /* event: its LPI's pending bit is not in RAM */
	ITS_PROBLEMS_REFUSED,      /* RESTORE_TABLES accepts the following */
	ITS_PROBLEM_DEVICE_TWICE = ITS_PROBLEMS_REFUSED, /* device: another entry has the same id */
	ITS_PROBLEM_LPI_LIMIT,     /* event: an LPI above the limit of GICR_PROPBASER, so that its configuration is other data */
	ITS_PROBLEM_LPI_SHARED,    /* event: an earlier event has its LPI; it gets that event's collection and state */
	ITS_PROBLEM_NOWHERE,       /* event: its collection is on no vCPU, so a pending interrupt is lost */
	ITS_PROBLEMS,
};

/* Returns the errno of RESTORE_TABLES, or 0 if it accepts the problem. */
int its_problem_refusal(enum its_problem problem);

/* Returns a short text: "its collection does not exist". */
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
	uint32_t vcpu;    /* the target of its LPI, or ITS_NO_VCPU */
	uint32_t next;    /* ids to the next event, 0: the last */
	bool enabled, pending;
	uint8_t priority;
	uint32_t problems;
};

/* Why the walk cannot continue in a table. */
enum its_stop {
	ITS_STOP_DEVICES,     /* the device table, or its first level, is not in RAM at `address` */
	ITS_STOP_SECOND,      /* a second level */
	ITS_STOP_COLLECTIONS, /* the collection table */
	ITS_STOP_EVENTS,      /* the ITT of `device` */
	ITS_STOP_LIMIT,       /* there are more entries than any guest has: the rest was not read */
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
	uint64_t propbaser;         /* GICR_PROPBASER, which KVM has once for a VM */
	unsigned vcpu_count;
	const uint64_t *pendbasers; /* GICR_PENDBASER of each */
};

/* The result of a walk. Large: allocate it on the heap. */
struct its_walk {
	int refusal;       /* errno that RESTORE_TABLES will return; 0: it accepts the tables */
	unsigned collections, devices, events, pending;
	uint16_t vcpus[65536];  /* by collection id: 0: none; 0xffff: on no vCPU; else the vCPU plus 1 */
	struct its_owner {
		uint32_t vcpu; /* or ITS_NO_VCPU */
		uint32_t device;
		uint32_t event;
		bool used;
	} lpis[ITS_LPI_LIMIT]; /* the first event of each LPI */
	uint8_t device_ids[65536 / 8];
	uint32_t entries; /* entries read */
	bool over;        /* too many */
};

/* Walks the tables. Fails only if RAM cannot be read. */
int its_tables_walk(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
		    struct error *error);

/* The same with a walk that is zero already: one from calloc(3) costs only the pages that are touched. */
int its_tables_walk_zeroed(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
			   struct error *error);

/* Predicts the result of RESTORE_TABLES: 0, or -1 with ESTALE and an error that names the first refused entry. */
int its_tables_check(const struct its_tables *tables, struct error *error);

/* The number of INTIDs that KVM has with this GICR_PROPBASER, and the addresses of the LPI tables. */
uint32_t its_lpi_limit(uint64_t propbaser);
uint64_t its_properties_address(uint64_t propbaser);
uint64_t its_pending_address(uint64_t pendbaser);

#endif
