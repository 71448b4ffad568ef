/* SPDX-License-Identifier: MIT */
/*
 * All state of the vGICv3, said once: which registers there are, in the order in which they are restored, and what they
 * hold at power-on. Reset, save and restore walk the same tables.
 * Kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "lkvm/gic.h"
#include "lkvm/kvm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_INTERRUPTS 992u
#define PRIVATE_INTERRUPTS 32u /* SGIs and PPIs: INTIDs below this are the redistributors' */

/* Offsets that have a rule of their own. */
#define GICD_CTLR 0x0000
#define GICD_TYPER 0x0004
#define GICD_IIDR 0x0008
#define GICD_IROUTER 0x6000
#define GICR_CTLR 0x0000
#define GICR_TYPER 0x0008
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

/* PROPBASER and PENDBASER at power-on: no address, inner shareable, write-back. */
#define LPI_TABLE_POWER_ON 0x580ull

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

struct frame {
	struct vm *vm;
	const struct vcpu *vcpu; /* NULL: the distributor */
	unsigned interrupts;
};

static const char *where(const struct frame *frame, char text[32])
{
	if (frame->vcpu)
		snprintf(text, 32, " of vCPU %u", frame->vcpu->index);
	else
		text[0] = '\0';
	return text;
}

static int refused(const struct frame *frame, int result, const char *what, const char *name, uint64_t attribute,
		   struct error *error)
{
	const char *frame_name = frame->vcpu ? "GICR" : "GICD";
	char text[32];

	return error_system(error, -result, "%s %s_%s at 0x%x%s", what, frame_name, name, (uint32_t)attribute,
			    where(frame, text));
}

static uint32_t group_of(const struct frame *frame, bool level)
{
	if (level)
		return KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
	return frame->vcpu ? KVM_DEV_ARM_VGIC_GRP_REDIST_REGS : KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
}

static uint64_t attribute_of(const struct frame *frame, uint32_t offset)
{
	return (frame->vcpu ? affinity(frame->vcpu->mpidr) : 0) | offset;
}

static int read_word(const struct frame *frame, const char *name, uint32_t offset, uint32_t *value, struct error *error)
{
	uint64_t attribute = attribute_of(frame, offset);
	int result = kvm_attribute_get(frame->vm->gic_fd, group_of(frame, false), attribute, value);

	return result < 0 ? refused(frame, result, "reading", name, attribute, error) : 0;
}

static int write_word(const struct frame *frame, const char *name, uint32_t offset, uint32_t value, struct error *error)
{
	uint64_t attribute = attribute_of(frame, offset);
	int result = kvm_attribute_set(frame->vm->gic_fd, group_of(frame, false), attribute, &value);

	return result < 0 ? refused(frame, result, "writing", name, attribute, error) : 0;
}

/* 64-bit registers are accessed by halves. */
static int read_long(const struct frame *frame, const char *name, uint32_t offset, uint64_t *value, struct error *error)
{
	uint32_t low, high;

	if (read_word(frame, name, offset, &low, error) < 0 || read_word(frame, name, offset + 4, &high, error) < 0)
		return -1;
	*value = (uint64_t)high << 32 | low;
	return 0;
}

static int write_long(const struct frame *frame, const char *name, uint32_t offset, uint64_t value, struct error *error)
{
	if (write_word(frame, name, offset, (uint32_t)value, error) < 0)
		return -1;
	return write_word(frame, name, offset + 4, (uint32_t)(value >> 32), error);
}

/* State by interrupt: the words of one register in one frame. */

static uint32_t first_word(const struct frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? 0 : reg->bits;
}

static uint32_t end_word(const struct frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? reg->bits : reg->bits * frame->interrupts / 32;
}

static uint32_t offset_of(const struct frame *frame, const struct interrupt_register *reg)
{
	return frame->vcpu ? reg->redistributor : reg->distributor;
}

static bool has(const struct frame *frame, const struct interrupt_register *reg)
{
	return reg->level || offset_of(frame, reg);
}

/* The level of 32 interrupts: the first one's INTID in 9:0, what is asked about it above. */
static uint64_t level_attribute(const struct frame *frame, uint32_t word)
{
	return attribute_of(frame, VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | 32 * word);
}

static int get_word(const struct frame *frame, const struct interrupt_register *reg, uint32_t word, uint32_t *value,
		    struct error *error)
{
	uint64_t attribute;
	int result;

	if (!reg->level)
		return read_word(frame, reg->name, offset_of(frame, reg) + 4 * word, value, error);
	attribute = level_attribute(frame, word);
	result = kvm_attribute_get(frame->vm->gic_fd, group_of(frame, true), attribute, value);
	return result < 0 ? refused(frame, result, "reading", reg->name, attribute, error) : 0;
}

