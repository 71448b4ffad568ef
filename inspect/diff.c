/* SPDX-License-Identifier: MIT */
/* Compares two snapshots: the parts in the order of the report, and the sections of each list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/register_names.h"
#include "diff.h"
#include "snapshot/working_set.h"
#include "state/names.h"
#include "util/bits.h"

#define TIMER_ISTATUS 4u /* of CNTV_CTL_EL0 and CNTP_CTL_EL0 */

/* The sections of each list. diff_ram() compares the contents of RAM, so its sections are in no list. */

static bool is_machine(const char *name)
{
	return !strcmp(name, SECTION_MACHINE) || diff_is_numbered(name, SECTION_DISK, NULL) || diff_is_numbered(name, SECTION_NETWORK, NULL) ||
	       diff_is_numbered(name, SECTION_VFIO, NULL);
}

static bool is_vcpu(const char *name)
{
	return diff_is_numbered(name, SECTION_VCPU, NULL);
}

static bool is_interrupt_controller(const char *name)
{
	return !strncmp(name, SECTION_GIC, strlen(SECTION_GIC)) || !strcmp(name, SECTION_ITS);
}

static bool is_ram(const char *name)
{
	return format_is_about_place(name) || !strcmp(name, SECTION_RAM_CHECKSUMS) || !strcmp(name, SECTION_WORKING_SET);
}

static bool is_device(const char *name)
{
	return !is_machine(name) && !is_vcpu(name) && !is_interrupt_controller(name) && !is_ram(name);
}

/* Lists of fields. */

static void name_field(struct report *report, const struct section *section, const char *field)
{
	report_string(report, "section", section->name);
	report_string(report, "field", field);
}

static int compare_configuration(struct diff *diff, const struct section *before, const struct section *after,
				 struct error *error)
{
	static const struct diff_style style = { .is_configuration = true, .name = name_field };

	return diff_fields(diff, &style, before, after, error);
}

static int compare_device(struct diff *diff, const struct section *before, const struct section *after, struct error *error)
{
	static const struct diff_style style = { .name = name_field };

	return diff_fields(diff, &style, before, after, error);
}

/* The field's name is KVM's id of the register. The name of a part of a vector register has an index after the id. */
static void name_register(struct report *report, const struct section *section, const char *field)
{
	char name[REGISTER_NAME_LENGTH + FIELD_NAME_LENGTH + 32];
	unsigned vcpu = 0;
	char *end;

	diff_is_numbered(section->name, SECTION_VCPU, &vcpu);
	report_number(report, "vcpu", vcpu);
	if (!strncmp(field, "0x", 2)) {
		uint64_t id = strtoull(field, &end, 16);

		register_name(id, name);
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s", end);
		field = name;
	}
	report_string(report, "register", field);
}

/*
 * Leaves out ISTATUS of the timers. KVM computes it from the host's time when the register is read. The compare value and
 * the counter are the machine's state.
 */
static uint64_t meaning_of_register(const char *field)
{
	char name[REGISTER_NAME_LENGTH];

	register_name(strtoull(field, NULL, 16), name);
	return !strcmp(name, "CNTV_CTL_EL0") || !strcmp(name, "CNTP_CTL_EL0") ? ~(uint64_t)TIMER_ISTATUS : UINT64_MAX;
}

static int compare_vcpu(struct diff *diff, const struct section *before, const struct section *after, struct error *error)
{
	static const struct diff_style style = {
		.has_vectors = true, .has_registers = true, .name = name_register, .meaning = meaning_of_register,
	};

	return diff_fields(diff, &style, before, after, error);
}

static void name_controller_register(struct report *report, const struct section *section, const char *field)
{
	report_string(report, "section", section->name);
	report_string(report, "register", field);
}

static int compare_interrupt_controller(struct diff *diff, const struct section *before, const struct section *after,
					struct error *error)
{
	static const struct diff_style style = {
		.has_registers = true, .name = name_controller_register, .elsewhere = diff_is_by_interrupt,
	};

	return diff_fields(diff, &style, before, after, error);
}

static int compare_list(struct diff *diff, const char *name, bool (*wanted)(const char *name), diff_compare compare,
			struct error *error)
{
	int result;

	diff_list_begin(diff, name, DIFF_TEXT_ROWS);
	result = diff_each_section(diff, wanted, compare, error);
	diff_list_end(diff);
	return result;
}

/* The parts that are lists of fields. */

static int diff_machine(struct diff *diff, struct error *error)
{
	return compare_list(diff, "machine", is_machine, compare_configuration, error);
}

static int diff_vcpus(struct diff *diff, struct error *error)
{
	return compare_list(diff, "vcpus", is_vcpu, compare_vcpu, error);
}

static int diff_interrupt_controller(struct diff *diff, struct error *error)
{
	return compare_list(diff, "interrupt_controller", is_interrupt_controller, compare_interrupt_controller, error);
}

static int diff_devices(struct diff *diff, struct error *error)
{
	return compare_list(diff, "devices", is_device, compare_device, error);
}

static int (*const parts[])(struct diff *diff, struct error *error) = {
	diff_machine, diff_vcpus, diff_interrupts, diff_interrupt_controller, diff_its, diff_devices, diff_sections, diff_ram,
};

int diff_snapshots(const struct inspection *before, const struct inspection *after, bool all, struct report *report,
		   uint64_t *changes, struct error *error)
{
	struct diff diff = { .before = before, .after = after, .report = report, .all = all };

	for (size_t i = 0; i < COUNT(parts); i++)
		if (parts[i](&diff, error) < 0)
			return -1;
	*changes = diff.changes;
	return 0;
}
