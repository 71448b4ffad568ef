/* SPDX-License-Identifier: MIT */
#include "lkvm/state.h"

#include <string.h>

static void set_element(uint8_t *to, uint32_t size, uint64_t value)
{
	uint8_t byte = (uint8_t)value;
	uint16_t half = (uint16_t)value;
	uint32_t word = (uint32_t)value;

	switch (size) {
	case 1:
		memcpy(to, &byte, sizeof(byte));
		break;
	case 2:
		memcpy(to, &half, sizeof(half));
		break;
	case 4:
		memcpy(to, &word, sizeof(word));
		break;
	case 8:
		memcpy(to, &value, sizeof(value));
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
