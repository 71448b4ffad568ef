/* SPDX-License-Identifier: MIT */
/*
 * Verifies a snapshot. Each check examines one part and reports every fault that it finds.
 *
 * A check returns -1 only if it could not run: the file cannot be read, or there is no memory. Missing or wrong contents are
 * faults, and the check returns 0.
 */
#ifndef LKVM_INSPECT_VERIFY_H
#define LKVM_INSPECT_VERIFY_H

#include "inspect/inspect.h"
#include "util/err.h"

struct verdict {
	unsigned faults;
	/* `place` is a part of the snapshot ("its", "virtio-blk0/queue0", "RAM"). `what` is a sentence without a full stop. */
	void (*report)(void *owner, const char *place, const char *what);
	void *owner;
};

/* Counts and reports a fault. */
void verdict_fault(struct verdict *verdict, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Verifies that the snapshot has each section that the machine's configuration implies, and no unknown mandatory one. Verifies
 * that base and size of RAM match the configuration. Run this check first: the others would report the same faults again.
 */
int verify_sections(struct snapshot *snapshot, struct verdict *verdict, struct error *error);

/* Verifies RAM against its checksums. Reads all of RAM, on all processors. `progress` may be NULL. */
int verify_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct verdict *verdict,
	       struct error *error);

/*
 * Verifies the ITS. Registers: KVM would accept them unchanged. Tables: KVM_DEV_ARM_ITS_RESTORE_TABLES would accept them. They
 * and the command queue lie in RAM and do not overlap. A machine without an ITS has no faults here.
 */
int verify_its(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* Verifies the redistributors' LPI tables, and that an event maps each pending LPI to that vCPU. */
int verify_lpis(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* Verifies that a restore would accept the virtqueues, and that their indices match the rings in RAM. */
int verify_queues(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* Verifies that each MSI and MSI-X vector that is not masked sends an event that the ITS maps. */
int verify_msix(const struct inspection *inspection, struct verdict *verdict, struct error *error);

#endif
