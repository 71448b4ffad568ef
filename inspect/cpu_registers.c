/* SPDX-License-Identifier: MIT */
/* All registers of a vCPU, in groups. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/inspect.h"
#include "util/bits.h"

#define MAX_REGISTERS 1024u /* of one vCPU; KVM has a third of that */
#define MAX_SIZE 256u       /* bytes of a register: SVE has the largest */

enum group { GENERAL, SYSTEM, VECTOR, OTHER };

static enum group group_of(uint64_t id)
{
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return (id & 0xffff) < KVM_REG_ARM_CORE_REG(fp_regs) ? GENERAL : VECTOR;
	case KVM_REG_ARM64_SVE:
		return VECTOR;
	case KVM_REG_ARM64_SYSREG:
		return SYSTEM;
	default:
		return OTHER;
	}
}

/* Writes little-endian words of any size as one number. */
static void write_wide(const struct field *field, char text[2 * MAX_SIZE + 3])
{
	size_t size = (size_t)field->size * field->count;
	char *at = text + sprintf(text, "0x");

	while (size > 0)
		at += sprintf(at, "%02x", field->values[--size]);
}

static void add_register(const struct inspection *inspection, struct report *report, const char *name,
			 const struct field *field)
{
	char wide[2 * MAX_SIZE + 3], symbol[SYMBOL_TEXT_LENGTH];
	bool is_word = field->count == 1;
	uint64_t value = is_word ? field_element(field, 0) : 0;

	report_begin(report, NULL);
	report_string(report, "register", name);
	if (is_word) {
		report_hex(report, "value", value);
	} else {
		write_wide(field, wide);
		report_string(report, "value", wide);
	}
	if (inspection->symbols)
		report_string(report, "symbol", is_word ? inspect_symbol(inspection, value, symbol) : NULL);
	inspect_register_fields(report, name, value);
	report_end(report);
}

static int add_group(const struct inspection *inspection, struct report *report, const struct section *section,
		     enum group group, struct error *error)
{
	char name[REGISTER_NAME_LENGTH];
	unsigned count = 0;
	struct field field;
	size_t offset = 0;

	while (field_next(&section->fields, &offset, &field, error) > 0) {
		if (!inspect_register_name(section->name, field.name, name))
			continue;
		if (++count > MAX_REGISTERS)
			return error_set(error, EBADMSG, "section %s: there are more than %u registers", section->name,
					 MAX_REGISTERS);
		if (!field.count || field.count > MAX_SIZE / field.size)
			return error_set(error, EBADMSG, "section %s: %s has %u values of %u bytes", section->name, name,
					 field.count, field.size);
		if (group_of(strtoull(field.name, NULL, 16)) == group)
			add_register(inspection, report, name, &field);
	}
	return 0;
}

int inspect_vcpu_registers(const struct inspection *inspection, struct report *report, const char *name,
			   struct error *error)
{
	static const char *const groups[] = {
		[GENERAL] = "general_registers", [SYSTEM] = "system_registers", [VECTOR] = "vector_registers",
		[OTHER] = "other_registers",
	};
	const struct section *section = sections_need(&inspection->snapshot->sections, name, UINT32_MAX, error);

	if (!section)
		return -1;
	for (unsigned i = 0; i < COUNT(groups); i++) {
		report_begin_list(report, groups[i]);
		if (add_group(inspection, report, section, (enum group)i, error) < 0)
			return -1;
		report_end_list(report);
	}
	return 0;
}
