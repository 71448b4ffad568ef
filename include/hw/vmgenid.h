/* SPDX-License-Identifier: MIT */
/*
 * The VM generation ID: a random number in memory, and an interrupt when it changes. Two VMs that are restored from one
 * snapshot have the same secrets, such as the state of the random number generator. A guest mixes a new generation ID
 * into that. Microsoft, "Virtual Machine Generation ID"; device tree binding: the kernel's
 * Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml.
 */
#ifndef LKVM_HW_VMGENID_H
#define LKVM_HW_VMGENID_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "kvm/interrupts.h"
#include "kvm/vm.h"
#include "memory/ram.h"
#include "state/state_table.h"
#include "util/err.h"

#define VMGENID_SIZE 0x10000u /* the largest page size of hosts: memory slots are whole pages */

struct vmgenid_state {
	uint64_t id[2]; /* random; the bytes in the page */
};

extern const struct state_table vmgenid_state_table;

struct vmgenid {
	struct interrupts *interrupts;
	unsigned line;
	struct ram page;
	struct vmgenid_state state;

	/* Between a restore and the first run. */
	bool changes, listens;
	struct vmgenid_state next;
};

/* Makes a new ID, which does not change at resets. */
int vmgenid_open(struct vmgenid *vmgenid, struct vm *vm, unsigned line, uint64_t base, struct error *error);
void vmgenid_close(struct vmgenid *vmgenid);

/*
 * After its state was loaded, with the GIC restored. The ID stays the saved one until the guest runs: vmgenid_resume()
 * changes it. `listens`: the guest has enabled the interrupt.
 */
int vmgenid_restored(struct vmgenid *vmgenid, bool listens, struct error *error);

/*
 * Call it before the guest runs. The first time after a restore it changes the ID, and interrupts a guest that
 * listens.
 */
void vmgenid_resume(struct vmgenid *vmgenid);

/* After a reset no driver listens. */
void vmgenid_reset(struct vmgenid *vmgenid);

/* Writes its node of the device tree. */
void vmgenid_fdt(const struct vmgenid *vmgenid, struct fdt_writer *writer);

#endif
