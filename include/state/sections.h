/* SPDX-License-Identifier: MIT */
/*
 * Sections: named, versioned groups of fields, with checksums. docs/snapshot-format.md is their specification. Pure. A reader
 * expects input that is damaged or hostile.
 */
#ifndef LKVM_STATE_SECTIONS_H
#define LKVM_STATE_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/fields.h"
#include "util/err.h"

#define SECTIONS_MAX 8192u
#define SECTION_NAME_LENGTH 31

/* A flag: a reader that does not support the section must refuse the snapshot. */
#define SECTION_MANDATORY 1u

/* To write a section: call section_begin(), add fields to the buffer, and call section_end(). */
struct section_writer {
	struct byte_buffer buffer;
	size_t start; /* the open section's offset in the buffer */
};

void section_begin(struct section_writer *writer, const char *name, uint32_t version, uint32_t flags);
void section_end(struct section_writer *writer);

struct section {
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t version;
	uint32_t flags;
	struct fields fields; /* checked */
	bool used;            /* sections_find() or sections_need() has returned it */
};

struct sections {
	struct section *items;
	size_t count;
	const struct error_collector *faults; /* gets each fault; NULL: the first fault ends the parsing */
	size_t damaged;                       /* the number of faults so far; faulty parts are left out */
};

/*
 * Adds the sections in [bytes, bytes + size). The bytes must be 8-byte aligned, and stay valid as long as `sections` is used.
 * Checksums, bounds, names and fields are checked. A second section of the same name is an error.
 */
int sections_parse(struct sections *sections, const uint8_t *bytes, size_t size, struct error *error);
void sections_free(struct sections *sections);

/* Returns the section of that name, and marks it as used. NULL if there is none. */
const struct section *sections_find(struct sections *sections, const char *name);

/* The same, but returns NULL with an error if the section is missing or its version is above `version`. */
const struct section *sections_need(struct sections *sections, const char *name, uint32_t version,
				    struct error *error);

/* Call this after all supported sections were found. Fails if a mandatory section is not used, and names it. */
int sections_check_used(const struct sections *sections, struct error *error);

#endif
