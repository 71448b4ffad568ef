/* SPDX-License-Identifier: MIT */
/*
 * The vGICv3's distributor and redistributors: reset, saved and restored. Their state by interrupt is gic_frame.c's; here
 * is what has a rule of its own, in the order that KVM wants.
 */
#include <errno.h>
#include <stdio.h>

#include "gic_frame.h"
#include "state/names.h"

/* Offsets that have a rule of their own. */
#define GICD_CTLR 0x0000
#define GICD_TYPER 0x0004
#define GICD_IIDR 0x0008
#define GICD_ISENABLER 0x0100
#define GICD_IROUTER 0x6000
#define GICR_CTLR 0x0000
#define GICR_TYPER 0x0008
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

/* PROPBASER and PENDBASER at power-on: no address, inner shareable, write-back. */
#define LPI_TABLE_POWER_ON 0x580ull

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
	const struct gic_frame distributor = { .vm = vm };

	/* LPIs off first: writes to PROPBASER and PENDBASER are dropped while they are on. */
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (gic_write(&frame, "CTLR", GICR_CTLR, 0, error) < 0)
			return -1;
	}
	/* Without an ITS there are no LPIs; and the zero that KVM starts with there cannot be written. */
	for (unsigned i = 0; vm->its_fd >= 0 && i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (gic_write_long(&frame, "PROPBASER", GICR_PROPBASER, LPI_TABLE_POWER_ON, error) < 0 ||
		    gic_write_long(&frame, "PENDBASER", GICR_PENDBASER, LPI_TABLE_POWER_ON, error) < 0)
			return -1;
	}
	return gic_write(&distributor, "CTLR", GICD_CTLR, 0, error);
}

int gic_restore_control(struct vm *vm, struct sections *sections, struct error *error)
{
	const struct gic_frame distributor = { .vm = vm };
	const struct section *section = sections_need(sections, SECTION_GIC_DISTRIBUTOR, 1, error);
	uint64_t identity, control;
	uint32_t typer;

	if (!section)
		return -1;
	if (gic_read(&distributor, "TYPER", GICD_TYPER, &typer, error) < 0 ||
	    compare("TYPER", typer, &section->fields, error) < 0 ||
	    field_get_number(&section->fields, "IIDR", &identity, error) < 0 ||
	    field_get_number(&section->fields, "CTLR", &control, error) < 0 ||
	    gic_write(&distributor, "IIDR", GICD_IIDR, (uint32_t)identity, error) < 0)
		return -1;
	return gic_write(&distributor, "CTLR", GICD_CTLR, (uint32_t)control, error);
}

static const struct section *redistributor_section(const struct vcpu *vcpu, struct sections *sections, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];

	snprintf(name, sizeof(name), SECTION_GIC_REDISTRIBUTOR "%u", vcpu->index);
	return sections_need(sections, name, 1, error);
}

int gic_restore_lpi_tables(struct vm *vm, struct sections *sections, struct error *error)
{
	for (unsigned i = 0; vm->its_fd >= 0 && i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };
		const struct section *section = redistributor_section(frame.vcpu, sections, error);
		uint64_t properties, pending;

		if (!section || field_get_number(&section->fields, "PROPBASER", &properties, error) < 0 ||
		    field_get_number(&section->fields, "PENDBASER", &pending, error) < 0 ||
		    gic_write_long(&frame, "PROPBASER", GICR_PROPBASER, properties, error) < 0 ||
		    gic_write_long(&frame, "PENDBASER", GICR_PENDBASER, pending, error) < 0)
			return -1;
	}
	return 0;
}

/* Redistributors. */

int gic_reset_redistributors(struct vm *vm, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (gic_frame_reset(&frame, error) < 0)
			return -1;
	}
	return 0;
}

static int save_redistributor(const struct gic_frame *frame, struct section_writer *writer, struct error *error)
{
	uint64_t typer, properties, pending;
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t control;

	if (gic_read_long(frame, "TYPER", GICR_TYPER, &typer, error) < 0 ||
	    gic_read(frame, "CTLR", GICR_CTLR, &control, error) < 0 ||
	    gic_read_long(frame, "PROPBASER", GICR_PROPBASER, &properties, error) < 0 ||
	    gic_read_long(frame, "PENDBASER", GICR_PENDBASER, &pending, error) < 0)
		return -1;
	snprintf(name, sizeof(name), SECTION_GIC_REDISTRIBUTOR "%u", frame->vcpu->index);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "TYPER", typer);
	field_add_number(&writer->buffer, "CTLR", control);
	field_add_number(&writer->buffer, "PROPBASER", properties);
	field_add_number(&writer->buffer, "PENDBASER", pending);
	if (gic_frame_save(frame, &writer->buffer, error) < 0)
		return -1;
	section_end(writer);
	return 0;
}

