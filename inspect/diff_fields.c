/* SPDX-License-Identifier: MIT */
/* Compares two sections, field by field. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/register_fields.h"
#include "diff.h"
#include "util/bits.h"
#include "util/checksum.h"
#include "util/text.h"

#define SHOWN_ELEMENTS 4u
#define SHOWN_BYTES 8u

struct field_list {
	struct field *items;
	const char **names;
	uint32_t count;
	bool over; /* there are more than DIFF_MAX_FIELDS */
};

static void free_list(struct field_list *list)
{
	free(list->items);
	free(list->names);
}

static int read_list(struct field_list *list, const struct section *section, struct error *error)
{
	struct field field;
	size_t offset = 0;

	*list = (struct field_list){ 0 };
	while (field_next(&section->fields, &offset, &field, error) > 0 && list->count <= DIFF_MAX_FIELDS)
		list->count++;
	list->over = list->count > DIFF_MAX_FIELDS;
	list->items = calloc(list->count + 1, sizeof(*list->items));
	list->names = calloc(list->count + 1, sizeof(*list->names));
	if (!list->items || !list->names) {
		error_system(error, ENOMEM, "the fields of %s", section->name);
		return -1;
	}
	offset = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		field_next(&section->fields, &offset, &list->items[i], error);
		list->names[i] = list->items[i].name;
	}
	return 0;
}

/* Values as text. */

/* Returns whether a field begins with printable UTF-8; DIFF_VALUE_LENGTH bytes are checked. An empty field may be a text. */
static bool is_text(const struct field *field, const struct diff_style *style)
{
	char copy[DIFF_VALUE_LENGTH];
	bool whole = field->count < sizeof(copy);
	size_t length = whole ? field->count : sizeof(copy) - 1;
	uint32_t code;

	if (field->size != 1 || (field->count == 1 && !style->is_configuration))
		return false;
	memcpy(copy, field->values, length);
	copy[length] = '\0';
	for (size_t i = 0; i < length;) {
		if ((unsigned char)copy[i] < ' ' || copy[i] == 0x7f)
			return false;
		i += text_character(copy + i, &code);
		if (code == TEXT_INVALID && (whole || i + 4 < length))
			return false;
	}
	return true;
}

/* Writes a text, and cuts it if it is too long. */
static void format_text(const struct field *field, char text[DIFF_VALUE_LENGTH])
{
	bool whole = field->count < DIFF_VALUE_LENGTH;
	size_t length = whole ? field->count : DIFF_VALUE_LENGTH - 4;

	memcpy(text, field->values, length);
	snprintf(text + length, DIFF_VALUE_LENGTH - length, "%s", whole ? "" : "...");
}

static size_t format_element(char *text, size_t room, const struct field *field, uint32_t index, bool decimal)
{
	unsigned long long value = field_element(field, index);

	if (field->size == 1 && field->count > 1)
		return (size_t)snprintf(text, room, "%02llx ", value);
	if (decimal)
		return (size_t)snprintf(text, room, "%llu ", value);
	return (size_t)snprintf(text, room, "0x%llx ", value);
}

void diff_format(const struct field *field, uint32_t from, uint32_t to, bool decimal, char text[DIFF_VALUE_LENGTH])
{
	uint32_t most = field->size == 1 ? SHOWN_BYTES : SHOWN_ELEMENTS;
	size_t length = 0;

	for (uint32_t i = from; i < to && i - from < most; i++)
		length += format_element(text + length, DIFF_VALUE_LENGTH - length, field, i, decimal);
	if (to - from > most)
		snprintf(text + length, DIFF_VALUE_LENGTH - length, "...");
	else
		text[length ? length - 1 : 0] = '\0';
}

static bool is_vector(const struct field *field)
{
	return field->size == 8 && field->count == 2;
}

/* Writes a register of 128 bits as one number. */
static void format_vector(const struct field *field, char text[DIFF_VALUE_LENGTH])
{
	snprintf(text, DIFF_VALUE_LENGTH, "0x%016llx%016llx", (unsigned long long)field_element(field, 1),
		 (unsigned long long)field_element(field, 0));
}

/* The data of a passed-through device, which only its host driver can interpret. */
static bool is_bulk(const struct field *field)
{
	return field->count > INSPECT_MOST_VALUES;
}

static void format_bulk(const struct field *field, char text[DIFF_VALUE_LENGTH])
{
	size_t size = (size_t)field->size * field->count;

	snprintf(text, DIFF_VALUE_LENGTH, "%zu bytes, CRC-32 0x%08x", size, checksum(0, field->values, size));
}

/* Rows. */

struct comparison {
	struct diff *diff;
	const struct diff_style *style;
	const struct section *section;
};

/* `bits`: the fields of a register that changed, or NULL. */
static void add_row_with(const struct comparison *comparison, const char *name, const char *before, const char *after,
			 const char *bits)
{
	struct report *report = comparison->diff->report;

	if (!diff_row(comparison->diff))
		return;
	comparison->style->name(report, comparison->section, name);
	report_string(report, "before", before);
	report_string(report, "after", after);
	if (comparison->style->has_registers)
		report_string(report, "fields", bits);
	report_end(report);
}

static void add_row(const struct comparison *comparison, const char *name, const char *before, const char *after)
{
	add_row_with(comparison, name, before, after, NULL);
}

