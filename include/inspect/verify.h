/* SPDX-License-Identifier: MIT */
/*
 * Whether a snapshot is right: each check looks at one part of it and tells every fault that it finds. A check fails (-1)
 * only where it cannot look at all: the file cannot be read, memory ran out. What the file lacks or says wrongly is a fault.
 */
#ifndef LKVM_INSPECT_VERIFY_H
#define LKVM_INSPECT_VERIFY_H

#include "inspect/inspect.h"
#include "util/err.h"

struct verdict {
	unsigned faults;
	/* `place` is a part of the snapshot ("its", "virtio-blk0/queue0", "RAM"), `what` a sentence without a full stop. */
	void (*tell)(void *owner, const char *place, const char *what);
	void *owner;
};

/* Counts and tells a fault. */
void verdict_fault(struct verdict *verdict, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Whether the sections are there that the machine's configuration promises, none more that a reader must know, and RAM is
 * the machine's. What looks into them comes after it: it would say the same again in other words.
 */
int verify_sections(struct snapshot *snapshot, struct verdict *verdict, struct error *error);

/* RAM against its checksums: reads all of it, on all processors. `progress` may be NULL. */
int verify_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct verdict *verdict,
	       struct error *error);

/*
 * The ITS: registers that a restore would have refused or changed; its tables, as RESTORE_TABLES will read them, and
 * whether they and the command queue are in RAM and apart from each other. Good where the machine has none.
 */
int verify_its(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* LPIs: the redistributors' tables, and whether each pending LPI is one that an event sends there. */
int verify_lpis(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* Virtqueues: what a restore would have refused, and whether their indices and the rings in RAM belong together. */
int verify_queues(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* MSI-X: whether each vector that may send does so to an event that the ITS knows. */
int verify_msix(const struct inspection *inspection, struct verdict *verdict, struct error *error);

#endif
