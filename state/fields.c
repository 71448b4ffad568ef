/* SPDX-License-Identifier: MIT */
/* Fields: named arrays of numbers, in a buffer of bytes. */
#include "state/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "snapshots are little-endian, and so must be the host");

#define ALIGNMENT 8u
#define SMALLEST_CAPACITY 4096u

/* The header of a field. The name and the values follow, each padded to ALIGNMENT. */
struct field_header {
	uint8_t name_length;
	uint8_t element_size;
	uint16_t zero;
	uint32_t count;
};

void *byte_buffer_add(struct byte_buffer *buffer, const void *bytes, size_t size)
{
	uint8_t *to;

	if (buffer->failed)
		return NULL;
	if (size > buffer->capacity - buffer->size) {
		size_t capacity = buffer->capacity ? buffer->capacity : SMALLEST_CAPACITY;
		uint8_t *larger;

		while (capacity - buffer->size < size && capacity <= SIZE_MAX / 2)
			capacity *= 2;
		larger = capacity - buffer->size < size ? NULL : realloc(buffer->bytes, capacity);
		if (!larger) {
			buffer->failed = true;
			return NULL;
		}
		buffer->bytes = larger;
		buffer->capacity = capacity;
	}
	to = buffer->bytes + buffer->size;
	if (size && bytes)
		memcpy(to, bytes, size);
	else if (size)
		memset(to, 0, size);
	buffer->size += size;
	return to;
}

void byte_buffer_align(struct byte_buffer *buffer, size_t alignment)
{
	byte_buffer_add(buffer, NULL, -buffer->size & (alignment - 1));
}

void byte_buffer_free(struct byte_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct byte_buffer){ 0 };
}

void field_add(struct byte_buffer *buffer, const char *name, unsigned size, uint32_t count, const void *values)
{
	struct field_header header = {
		.name_length = (uint8_t)strnlen(name, FIELD_NAME_LENGTH),
		.element_size = (uint8_t)size,
		.count = count,
	};

	byte_buffer_add(buffer, &header, sizeof(header));
	byte_buffer_add(buffer, name, header.name_length);
	byte_buffer_align(buffer, ALIGNMENT);
	byte_buffer_add(buffer, values, (size_t)size * count);
	byte_buffer_align(buffer, ALIGNMENT);
}

void field_add_number(struct byte_buffer *buffer, const char *name, uint64_t value)
{
	field_add(buffer, name, sizeof(value), 1, &value);
}

void field_add_text(struct byte_buffer *buffer, const char *name, const char *text)
{
	field_add(buffer, name, 1, (uint32_t)strlen(text), text);
}

static size_t align_up(size_t size)
{
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* Whether this is a valid name. Names are printed and used in JSON: no spaces, control characters, quotes or backslashes. */
static bool is_name(const uint8_t *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\')
			return false;
	return length > 0 && length <= FIELD_NAME_LENGTH;
}

/* Padding must be zero. Other values may have a meaning in another version, and must not be ignored. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
	while (size && !bytes[size - 1])
		size--;
	return size == 0;
}

int field_next(const struct fields *fields, size_t *offset, struct field *field, struct error *error)
{
	const uint8_t *at = fields->bytes + *offset, *name, *values;
	size_t left = fields->size - *offset;
	struct field_header header;
	size_t name_size;
	uint64_t bytes;

	if (left == 0)
		return 0;
	if (left < sizeof(header))
		return error_set(error, EBADMSG, "the field at byte %zu is cut short", *offset);
	memcpy(&header, at, sizeof(header));
	name_size = align_up(header.name_length);
	bytes = (uint64_t)header.element_size * header.count;
	if (header.element_size != 1 && header.element_size != 2 && header.element_size != 4 &&
	    header.element_size != 8)
		return error_set(error, EBADMSG, "the field at byte %zu has elements of %u bytes", *offset,
				 header.element_size);
	left -= sizeof(header);
	name = at + sizeof(header);
	if (header.zero || name_size > left || !is_name(name, header.name_length))
		return error_set(error, EBADMSG, "the field at byte %zu has no proper name", *offset);
	left -= name_size;
	values = name + name_size;
	if (bytes > left || align_up((size_t)bytes) > left)
		return error_set(error, EBADMSG, "the field %.*s has more values than there are bytes",
				 header.name_length, (const char *)name);
	if (!is_zero(name + header.name_length, name_size - header.name_length) ||
	    !is_zero(values + bytes, align_up((size_t)bytes) - (size_t)bytes))
		return error_set(error, EBADMSG, "the field %.*s is padded with something other than zeroes",
				 header.name_length, (const char *)name);

	memcpy(field->name, name, header.name_length);
	field->name[header.name_length] = '\0';
	field->size = header.element_size;
	field->count = header.count;
	field->values = values;
	*offset += sizeof(header) + name_size + align_up((size_t)bytes);
	return 1;
}

int fields_check(const struct fields *fields, struct error *error)
{
	struct field field;
	size_t offset = 0;
	int result;

	do
		result = field_next(fields, &offset, &field, error);
	while (result > 0);
	return result;
}

bool field_find(const struct fields *fields, const char *name, struct field *field)
{
	struct error ignored;
	size_t offset = 0;

	*field = (struct field){ 0 };
	while (field_next(fields, &offset, field, &ignored) > 0)
		if (!strcmp(field->name, name))
			return true;
	return false;
}

uint64_t field_element(const struct field *field, uint32_t index)
{
	uint64_t value = 0;

	memcpy(&value, field->values + (size_t)index * field->size, field->size);
	return value;
}

int field_get_number(const struct fields *fields, const char *name, uint64_t *value, struct error *error)
{
	struct field field;

	if (!field_find(fields, name, &field))
		return error_set(error, ENOENT, "%s is missing", name);
	if (field.count != 1)
		return error_set(error, EBADMSG, "%s has %u values, not one", name, field.count);
	*value = field_element(&field, 0);
	return 0;
}

int field_get_text(const struct fields *fields, const char *name, char *text, size_t room, struct error *error)
{
	struct field field;

	if (!field_find(fields, name, &field))
		return error_set(error, ENOENT, "%s is missing", name);
	if (field.size != 1 || field.count >= room || memchr(field.values, 0, field.count))
		return error_set(error, EBADMSG, "%s is not text of less than %zu bytes", name, room);
	memcpy(text, field.values, field.count);
	text[field.count] = '\0';
	return 0;
}
