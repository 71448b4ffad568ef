/* SPDX-License-Identifier: MIT */
/*
 * One register frame of the vGICv3, as user space accesses it, and its registers with state of each interrupt. A table
 * lists these registers; reset, save and restore walk it. Kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst.
 */
#ifndef LKVM_ARM_GIC_FRAME_H
#define LKVM_ARM_GIC_FRAME_H

#include "arm/gic.h"

#define GIC_PRIVATE_INTERRUPTS 32u /* SGIs and PPIs: INTIDs below this belong to the redistributors */
#define GIC_MAX_INTERRUPTS 992u

struct gic_frame {
	struct vm *vm;
	const struct vcpu *vcpu; /* NULL: the distributor */
	unsigned interrupts;     /* of the distributor: gic_layout.interrupts */
};

/* A register of 32 or 64 bits at `offset`. The error contains its name; `name` is without "GICD_" or "GICR_". */
int gic_read(const struct gic_frame *frame, const char *name, uint32_t offset, uint32_t *value, struct error *error);
int gic_write(const struct gic_frame *frame, const char *name, uint32_t offset, uint32_t value, struct error *error);
int gic_read_long(const struct gic_frame *frame, const char *name, uint32_t offset, uint64_t *value, struct error *error);
int gic_write_long(const struct gic_frame *frame, const char *name, uint32_t offset, uint64_t value, struct error *error);

/* Reset the state of all interrupts to power-on values; save it as fields; restore it. */
int gic_frame_reset(const struct gic_frame *frame, struct error *error);
int gic_frame_save(const struct gic_frame *frame, struct byte_buffer *buffer, struct error *error);
int gic_frame_restore(const struct gic_frame *frame, const struct fields *fields, struct error *error);

/* Finds a field of `count` words, or fails. */
int gic_need_words(const struct fields *fields, const char *name, uint32_t count, struct field *field,
		   struct error *error);

#endif
