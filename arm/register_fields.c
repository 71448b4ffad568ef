/* SPDX-License-Identifier: MIT */
/* Prints the fields of a register. */
#include "arm/register_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "register_tables.h"

static bool is_name(const char *pattern, const char *name)
{
	for (; *pattern && *name; pattern++, name++)
		if (*pattern == '#' ? *name < '0' || *name > '9' : *pattern != *name)
			return false;
	return *pattern == *name;
}

static const struct register_field *find(const struct register_table *tables, const char *name)
{
	for (; tables->name; tables++)
		if (is_name(tables->name, name))
			return tables->fields;
	return NULL;
}

const struct register_field *register_fields(const char *name)
{
	const struct register_field *fields = find(gic_register_tables, name);

	return fields ? fields : find(cpu_register_tables, name);
}

/* Returns the mask of the field's bits. */
static uint64_t mask(const struct register_field *field)
{
	return ~0ull >> (63 - field->high) & ~0ull << field->low;
}

uint64_t register_field_value(const struct register_field *field, uint64_t value)
{
	return (value & mask(field)) >> (field->in_place ? 0 : field->low);
}

static const char *value_name(const struct register_field *field, uint64_t number)
{
	for (const struct register_value *known = field->values; known && known->name; known++)
		if (known->value == number)
			return known->name;
	return NULL;
}

void register_field_text(const struct register_field *field, uint64_t value, char text[REGISTER_FIELD_LENGTH])
{
	uint64_t number = register_field_value(field, value);
	const char *name = value_name(field, number);

	if (name)
		snprintf(text, REGISTER_FIELD_LENGTH, "%s", name);
	else
		snprintf(text, REGISTER_FIELD_LENGTH, field->in_place ? "0x%" PRIx64 : "%" PRIu64, number);
}

void register_fields_text(const char *name, uint64_t value, char text[REGISTER_FIELDS_LENGTH])
{
	const struct register_field *field = register_fields(name);
	char one[REGISTER_FIELD_LENGTH];
	size_t length = 0;

	text[0] = '\0';
	for (; field && field->name; field++) {
		if (!register_field_value(field, value) && !value_name(field, 0))
			continue;
		register_field_text(field, value, one);
		length += (size_t)snprintf(text + length, REGISTER_FIELDS_LENGTH - length, "%s%s=%s", length ? " " : "",
					   field->name, one);
	}
}

void register_fields_difference(const char *name, uint64_t before, uint64_t after, char text[REGISTER_FIELDS_LENGTH])
{
	const struct register_field *field = register_fields(name);
	bool known = field;
	uint64_t rest = before ^ after;
	size_t length = 0;

	text[0] = '\0';
	for (; field && field->name; field++) {
		char old[REGISTER_FIELD_LENGTH], new[REGISTER_FIELD_LENGTH];

		if (!(rest & mask(field)))
			continue;
		rest &= ~mask(field);
		register_field_text(field, before, old);
		register_field_text(field, after, new);
		length += (size_t)snprintf(text + length, REGISTER_FIELDS_LENGTH - length, "%s%s %s -> %s",
					   length ? ", " : "", field->name, old, new);
	}
	if (known && rest)
		snprintf(text + length, REGISTER_FIELDS_LENGTH - length, "%sothers 0x%" PRIx64 " -> 0x%" PRIx64,
			 length ? ", " : "", before & rest, after & rest);
	else if (rest)
		snprintf(text, REGISTER_FIELDS_LENGTH, "0x%" PRIx64 " -> 0x%" PRIx64, before, after);
}