/* Both values are one number. The row shows the changed fields if the register is known. */
static void add_number(const struct comparison *comparison, const struct field *before, const struct field *after)
{
	char name[REGISTER_NAME_LENGTH], bits[REGISTER_FIELDS_LENGTH], was[DIFF_VALUE_LENGTH], is[DIFF_VALUE_LENGTH];
	bool known = comparison->style->has_registers && inspect_register_name(comparison->section->name, before->name, name) &&
		     register_fields(name);

	if (known)
		register_fields_difference(name, field_element(before, 0), field_element(after, 0), bits);
	diff_format(before, 0, 1, comparison->style->is_configuration, was);
	diff_format(after, 0, 1, comparison->style->is_configuration, is);
	add_row_with(comparison, before->name, was, is, known ? bits : NULL);
}

/* Adds a field that only one of the snapshots has. */
static void add_single(const struct comparison *comparison, const struct field *field, bool is_before)
{
	char text[DIFF_VALUE_LENGTH];

	if (is_bulk(field))
		format_bulk(field, text);
	else if (is_text(field, comparison->style))
		format_text(field, text);
	else if (comparison->style->has_vectors && is_vector(field))
		format_vector(field, text);
	else
		diff_format(field, 0, field->count, comparison->style->is_configuration, text);
	add_row(comparison, field->name, is_before ? text : NULL, is_before ? NULL : text);
}

/* Adds a row for elements [from, to), which all differ. */
static void add_range(const struct comparison *comparison, const struct field *before, const struct field *after,
		      uint32_t from, uint32_t to)
{
	char name[FIELD_NAME_LENGTH + 32], was[DIFF_VALUE_LENGTH], is[DIFF_VALUE_LENGTH];
	bool bytes = before->size == 1 && before->count > 1;

	snprintf(name, sizeof(name), bytes ? "%s[0x%x]" : "%s[%u]", before->name, from);
	if (to - from > 1)
		snprintf(name, sizeof(name), bytes ? "%s[0x%x-0x%x]" : "%s[%u-%u]", before->name, from, to - 1);
	diff_format(before, from, to, comparison->style->is_configuration, was);
	diff_format(after, from, to, comparison->style->is_configuration, is);
	add_row(comparison, before->count > 1 || after->count > 1 ? name : before->name, was, is);
}

static void compare_elements(const struct comparison *comparison, const struct field *before, const struct field *after)
{
	uint32_t count = MIN(before->count, after->count);

	for (uint32_t from = 0, to; from < count; from = to) {
		to = from + 1;
		if (field_element(before, from) == field_element(after, from))
			continue;
		while (to < count && field_element(before, to) != field_element(after, to))
			to++;
		add_range(comparison, before, after, from, to);
	}
}

static bool is_same(const struct diff_style *style, const struct field *before, const struct field *after)
{
	if (style->meaning && before->count == 1 && after->count == 1 && before->size == after->size)
		return !((field_element(before, 0) ^ field_element(after, 0)) & style->meaning(before->name));
	return before->size == after->size && before->count == after->count &&
	       !memcmp(before->values, after->values, (size_t)before->size * before->count);
}

static void compare_field(const struct comparison *comparison, const struct field *before, const struct field *after)
{
	const struct diff_style *style = comparison->style;
	char was[DIFF_VALUE_LENGTH], is[DIFF_VALUE_LENGTH];

	if (is_same(style, before, after))
		return;
	if (is_bulk(before) || is_bulk(after)) {
		format_bulk(before, was);
		format_bulk(after, is);
		add_row(comparison, before->name, was, is);
		return;
	}
	if (is_text(before, style) && is_text(after, style)) {
		format_text(before, was);
		format_text(after, is);
		add_row(comparison, before->name, was, is);
		return;
	}
	if (style->has_vectors && is_vector(before) && is_vector(after)) {
		format_vector(before, was);
		format_vector(after, is);
		add_row(comparison, before->name, was, is);
		return;
	}
	if (before->size == after->size && before->count == 1 && after->count == 1) {
		add_number(comparison, before, after);
		return;
	}
	if (before->size != after->size || before->count != after->count) {
		snprintf(was, sizeof(was), "%u x %u bytes", before->count, before->size);
		snprintf(is, sizeof(is), "%u x %u bytes", after->count, after->size);
		add_row(comparison, before->name, was, is);
	}
	compare_elements(comparison, before, after);
}

static void compare_lists(const struct comparison *comparison, const struct section *after, const struct field_list *left,
			  const struct field_list *right, const struct diff_pairs *pairs)
{
	const struct diff_style *style = comparison->style;
	const struct comparison added = { comparison->diff, style, after };

	for (uint32_t i = 0; i < left->count; i++) {
		const struct field *before = &left->items[i], *other;

		if (pairs->before[i] >= right->count) { /* DIFF_NOTHING */
			add_single(comparison, before, true);
			continue;
		}
		other = &right->items[pairs->before[i]];
		if (!style->elsewhere || !style->elsewhere(comparison->section, before, other))
			compare_field(comparison, before, other);
	}
	for (uint32_t i = 0; i < right->count; i++)
		if (pairs->after[i] == DIFF_NOTHING)
			add_single(&added, &right->items[i], false);
}

int diff_fields(struct diff *diff, const struct diff_style *style, const struct section *before,
		const struct section *after, struct error *error)
{
	const struct comparison comparison = { diff, style, before };
	struct field_list left = { 0 }, right = { 0 };
	struct diff_pairs pairs;
	int result = read_list(&left, before, error) < 0 || read_list(&right, after, error) < 0 ? -1 : 0;

	if (result == 0 && (left.over || right.over)) {
		add_row(&comparison, "fields", "too many to compare", "too many to compare");
	} else if (result == 0) {
		result = diff_pair(&pairs, left.names, left.count, right.names, right.count, error);
		if (result == 0) {
			compare_lists(&comparison, after, &left, &right, &pairs);
			diff_pairs_free(&pairs);
		}
	}
	free_list(&left);
	free_list(&right);
	return result;
}
