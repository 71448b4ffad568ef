/* SPDX-License-Identifier: MIT */
/* Saves and restores the frames of the vGICv3: distributor and redistributors. */
#include "gic_frame.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "kvm/kvm.h"
#include "util/bits.h"


/*
 * State by interrupt. `bits` an interrupt: a distributor register starts bits * 4 bytes behind its offset, as
 * INTIDs 0-31 live in the redistributors. User space writes to the set registers: ISENABLER and ISACTIVER only
 * set bits, so all ones go to `clear` first; ISPENDR takes the whole word: it is the latch, without the line's level.
 */
struct interrupt_register {
	const char *name;
	uint32_t distributor;   /* offset in the distributor, 0: only in redistributors */
	uint32_t redistributor; /* offset in the redistributor, 0: only in the distributor */
	uint32_t bits;
	uint32_t clear; /* added to the offset: the register that clears, 0: none */
	uint32_t reset; /* of a word in the distributor */
	uint32_t reset_private; /* of a word in a redistributor */
	bool level; /* no register but KVM's record of the lines' levels; devices drive them, so they have no reset */
};

/* Trigger before level and pending: it says what those mean. Enabled and pending before active: as they came about. */
static const struct interrupt_register interrupt_registers[] = {
	{ "IGROUPR", 0x080, 0x10080, 1, 0, 0xffffffff, 0xffffffff, false },
	{ "ISENABLER", 0x100, 0x10100, 1, 0x80, 0, 0xffff, false }, /* SGIs start enabled */
	{ "ICFGR", 0xc00, 0, 2, 0, 0xaaaaaaaa, 0, false }, /* SPIs start edge-triggered; SGIs and PPIs are fixed */
	{ "LEVEL_INFO", 0, 0, 1, 0, 0, 0, true },
	{ "ISPENDR", 0x200, 0x10200, 1, 0, 0, 0, false },
	{ "ISACTIVER", 0x300, 0x10300, 1, 0x80, 0, 0, false },
	{ "IPRIORITYR", 0x400, 0x10400, 8, 0, 0, 0, false },
};

/* Access to one register, by its group of attributes. The sentence names it. */

static uint64_t affinity(uint64_t mpidr)
{
	/* Aff3 of MPIDR_EL1 is in 39:32, the others in 23:0. The attribute has all four in 63:32. */
	return (mpidr & 0xff00000000) << 24 | (mpidr & 0xffffff) << 32;
}

static const char *where(const struct gic_frame *frame, char text[32])
{
	if (frame->vcpu)
		snprintf(text, 32, " of vCPU %u", frame->vcpu->index);
	else
		text[0] = '\0';
	return text;
}

static int refused(const struct gic_frame *frame, int result, const char *what, const char *name, uint64_t attribute,
		   struct error *error)
{
	const char *frame_name = frame->vcpu ? "GICR" : "GICD";
	char text[32];

	return error_system(error, -result, "%s %s_%s at 0x%x%s", what, frame_name, name, (uint32_t)attribute,
			    where(frame, text));
}

static uint32_t group_of(const struct gic_frame *frame, bool level)
{
	if (level)
		return KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
	return frame->vcpu ? KVM_DEV_ARM_VGIC_GRP_REDIST_REGS : KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
}

static uint64_t attribute_of(const struct gic_frame *frame, uint32_t offset)
{
	return (frame->vcpu ? affinity(frame->vcpu->mpidr) : 0) | offset;
}

int gic_read(const struct gic_frame *frame, const char *name, uint32_t offset, uint32_t *value, struct error *error)
{
	uint64_t attribute = attribute_of(frame, offset);
	int result = kvm_attribute_get(frame->vm->gic_fd, group_of(frame, false), attribute, value);

	return result < 0 ? refused(frame, result, "reading", name, attribute, error) : 0;
}

int gic_write(const struct gic_frame *frame, const char *name, uint32_t offset, uint32_t value, struct error *error)
{
	uint64_t attribute = attribute_of(frame, offset);
	int result = kvm_attribute_set(frame->vm->gic_fd, group_of(frame, false), attribute, &value);

	return result < 0 ? refused(frame, result, "writing", name, attribute, error) : 0;
}

/* 64-bit registers are accessed by halves. */
int gic_read_long(const struct gic_frame *frame, const char *name, uint32_t offset, uint64_t *value, struct error *error)
{
	uint32_t low, high;

	if (gic_read(frame, name, offset, &low, error) < 0 || gic_read(frame, name, offset + 4, &high, error) < 0)
		return -1;
	*value = (uint64_t)high << 32 | low;
	return 0;
}

