/* SPDX-License-Identifier: MIT */
/* Compares the arrays of distributor and redistributors, interrupt by interrupt (ARM IHI 0069, 12.9 and 12.11). */
#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "state/names.h"
#include "util/bits.h"

#define FIRST_SPI 32u
#define FIRST_PPI 16u
#define INTID_LIMIT 1024u /* of the distributor's arrays */

#define WORDS 4u

static const char *const no_yes[WORDS] = { "no", "yes" };
static const char *const low_high[WORDS] = { "low", "high" };
static const char *const triggers[WORDS] = { [0] = "level", [2] = "edge" };
static const char *const numbers[WORDS] = { "0", "1" };

static const struct property {
	const char *field, *name;
	unsigned bits; /* for each interrupt */
	const char *const *words; /* texts of small values; NULL: hexadecimal */
} properties[] = {
	{ "IGROUPR", "group", 1, numbers },
	{ "ISENABLER", "enabled", 1, no_yes },
	{ "ISPENDR", "pending", 1, no_yes },
	{ "ISACTIVER", "active", 1, no_yes },
	{ "LEVEL_INFO", "line", 1, low_high },
	{ "ICFGR", "trigger", 2, triggers },
	{ "IPRIORITYR", "priority", 8, NULL },
	{ "IROUTER", "route", 32, NULL },
};

/* The interrupts that a section has. */
struct origin {
	uint32_t first;
	bool has_vcpu;
	unsigned vcpu;
};

static bool find_origin(const char *section, struct origin *origin)
{
	*origin = (struct origin){ .first = 0 };
	origin->has_vcpu = diff_is_numbered(section, SECTION_GIC_REDISTRIBUTOR, &origin->vcpu);
	if (!strcmp(section, SECTION_GIC_DISTRIBUTOR))
		origin->first = FIRST_SPI;
	return origin->has_vcpu || origin->first;
}

static uint32_t interrupts_in(const struct property *property, const struct field *field)
{
	return field->count < INTID_LIMIT ? field->count * (32 / property->bits) : UINT32_MAX;
}

static bool fits(const struct property *property, const struct origin *origin, const struct field *before,
		 const struct field *after)
{
	uint32_t limit = origin->has_vcpu ? FIRST_SPI : INTID_LIMIT - FIRST_SPI;

	return before->size == 4 && after->size == 4 && before->count == after->count &&
	       interrupts_in(property, before) <= limit;
}

bool diff_is_by_interrupt(const struct section *section, const struct field *before, const struct field *after)
{
	struct origin origin;
	struct field first;

	if (!find_origin(section->name, &origin))
		return false;
	/* Only the first of two fields with one name is compared by interrupt. */
	for (size_t i = 0; i < COUNT(properties); i++)
		if (!strcmp(properties[i].field, before->name))
			return field_find(&section->fields, before->name, &first) && first.values == before->values &&
			       fits(&properties[i], &origin, before, after);
	return false;
}

static uint32_t value_of(const struct property *property, const struct field *field, uint32_t interrupt)
{
	unsigned each = 32 / property->bits;
	uint64_t word = field_element(field, interrupt / each);

	return (uint32_t)(word >> interrupt % each * property->bits & ((1ull << property->bits) - 1));
}

static void format_value(const struct property *property, uint32_t value, char text[16])
{
	const char *word = property->words && value < WORDS ? property->words[value] : NULL;

	if (word)
		snprintf(text, 16, "%s", word);
	else
		snprintf(text, 16, "0x%x", value);
}

static void add_row(struct diff *diff, const struct origin *origin, const struct property *property, uint32_t intid,
		    uint32_t before, uint32_t after)
{
	char name[16], was[16], is[16];

	if (!diff_row(diff))
		return;
	snprintf(name, sizeof(name), "%s %u", intid < FIRST_PPI ? "SGI" : intid < FIRST_SPI ? "PPI" : "SPI",
		 intid < FIRST_PPI ? intid : intid < FIRST_SPI ? intid - FIRST_PPI : intid - FIRST_SPI);
	report_string(diff->report, "interrupt", name);
	report_number(diff->report, "intid", intid);
	if (origin->has_vcpu)
		report_number(diff->report, "vcpu", origin->vcpu);
	else
		report_string(diff->report, "vcpu", NULL);
	report_string(diff->report, "property", property->name);
	format_value(property, before, was);
	format_value(property, after, is);
	diff_end_row(diff, was, is);
}

/* A property's arrays. `there`: both snapshots have it, with the same size. */
struct arrays {
	bool there;
	struct field before, after;
};

static int compare_messages(struct diff *diff, const struct section *before, const struct section *after, struct error *error)
{
	struct arrays arrays[COUNT(properties)];
	struct origin origin;

	(void)error;
	find_origin(before->name, &origin);
	for (size_t i = 0; i < COUNT(properties); i++)
		arrays[i].there = field_find(&before->fields, properties[i].field, &arrays[i].before) &&
				  field_find(&after->fields, properties[i].field, &arrays[i].after) &&
				  fits(&properties[i], &origin, &arrays[i].before, &arrays[i].after);
	for (uint32_t interrupt = 0; interrupt < INTID_LIMIT; interrupt++)
		for (size_t i = 0; i < COUNT(properties); i++) {
			const struct property *property = &properties[i];
			uint32_t was, is;

			if (!arrays[i].there || interrupt >= interrupts_in(property, &arrays[i].before))
				continue;
			was = value_of(property, &arrays[i].before, interrupt);
			is = value_of(property, &arrays[i].after, interrupt);
			if (was != is)
				add_row(diff, &origin, property, origin.first + interrupt, was, is);
		}
	return 0;
}

static bool diff_interrupts_is_wanted(const char *section)
{
	struct origin origin;

	return find_origin(section, &origin);
}

int diff_interrupts(struct diff *diff, struct error *error)
{
	int result;

	diff_list_begin(diff, "interrupts", DIFF_TEXT_ROWS);
	result = diff_each_section(diff, diff_interrupts_is_wanted, compare_messages, error);
	diff_list_end(diff);
	return result;
}
