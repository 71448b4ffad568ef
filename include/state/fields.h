/* SPDX-License-Identifier: MIT */
/*
 * Named fields: the encoding of all data in a snapshot but RAM. docs/snapshot-format.md, "Fields", is their specification.
 * Pure. The input may be hostile, so that bounds are checked before each use.
 */
#ifndef LKVM_STATE_FIELDS_H
#define LKVM_STATE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define FIELD_NAME_LENGTH 40

/*
 * A buffer that grows. After memory ran out, `failed` is set and later calls do nothing, so that a caller checks it once, at
 * the end. The owner must free the buffer.
 */
struct byte_buffer {
	uint8_t *bytes;
	size_t size, capacity;
	bool failed;
};

/* Appends `size` bytes, zeroes if `bytes` is NULL. Returns their address, valid until the next append, or NULL on failure. */
void *byte_buffer_add(struct byte_buffer *buffer, const void *bytes, size_t size);

/* Appends zeroes up to a multiple of `alignment`. */
void byte_buffer_align(struct byte_buffer *buffer, size_t alignment);
void byte_buffer_free(struct byte_buffer *buffer);

/*
 * Append a field of `count` elements of `size` bytes (1, 2, 4 or 8) each. A text is stored as its bytes, without a
 * terminator.
 */
void field_add(struct byte_buffer *buffer, const char *name, unsigned size, uint32_t count, const void *values);
void field_add_number(struct byte_buffer *buffer, const char *name, uint64_t value);
void field_add_text(struct byte_buffer *buffer, const char *name, const char *text);

struct field {
	char name[FIELD_NAME_LENGTH + 1];
	unsigned size;  /* of an element: 1, 2, 4 or 8 bytes */
	uint32_t count; /* elements */
	const uint8_t *values; /* size * count bytes; 8-byte aligned if the start of the fields is */
};

struct fields {
	const uint8_t *bytes;
	size_t size;
};

/*
 * Reads the field at `*offset`, which is 0 at first, and moves `*offset` to its end. Returns 1, or 0 at the end of the fields,
 * or -1 with an error if the field is malformed.
 */
int field_next(const struct fields *fields, size_t *offset, struct field *field, struct error *error);

/* Returns 0 if all fields are well-formed, or -1. */
int fields_check(const struct fields *fields, struct error *error);

/* Finds the field of that name. The fields must have been checked. Returns false if there is none. */
bool field_find(const struct fields *fields, const char *name, struct field *field);

/* Returns element `index` of a field, widened to 64 bits. */
uint64_t field_element(const struct field *field, uint32_t index);

/* Read a field of one element, or a text of at most `room` - 1 bytes without a zero byte. The error names the field. */
int field_get_number(const struct fields *fields, const char *name, uint64_t *value, struct error *error);
int field_get_text(const struct fields *fields, const char *name, char *text, size_t room, struct error *error);

#endif