int gic_write_long(const struct gic_frame *frame, const char *name, uint32_t offset, uint64_t value, struct error *error)
{
	if (gic_write(frame, name, offset, (uint32_t)value, error) < 0)
		return -1;
	return gic_write(frame, name, offset + 4, (uint32_t)(value >> 32), error);
}

/* State by interrupt: the words of one register in one frame. */

static uint32_t first_word(const struct gic_frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? 0 : reg->bits;
}

static uint32_t end_word(const struct gic_frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? reg->bits : reg->bits * frame->interrupts / 32;
}

static uint32_t offset_of(const struct gic_frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? reg->redistributor : reg->distributor;
}

static bool has(const struct gic_frame *frame, const struct interrupt_register *reg)
{
	return reg->level || offset_of(frame, reg);
}

/* The level of 32 interrupts: the first one's INTID in 9:0, what is asked about it above. */
static uint64_t level_attribute(const struct gic_frame *frame, uint32_t word)
{
	return attribute_of(frame, VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | 32 * word);
}

static int get_word(const struct gic_frame *frame, const struct interrupt_register *reg, uint32_t word, uint32_t *value,
		    struct error *error)
{
	uint64_t attribute;
	int result;

	if (!reg->level)
		return gic_read(frame, reg->name, offset_of(frame, reg) + 4 * word, value, error);
	attribute = level_attribute(frame, word);
	result = kvm_attribute_get(frame->vm->gic_fd, group_of(frame, true), attribute, value);
	return result < 0 ? refused(frame, result, "reading", reg->name, attribute, error) : 0;
}

static int set_word(const struct gic_frame *frame, const struct interrupt_register *reg, uint32_t word, uint32_t value,
		    struct error *error)
{
	uint32_t offset = offset_of(frame, reg) + 4 * word;
	uint64_t attribute;
	int result;

	if (!reg->level) {
		if (reg->clear && gic_write(frame, reg->name, offset + reg->clear, 0xffffffff, error) < 0)
			return -1;
		return gic_write(frame, reg->name, offset, value, error);
	}
	attribute = level_attribute(frame, word);
	result = kvm_attribute_set(frame->vm->gic_fd, group_of(frame, true), attribute, &value);
	return result < 0 ? refused(frame, result, "writing", reg->name, attribute, error) : 0;
}

int gic_frame_reset(const struct gic_frame *frame, struct error *error)
{
	for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
		const struct interrupt_register *reg = &interrupt_registers[r];
		uint32_t value = frame->vcpu ? reg->reset_private : reg->reset;

		if (!has(frame, reg) || reg->level)
			continue;
		for (uint32_t word = first_word(frame, reg); word < end_word(frame, reg); word++)
			if (set_word(frame, reg, word, value, error) < 0)
				return -1;
	}
	return 0;
}

int gic_frame_save(const struct gic_frame *frame, struct byte_buffer *buffer, struct error *error)
{
	uint32_t values[8 * GIC_MAX_INTERRUPTS / 32];

	for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
		const struct interrupt_register *reg = &interrupt_registers[r];
		uint32_t count = 0;

		if (!has(frame, reg))
			continue;
		for (uint32_t word = first_word(frame, reg); word < end_word(frame, reg); word++)
			if (get_word(frame, reg, word, &values[count++], error) < 0)
				return -1;
		field_add(buffer, reg->name, sizeof(values[0]), count, values);
	}
	return 0;
}

int gic_need_words(const struct fields *fields, const char *name, uint32_t count, struct field *field,
		      struct error *error)
{
	if (!field_find(fields, name, field))
		return error_set(error, ENOENT, "%s is missing", name);
	if (field->size != sizeof(uint32_t) || field->count != count)
		return error_set(error, EBADMSG, "%s has %u values of %u bytes, not %u of 4", name, field->count,
				 field->size, count);
	return 0;
}

int gic_frame_restore(const struct gic_frame *frame, const struct fields *fields, struct error *error)
{
	for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
		const struct interrupt_register *reg = &interrupt_registers[r];
		uint32_t first = first_word(frame, reg), end = end_word(frame, reg);
		struct field field;

		if (!has(frame, reg))
			continue;
		if (gic_need_words(fields, reg->name, end - first, &field, error) < 0)
			return -1;
		for (uint32_t word = first; word < end; word++)
			if (set_word(frame, reg, word, (uint32_t)field_element(&field, word - first), error) < 0)
				return -1;
	}
	return 0;
}
