/* SPDX-License-Identifier: MIT */
/*
 * The state of a device is declared once: a plain struct without pointers, file descriptors or threads, and one table that
 * names every field. Reset, save, restore and inspect all use that table, so that none of them can miss a field. A unit test
 * checks that each table has no gap.
 */
#ifndef LKVM_STATE_STATE_TABLE_H
#define LKVM_STATE_STATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/fields.h"
#include "util/bits.h"
#include "util/err.h"

enum state_kind {
	STATE_CONFIG,  /* determined by the machine's configuration: saved, must be equal on restore, kept on reset */
	STATE_RUNTIME, /* changes while the guest runs: saved, restored, set to `reset` on reset */
	STATE_PADDING, /* only fills the struct: not saved, restored or reset */
};

struct state_field {
	const char *name;
	uint32_t offset;
	uint32_t size;  /* of one element, in bytes: 1, 2, 4 or 8 */
	uint32_t count; /* elements; 1 if it is not an array */
	enum state_kind kind;
	uint64_t reset; /* the value of every element after a reset */
};

struct state_table {
	const char *name;
	uint32_t version;
	uint32_t size; /* of the struct */
	uint32_t count;
	const struct state_field *fields; /* by ascending offset */
};

#define STATE_MEMBER_(type, member, n, element_size, how, value)                                          \
	{                                                                                                  \
		.name = #member, .offset = offsetof(type, member), .size = (element_size), .count = (n),   \
		.kind = (how), .reset = (value),                                                           \
	}
#define STATE_SIZE_(type, member) sizeof(((type *)0)->member)

/* One scalar field, or an array of scalars. */
#define STATE_FIELD(type, member, kind, reset)                                                            \
	STATE_MEMBER_(type, member, 1, STATE_SIZE_(type, member), kind, reset)
#define STATE_ARRAY(type, member, kind, reset)                                                            \
	STATE_MEMBER_(type, member, STATE_SIZE_(type, member) / STATE_SIZE_(type, member[0]),              \
		      STATE_SIZE_(type, member[0]), kind, reset)

/* Makes a table for `type` from an array of fields. */
#define STATE_TABLE(type, table_name, table_version, array)                                               \
	{                                                                                                  \
		.name = (table_name), .version = (table_version), .size = sizeof(type),                    \
		.count = COUNT(array), .fields = (array),                            \
	}

/* Sets every STATE_RUNTIME field of `object` to its reset value. */
void state_reset(const struct state_table *table, void *object);

/* Adds every field but padding to the buffer. */
void state_save(const struct state_table *table, const void *object, struct byte_buffer *buffer);

/*
 * Fills in every STATE_RUNTIME field from `fields`, which were saved at version `version` of the table. A field that an
 * older version does not have gets its reset value. Fails if a STATE_CONFIG field has another value than in `object`. Fails
 * too if a field has another shape, or if the table does not have it. The error names the field. After a failure `object` is
 * undefined.
 */
int state_load(const struct state_table *table, void *object, const struct fields *fields, uint32_t version,
	       struct error *error);

/*
 * A callback for all state of a machine. Each device calls `visit` for each of its objects, always in the same order. `name`
 * is the name of the object's section. `visit` returns 0 or -1. A device stops at the first failure.
 */
struct state_visitor {
	int (*visit)(struct state_visitor *visitor, const char *name, const struct state_table *table, void *object,
		     struct error *error);
};

/* A visitor that saves. `visit` is state_write(), which writes a mandatory section for each object. */
struct section_writer;
struct state_writer {
	struct state_visitor visitor; /* must be the first member */
	struct section_writer *sections;
};
int state_write(struct state_visitor *writer, const char *name, const struct state_table *table, void *object,
		struct error *error);

/* Whether the fields are in order, do not overlap, and cover the struct to its last byte. */
bool state_table_is_complete(const struct state_table *table);

#endif
