/* SPDX-License-Identifier: MIT */
/*
 * Which machine of those with one past this is: a number in memory, and an interrupt when it became another. Two machines
 * that go on from one snapshot know the same secrets, the state of their random number generators among them; a guest that
 * hears of its new generation makes that its own. Microsoft, "Virtual Machine Generation ID"; by device tree as the kernel's
 * Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml has it.
 */
#ifndef LKVM_HW_VMGENID_H
#define LKVM_HW_VMGENID_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/interrupts.h"
#include "kvm/vm.h"
#include "memory/ram.h"
#include "state/state_table.h"
#include "util/err.h"

#define VMGENID_SIZE 0x10000u /* a page of whatever host: memory slots are whole pages */

struct vmgenid_state {
	uint64_t id[2]; /* random; in the page as it is here */
};

extern const struct state_table vmgenid_state_table;

struct vmgenid {
	struct interrupts *interrupts;
	unsigned line;
	struct ram page;
	struct vmgenid_state state;

	/* Restored, and has not run since. */
	bool changes, listens;
	struct vmgenid_state next;
};

/* A new one, which stays the same through resets. */
int vmgenid_open(struct vmgenid *vmgenid, struct vm *vm, unsigned line, uint64_t base, struct error *error);
void vmgenid_close(struct vmgenid *vmgenid);

/*
 * Its state was loaded, with the GIC restored, and the guest did not run yet. It is still the machine that was saved; once it
 * goes on it is another one. `listens`: the guest has the interrupt enabled.
 */
int vmgenid_restored(struct vmgenid *vmgenid, bool listens, struct error *error);

/* The guest is about to run. For the first time since a restore, there is a new generation, and a guest that listens is told. */
void vmgenid_resume(struct vmgenid *vmgenid);

/* No driver listens any more. */
void vmgenid_reset(struct vmgenid *vmgenid);

#endif
