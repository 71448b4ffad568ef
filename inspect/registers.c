/* SPDX-License-Identifier: MIT */
/* Names registers, and reports their values and fields. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/register_fields.h"
#include "arm/register_names.h"
#include "inspect/inspect.h"
#include "state/names.h"
#include "util/bits.h"

/* A register's name is `before`, the name of the field, `behind`. A number may follow the section's name. */
static const struct {
	const char *section, *before, *behind;
} prefixes[] = {
	{ SECTION_GIC_DISTRIBUTOR, "GICD_", "" },
	{ SECTION_GIC_REDISTRIBUTOR, "GICR_", "" },
	{ SECTION_GIC_CPU_INTERFACE, "ICC_", "_EL1" },
	{ SECTION_ITS, "GITS_", "" },
};

static bool is_section(const char *section, const char *kind)
{
	size_t length = strlen(kind);

	return !strncmp(section, kind, length) && strspn(section + length, "0123456789") == strlen(section + length);
}

/* A field of a vCPU named "0x" and 16 digits is a register with that KVM id. */
static bool name_by_id(const char *field, char name[REGISTER_NAME_LENGTH])
{
	if (strlen(field) != 18 || strncmp(field, "0x", 2) != 0 || strspn(field + 2, "0123456789abcdef") != 16)
		return false;
	register_name(strtoull(field, NULL, 16), name);
	return true;
}

bool inspect_register_name(const char *section, const char *field, char name[REGISTER_NAME_LENGTH])
{
	if (is_section(section, SECTION_VCPU))
		return name_by_id(field, name);
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		if (!is_section(section, prefixes[i].section))
			continue;
		snprintf(name, REGISTER_NAME_LENGTH, "%s%s%s", prefixes[i].before, field, prefixes[i].behind);
		return true;
	}
	return false;
}

/* Text has the fields in one string. JSON has a member for each field, also for zero ones; addresses are hexadecimal. */
void inspect_register_fields(struct report *report, const char *name, uint64_t value)
{
	const struct register_field *field = register_fields(name);
	char text[REGISTER_FIELDS_LENGTH];

	if (!report->json) {
		register_fields_text(name, value, text);
		report_string(report, "fields", field ? text : NULL);
		return;
	}
	report_begin(report, "fields");
	for (; field && field->name; field++) {
		uint64_t number = register_field_value(field, value);

		if (field->in_place)
			report_hex(report, field->name, number);
		else
			report_number(report, field->name, number);
	}
	report_end(report);
}

void inspect_register(struct report *report, const char *name, uint64_t value)
{
	report_begin(report, NULL);
	report_string(report, "register", name);
	report_hex(report, "value", value);
	inspect_register_fields(report, name, value);
	report_end(report);
}
