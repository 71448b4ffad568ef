/* SPDX-License-Identifier: MIT */
/*
 * Whether a snapshot is right: each check looks at one part of it and tells every fault that it finds. A check fails (-1)
 * only where it cannot look at all: the file cannot be read, memory ran out. What the file lacks or says wrongly is a fault.
 */
#ifndef LKVM_VERIFY_H
#define LKVM_VERIFY_H

#include "lkvm/err.h"
#include "lkvm/inspect.h"

struct verdict {
	unsigned faults;
	/* `place` is a part of the snapshot ("its", "virtio-blk0/queue0", "RAM"), `what` a sentence without a full stop. */
	void (*tell)(void *owner, const char *place, const char *what);
	void *owner;
};

/* Counts and tells a fault. */
void verdict_fault(struct verdict *verdict, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