static int set_word(const struct frame *frame, const struct interrupt_register *reg, uint32_t word, uint32_t value,
		    struct error *error)
{
	uint32_t offset = offset_of(frame, reg) + 4 * word;
	uint64_t attribute;
	int result;

	if (!reg->level) {
		if (reg->clear && write_word(frame, reg->name, offset + reg->clear, 0xffffffff, error) < 0)
			return -1;
		return write_word(frame, reg->name, offset, value, error);
	}
	attribute = level_attribute(frame, word);
	result = kvm_attribute_set(frame->vm->gic_fd, group_of(frame, true), attribute, &value);
	return result < 0 ? refused(frame, result, "writing", reg->name, attribute, error) : 0;
}

static int reset_interrupts(const struct frame *frame, struct error *error)
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

static int save_interrupts(const struct frame *frame, struct byte_buffer *buffer, struct error *error)
{
	uint32_t values[8 * MAX_INTERRUPTS / 32];

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

/* A field of so many words, or a sentence. */
static int need_words(const struct fields *fields, const char *name, uint32_t count, struct field *field,
		      struct error *error)
{
	if (!field_find(fields, name, field))
		return error_set(error, ENOENT, "%s is missing", name);
	if (field->size != sizeof(uint32_t) || field->count != count)
		return error_set(error, EBADMSG, "%s has %u values of %u bytes, not %u of 4", name, field->count,
				 field->size, count);
	return 0;
}

static int restore_interrupts(const struct frame *frame, const struct fields *fields, struct error *error)
{
	for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
		const struct interrupt_register *reg = &interrupt_registers[r];
		uint32_t first = first_word(frame, reg), end = end_word(frame, reg);
		struct field field;

		if (!has(frame, reg))
			continue;
		if (need_words(fields, reg->name, end - first, &field, error) < 0)
			return -1;
		for (uint32_t word = first; word < end; word++)
			if (set_word(frame, reg, word, (uint32_t)field_element(&field, word - first), error) < 0)
				return -1;
	}
	return 0;
}

/* Whether a register that describes the machine is the same here. */
static int compare(const char *name, uint64_t here, const struct fields *fields, struct error *error)
{
	uint64_t saved;

	if (field_get_number(fields, name, &saved, error) < 0)
		return -1;
	if (saved != here)
		return error_set(error, EINVAL, "%s is 0x%llx in the snapshot, but 0x%llx on this host", name,
				 (unsigned long long)saved, (unsigned long long)here);
	return 0;
}

/* Control: what turns everything on, and where the tables of LPIs are. */

int gic_reset_control(struct vm *vm, struct error *error)
{
	const struct frame distributor = { .vm = vm };

	/* LPIs off first: writes to PROPBASER and PENDBASER are dropped while they are on. */
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (write_word(&frame, "CTLR", GICR_CTLR, 0, error) < 0)
			return -1;
	}
	/* Without an ITS there are no LPIs; and the zero that KVM starts with there cannot be written. */
	for (unsigned i = 0; vm->its_fd >= 0 && i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (write_long(&frame, "PROPBASER", GICR_PROPBASER, LPI_TABLE_POWER_ON, error) < 0 ||
		    write_long(&frame, "PENDBASER", GICR_PENDBASER, LPI_TABLE_POWER_ON, error) < 0)
			return -1;
	}
	return write_word(&distributor, "CTLR", GICD_CTLR, 0, error);
}

int gic_restore_control(struct vm *vm, struct sections *sections, struct error *error)
{
	const struct frame distributor = { .vm = vm };
	const struct section *section = sections_need(sections, "gic/distributor", 1, error);
	uint64_t identity, control;
	uint32_t typer;

	if (!section)
		return -1;
	if (read_word(&distributor, "TYPER", GICD_TYPER, &typer, error) < 0 ||
	    compare("TYPER", typer, &section->fields, error) < 0 ||
	    field_get_number(&section->fields, "IIDR", &identity, error) < 0 ||
	    field_get_number(&section->fields, "CTLR", &control, error) < 0 ||
	    write_word(&distributor, "IIDR", GICD_IIDR, (uint32_t)identity, error) < 0)
		return -1;
	return write_word(&distributor, "CTLR", GICD_CTLR, (uint32_t)control, error);
}

static const struct section *redistributor_section(const struct vcpu *vcpu, struct sections *sections, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];

	snprintf(name, sizeof(name), "gic/redistributor%u", vcpu->index);
	return sections_need(sections, name, 1, error);
}