int gic_save_redistributors(struct vm *vm, struct section_writer *writer, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if (save_redistributor(&frame, writer, error) < 0)
			return -1;
	}
	return 0;
}

int gic_restore_redistributors(struct vm *vm, struct sections *sections, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };
		const struct section *section = redistributor_section(frame.vcpu, sections, error);
		uint64_t typer, control;

		if (!section)
			return -1;
		if (gic_read_long(&frame, "TYPER", GICR_TYPER, &typer, error) < 0 ||
		    compare("TYPER", typer, &section->fields, error) < 0 ||
		    field_get_number(&section->fields, "CTLR", &control, error) < 0 ||
		    gic_write(&frame, "CTLR", GICR_CTLR, (uint32_t)control, error) < 0 ||
		    gic_frame_restore(&frame, &section->fields, error) < 0)
			return error_context(error, "%s", section->name);
	}
	return 0;
}

/* The distributor. */

int gic_reset_distributor(struct vm *vm, unsigned interrupts, struct error *error)
{
	const struct gic_frame frame = { .vm = vm, .interrupts = interrupts };

	if (gic_frame_reset(&frame, error) < 0)
		return -1;
	/* The upper halves of IROUTER are read-as-zero, write-ignored in KVM. */
	for (uint32_t interrupt = GIC_PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (gic_write(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt, 0, error) < 0)
			return -1;
	return 0;
}

int gic_save_distributor(struct vm *vm, unsigned interrupts, struct section_writer *writer, struct error *error)
{
	const struct gic_frame frame = { .vm = vm, .interrupts = interrupts };
	uint32_t routes[GIC_MAX_INTERRUPTS], typer, identity, control;

	if (gic_read(&frame, "TYPER", GICD_TYPER, &typer, error) < 0 ||
	    gic_read(&frame, "IIDR", GICD_IIDR, &identity, error) < 0 ||
	    gic_read(&frame, "CTLR", GICD_CTLR, &control, error) < 0)
		return -1;
	for (uint32_t interrupt = GIC_PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (gic_read(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt, &routes[interrupt], error) < 0)
			return -1;
	section_begin(writer, SECTION_GIC_DISTRIBUTOR, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "TYPER", typer);
	field_add_number(&writer->buffer, "IIDR", identity);
	field_add_number(&writer->buffer, "CTLR", control);
	field_add(&writer->buffer, "IROUTER", sizeof(routes[0]), interrupts - GIC_PRIVATE_INTERRUPTS,
		  routes + GIC_PRIVATE_INTERRUPTS);
	if (gic_frame_save(&frame, &writer->buffer, error) < 0)
		return -1;
	section_end(writer);
	return 0;
}

int gic_restore_distributor(struct vm *vm, unsigned interrupts, struct sections *sections, struct error *error)
{
	const struct gic_frame frame = { .vm = vm, .interrupts = interrupts };
	const struct section *section = sections_need(sections, SECTION_GIC_DISTRIBUTOR, 1, error);
	struct field routes;

	if (!section ||
	    gic_need_words(&section->fields, "IROUTER", interrupts - GIC_PRIVATE_INTERRUPTS, &routes, error) < 0)
		return -1;
	for (uint32_t interrupt = GIC_PRIVATE_INTERRUPTS; interrupt < interrupts; interrupt++)
		if (gic_write(&frame, "IROUTER", GICD_IROUTER + 8 * interrupt,
			       (uint32_t)field_element(&routes, interrupt - GIC_PRIVATE_INTERRUPTS), error) < 0)
			return -1;
	return gic_frame_restore(&frame, &section->fields, error);
}

int gic_spi_enabled(struct vm *vm, unsigned spi, bool *enabled, struct error *error)
{
	const struct gic_frame distributor = { .vm = vm };
	unsigned intid = GIC_PRIVATE_INTERRUPTS + spi;
	uint32_t word;

	if (gic_read(&distributor, "ISENABLER", GICD_ISENABLER + intid / 32 * 4, &word, error) < 0)
		return -1;
	*enabled = word >> intid % 32 & 1;
	return 0;
}

int gic_read_lpi_tables(struct vm *vm, uint64_t *propbaser, uint64_t *pendbasers, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		const struct gic_frame frame = { .vm = vm, .vcpu = &vm->vcpus[i] };

		if ((i == 0 && gic_read_long(&frame, "PROPBASER", GICR_PROPBASER, propbaser, error) < 0) ||
		    gic_read_long(&frame, "PENDBASER", GICR_PENDBASER, &pendbasers[i], error) < 0)
			return -1;
	}
	return 0;
}
