/* SPDX-License-Identifier: MIT */
/* What changed between two snapshots: which part compares what, in the order of the report. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/register_names.h"
#include "diff.h"
#include "snapshot/working_set.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TIMER_ISTATUS 4u /* of CNTV_CTL_EL0 and CNTP_CTL_EL0 */

bool diff_is_numbered(const char *name, const char *stem, unsigned *number)
{
	size_t length = strlen(stem), digits = strspn(name + strnlen(name, length), "0123456789");

	if (strncmp(name, stem, length) != 0 || !digits || name[length + digits] || digits > 6)
		return false;
	if (number)
		*number = (unsigned)strtoul(name + length, NULL, 10);
	return true;
}

/* The sections of each list. RAM is compared by what is in it. */

static bool is_machine(const char *name)
{
	return !strcmp(name, "machine") || diff_is_numbered(name, "disk", NULL) || diff_is_numbered(name, "network", NULL) ||
	       diff_is_numbered(name, "vfio", NULL);
}

static bool is_vcpu(const char *name)
{
	return diff_is_numbered(name, "vcpu", NULL);
}

static bool is_interrupt_controller(const char *name)
{
	return !strncmp(name, "gic/", 4) || !strcmp(name, "its");
}

static bool is_ram(const char *name)
{
	return format_is_about_place(name) || !strcmp(name, "ram-checksums") || !strcmp(name, WORKING_SET_SECTION);
}

static bool is_device(const char *name)
{
	return !is_machine(name) && !is_vcpu(name) && !is_interrupt_controller(name) && !is_ram(name);
}


static int pair_sections(struct diff_pairs *pairs, const struct sections *before, const struct sections *after,
			 struct error *error)
{
	const char **left = calloc(before->count + 1, sizeof(*left)), **right = calloc(after->count + 1, sizeof(*right));
	int result = -1;

	for (size_t i = 0; left && i < before->count; i++)
		left[i] = before->items[i].name;
	for (size_t i = 0; right && i < after->count; i++)
		right[i] = after->items[i].name;
	if (left && right)
		result = diff_pair(pairs, left, (uint32_t)before->count, right, (uint32_t)after->count, error);
	else
		error_system(error, ENOMEM, "sections");
	free(left);
	free(right);
	return result;
}

static bool is_same(const struct section *before, const struct section *after)
{
	return before->fields.size == after->fields.size &&
	       !memcmp(before->fields.bytes, after->fields.bytes, before->fields.size);
}

int diff_each_section(struct diff *diff, bool (*wanted)(const char *name), diff_compare compare, struct error *error)
{
	const struct sections *before = &diff->before->snapshot->sections, *after = &diff->after->snapshot->sections;
	struct diff_pairs pairs;
	int result = 0;

	if (pair_sections(&pairs, before, after, error) < 0)
		return -1;
	for (size_t i = 0; result == 0 && i < before->count; i++)
		if (wanted(before->items[i].name) && pairs.before[i] != DIFF_NOTHING &&
		    !is_same(&before->items[i], &after->items[pairs.before[i]]))
			result = compare(diff, &before->items[i], &after->items[pairs.before[i]], error);
	diff_pairs_free(&pairs);
	return result;
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

/* A KVM register's field has its id as its name; parts of vectors have an index behind it. */
static void name_register(struct report *report, const struct section *section, const char *field)
{
	char name[REGISTER_NAME_LENGTH + FIELD_NAME_LENGTH + 32];
	unsigned vcpu = 0;
	char *end;

	diff_is_numbered(section->name, "vcpu", &vcpu);
	report_number(report, "vcpu", vcpu);
	if (!strncmp(field, "0x", 2)) {
		uint64_t id = strtoull(field, &end, 16);

		register_name(id, name);
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s", end);
		field = name;
	}
	report_string(report, "register", field);
}

/* ISTATUS of a timer: KVM makes it of the host's time when it is read, the machine's being compare value and counter. */
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

/* Sections themselves. */

static void add_section(struct diff *diff, const char *name, const char *what, const char *before, const char *after)
{
	if (!diff_row(diff))
		return;
	report_string(diff->report, "section", name);
	report_string(diff->report, "what", what);
	diff_end_row(diff, before, after);
}

static void compare_number(struct diff *diff, const char *section, const char *what, uint32_t before, uint32_t after)
{
	char was[16], is[16];

	if (before == after)
		return;
	snprintf(was, sizeof(was), "%u", before);
	snprintf(is, sizeof(is), "%u", after);
	add_section(diff, section, what, was, is);
}

static int diff_sections(struct diff *diff, struct error *error)
{
	const struct sections *before = &diff->before->snapshot->sections, *after = &diff->after->snapshot->sections;
	struct diff_pairs pairs;

	if (pair_sections(&pairs, before, after, error) < 0)
		return -1;
	diff_list_begin(diff, "sections", DIFF_TEXT_ROWS);
	for (size_t i = 0; i < before->count; i++) {
		const struct section *section = &before->items[i], *other;

		if (format_is_about_place(section->name))
			continue;
		if (pairs.before[i] == DIFF_NOTHING) {
			add_section(diff, section->name, "presence", "there", NULL);
			continue;
		}
		other = &after->items[pairs.before[i]];
		compare_number(diff, section->name, "version", section->version, other->version);
		compare_number(diff, section->name, "flags", section->flags, other->flags);
	}
	for (size_t i = 0; i < after->count; i++)
		if (pairs.after[i] == DIFF_NOTHING && !format_is_about_place(after->items[i].name))
			add_section(diff, after->items[i].name, "presence", NULL, "there");
	diff_list_end(diff);
	diff_pairs_free(&pairs);
	return 0;
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
