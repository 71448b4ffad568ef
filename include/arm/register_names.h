/* SPDX-License-Identifier: MIT */
/*
 * Names of vCPU registers by KVM's ids, and how a restore handles each.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG. Pure.
 */
#ifndef LKVM_ARM_REGISTER_NAMES_H
#define LKVM_ARM_REGISTER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER_NAME_LENGTH 40

/* Formats "x0" or "SCTLR_EL1"; "S3_0_C1_C2_3" for a system register without a name here, "0x60..." for any other. */
void register_name(uint64_t id, char name[REGISTER_NAME_LENGTH]);

/* Bytes of its value, 1 to 256. */
size_t register_size(uint64_t id);

enum register_use {
	REGISTER_STATE,   /* written back as it was */
	REGISTER_FEATURE, /* describes the processor or the firmware: written before all others, and only if it differs */
	REGISTER_CLOCK,   /* advances by itself: not saved here; the machine writes it once, last */
	REGISTER_LAYOUT,  /* fixed before the vCPU was finalised: must be the same */
};

enum register_use register_use(uint64_t id);

/*
 * Returns whether a restore may omit a register that this host's kernel does not have: the saved value is the one that a kernel
 * without the register implies.
 */
bool register_may_be_dropped(uint64_t id, uint64_t value);

#endif
