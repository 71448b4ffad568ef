/* SPDX-License-Identifier: MIT */
/*
 * Named fields, the one encoding of everything in a snapshot but RAM: docs/snapshot-format.md, "Fields". Pure. What is
 * read may be hostile: nothing is used before its bounds are checked.
 */
#ifndef LKVM_STATE_FIELDS_H
#define LKVM_STATE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define FIELD_NAME_LENGTH 40

/*
 * Bytes that grow. Running out of memory is remembered, and everything after it does nothing: callers look once, at
 * the end. To be freed by its owner.
 */
struct byte_buffer {
	uint8_t *bytes;
	size_t size, capacity;
	bool failed;
};

/* Appends `size` bytes (zeroes where `bytes` is NULL); where they are, valid until the next append, or NULL. */
void *byte_buffer_add(struct byte_buffer *buffer, const void *bytes, size_t size);

/* Appends zeroes up to a multiple of `alignment`. */
void byte_buffer_align(struct byte_buffer *buffer, size_t alignment);
void byte_buffer_free(struct byte_buffer *buffer);

/* Appends a field of `count` elements of `size` bytes (1, 2, 4 or 8) each. A text is its bytes. */
void field_add(struct byte_buffer *buffer, const char *name, unsigned size, uint32_t count, const void *values);
void field_add_number(struct byte_buffer *buffer, const char *name, uint64_t value);
void field_add_text(struct byte_buffer *buffer, const char *name, const char *text);

struct field {
	char name[FIELD_NAME_LENGTH + 1];
	unsigned size;  /* of an element: 1, 2, 4 or 8 bytes */
	uint32_t count; /* elements */
	const uint8_t *values; /* size * count bytes, 8-byte aligned if the fields' start is */
};

struct fields {
	const uint8_t *bytes;
	size_t size;
};

/* The field at `*offset` (0 at first), which moves behind it. 1; 0 at the end; -1 with a sentence if it is malformed. */
int field_next(const struct fields *fields, size_t *offset, struct field *field, struct error *error);

/* Whether all fields are well-formed. */
int fields_check(const struct fields *fields, struct error *error);

/* The field of that name in fields that were checked; false if there is none. */
bool field_find(const struct fields *fields, const char *name, struct field *field);

/* Element `index` of a field, widened. */
uint64_t field_element(const struct field *field, uint32_t index);

/* A field of one element, or a text of at most `room` - 1 bytes without a zero byte. The sentence names the field. */
int field_get_number(const struct fields *fields, const char *name, uint64_t *value, struct error *error);
int field_get_text(const struct fields *fields, const char *name, char *text, size_t room, struct error *error);

#endif
