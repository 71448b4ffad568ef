/* SPDX-License-Identifier: MIT */
/*
 * vCPU registers by KVM's ids: their names, and what a restore makes of one that the host does not have.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG. Pure.
 */
#ifndef LKVM_ARM_REGISTER_NAMES_H
#define LKVM_ARM_REGISTER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER_NAME_LENGTH 40

/* "x0", "SCTLR_EL1", "S3_0_C1_C2_3" for a system register without a name here, "0x60..." for anything else. */
void register_name(uint64_t id, char name[REGISTER_NAME_LENGTH]);

/* Bytes of its value, 1 to 256. */
size_t register_size(uint64_t id);

enum register_use {
	REGISTER_STATE,   /* written back as it was */
	REGISTER_FEATURE, /* says what the processor or the firmware can do: before all others, and only if it differs */
	REGISTER_CLOCK,   /* runs on by itself: not saved here, the machine writes it once, last */
	REGISTER_LAYOUT,  /* fixed before the vCPU was finalised: must be the same */
};

enum register_use register_use(uint64_t id);

/*
 * Whether a register that this host's kernel does not know may be left out: where the saved value is the one that a
 * kernel without it acts upon.
 */
bool register_may_be_dropped(uint64_t id, uint64_t value);

#endif