int gic_restore_lpi_tables(struct vm *vm, struct sections *sections, struct error *error)
{
	for (unsigned i = 0; vm->its_fd >= 0 && i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };
		const struct section *section = redistributor_section(frame.vcpu, sections, error);
		uint64_t properties, pending;

		if (!section || field_get_number(&section->fields, "PROPBASER", &properties, error) < 0 ||
		    field_get_number(&section->fields, "PENDBASER", &pending, error) < 0 ||
		    write_long(&frame, "PROPBASER", GICR_PROPBASER, properties, error) < 0 ||
		    write_long(&frame, "PENDBASER", GICR_PENDBASER, pending, error) < 0)
			return -1;
	}
	return 0;
}

/* Redistributors. */

int gic_reset_redistributors(struct vm *vm, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (reset_interrupts(&frame, error) < 0)
			return -1;
	}
	return 0;
}

static int save_redistributor(const struct frame *frame, struct section_writer *writer, struct error *error)
{
	uint64_t typer, properties, pending;
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t control;

	if (read_long(frame, "TYPER", GICR_TYPER, &typer, error) < 0 ||
	    read_word(frame, "CTLR", GICR_CTLR, &control, error) < 0 ||
	    read_long(frame, "PROPBASER", GICR_PROPBASER, &properties, error) < 0 ||
	    read_long(frame, "PENDBASER", GICR_PENDBASER, &pending, error) < 0)
		return -1;
	snprintf(name, sizeof(name), "gic/redistributor%u", frame->vcpu->index);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "TYPER", typer);
	field_add_number(&writer->buffer, "CTLR", control);
	field_add_number(&writer->buffer, "PROPBASER", properties);
	field_add_number(&writer->buffer, "PENDBASER", pending);
	if (save_interrupts(frame, &writer->buffer, error) < 0)
		return -1;
	section_end(writer);
	return 0;
}

int gic_save_redistributors(struct vm *vm, struct section_writer *writer, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (save_redistributor(&frame, writer, error) < 0)
			return -1;
	}
	return 0;
}

int gic_restore_redistributors(struct vm *vm, struct sections *sections, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };
		const struct section *section = redistributor_section(frame.vcpu, sections, error);
		uint64_t typer, control;

		if (!section)
			return -1;
		if (read_long(&frame, "TYPER", GICR_TYPER, &typer, error) < 0 ||
		    compare("TYPER", typer, &section->fields, error) < 0 ||
		    field_get_number(&section->fields, "CTLR", &control, error) < 0 ||
		    write_word(&frame, "CTLR", GICR_CTLR, (uint32_t)control, error) < 0 ||
		    restore_interrupts(&frame, &section->fields, error) < 0)
			return error_context(error, "%s", section->name);
	}
	return 0;
}

/* The distributor. */

int gic_reset_distributor(struct vm *vm, unsigned interrupts, struct error *error)
{
	const struct frame frame = { .vm = vm, .interrupts = interrupts };

	if (reset_interrupts(&frame, error) < 0)
		return -1;
	/* The upper halves of IROUTER are read-as-zero, write-ignored in KVM. */
	for (uint32_t interrupt = PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (write_word(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt, 0, error) < 0)
			return -1;
	return 0;
}

int gic_save_distributor(struct vm *vm, unsigned interrupts, struct section_writer *writer, struct error *error)
{
	const struct frame frame = { .vm = vm, .interrupts = interrupts };
	uint32_t routes[MAX_INTERRUPTS], typer, identity, control;

	if (read_word(&frame, "TYPER", GICD_TYPER, &typer, error) < 0 ||
	    read_word(&frame, "IIDR", GICD_IIDR, &identity, error) < 0 ||
	    read_word(&frame, "CTLR", GICD_CTLR, &control, error) < 0)
		return -1;
	for (uint32_t interrupt = PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (read_word(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt, &routes[interrupt], error) < 0)
			return -1;
	section_begin(writer, "gic/distributor", 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "TYPER", typer);
	field_add_number(&writer->buffer, "IIDR", identity);
	field_add_number(&writer->buffer, "CTLR", control);
	field_add(&writer->buffer, "IROUTER", sizeof(routes[0]), interrupts - PRIVATE_INTERRUPTS,
		  routes + PRIVATE_INTERRUPTS);
	if (save_interrupts(&frame, &writer->buffer, error) < 0)
		return -1;
	section_end(writer);
	return 0;
}

int gic_restore_distributor(struct vm *vm, unsigned interrupts, struct sections *sections, struct error *error)
{
	const struct frame frame = { .vm = vm, .interrupts = interrupts };
	const struct section *section = sections_need(sections, "gic/distributor", 1, error);
	struct field routes;

	if (!section ||
	    need_words(&section->fields, "IROUTER", interrupts - PRIVATE_INTERRUPTS, &routes, error) < 0)
		return -1;
	for (uint32_t interrupt = PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (write_word(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt,
			       (uint32_t)field_element(&routes, interrupt - PRIVATE_INTERRUPTS), error) < 0)
			return -1;
	return restore_interrupts(&frame, &section->fields, error);
}
