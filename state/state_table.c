/* SPDX-License-Identifier: MIT */
/* Saves and loads a struct as its table describes it. */
#include "state/state_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/sections.h"

/* Stores one element atomically: a device's interrupt thread may read a field while a vCPU resets the device. */
static void set_element(void *to, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)to, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)to, (uint16_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)to, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	case 8:
		__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELAXED);
		break;
	}
}

void state_reset(const struct state_table *table, void *object)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct state_field *field = &table->fields[i];
		uint8_t *to = (uint8_t *)object + field->offset;

		if (field->kind != STATE_RUNTIME)
			continue;
		for (uint32_t j = 0; j < field->count; j++)
			set_element(to + (size_t)j * field->size, field->size, field->reset);
	}
}

void state_save(const struct state_table *table, const void *object, struct byte_buffer *buffer)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_PADDING)
			field_add(buffer, field->name, field->size, field->count, (const uint8_t *)object + field->offset);
	}
}

static const struct state_field *find(const struct state_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (table->fields[i].kind != STATE_PADDING && !strcmp(table->fields[i].name, name))
			return &table->fields[i];
	return NULL;
}

/* Sets an error that names the first element that differs, and both values. */
static int set_difference(const struct state_field *field, const struct field *saved, const uint8_t *here,
			   struct error *error)
{
	const struct field ours = { .size = field->size, .count = field->count, .values = here };
	char index[16] = "";
	uint32_t i = 0;

	while (field_element(saved, i) == field_element(&ours, i))
		i++;
	if (field->count > 1)
		snprintf(index, sizeof(index), "[%u]", i);
	return error_set(error, EINVAL, "%s%s is 0x%llx in the snapshot, but 0x%llx here", field->name, index,
			 (unsigned long long)field_element(saved, i), (unsigned long long)field_element(&ours, i));
}

static int load_field(const struct state_table *table, uint8_t *object, const struct field *saved,
		      struct error *error)
{
	const struct state_field *field = find(table, saved->name);
	size_t bytes = (size_t)saved->size * saved->count;

	if (!field)
		return error_set(error, ENOTSUP, "%s is unknown to this lkvm", saved->name);
	if (saved->size != field->size || saved->count != field->count)
		return error_set(error, EINVAL, "%s has %u values of %u bytes, not %u of %u", saved->name, saved->count,
				 saved->size, field->count, field->size);
	if (field->kind == STATE_CONFIG && memcmp(object + field->offset, saved->values, bytes) != 0)
		return set_difference(field, saved, object + field->offset, error);
	memcpy(object + field->offset, saved->values, bytes);
	return 0;
}

int state_load(const struct state_table *table, void *object, const struct fields *fields, uint32_t version,
	       struct error *error)
{
	struct field saved;
	size_t offset = 0;
	int result;

	for (uint32_t i = 0; version >= table->version && i < table->count; i++)
		if (table->fields[i].kind != STATE_PADDING && !field_find(fields, table->fields[i].name, &saved))
			return error_set(error, ENOENT, "%s is missing", table->fields[i].name);
	state_reset(table, object);
	while ((result = field_next(fields, &offset, &saved, error)) > 0)
		if (load_field(table, object, &saved, error) < 0)
			return -1;
	return result;
}

static bool is_sound(const struct state_field *field)
{
	switch (field->size) {
	case 1:
	case 2:
	case 4:
		if (field->reset >> (field->size * 8) != 0)
			return false;
		break;
	case 8:
		break;
	default:
		return false;
	}
	return field->name && field->count > 0;
}

bool state_table_is_complete(const struct state_table *table)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct state_field *field = &table->fields[i];

		if (!is_sound(field) || field->offset != end)
			return false;
		end += (uint64_t)field->size * field->count;
	}
	return end == table->size;
}

int state_write(struct state_visitor *visitor, const char *name, const struct state_table *table, void *object,
		struct error *error)
{
	struct section_writer *sections = ((struct state_writer *)visitor)->sections;

	(void)error;
	section_begin(sections, name, table->version, SECTION_MANDATORY);
	state_save(table, object, &sections->buffer);
	section_end(sections);
	return 0;
}
