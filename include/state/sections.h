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

/* A reader that does not know such a section must refuse the snapshot. */
#define SECTION_MANDATORY 1u

/* Writing sections: begin, add fields to the buffer, end. */
struct section_writer {
	struct byte_buffer buffer;
	size_t start; /* of the section that is open */
};

void section_begin(struct section_writer *writer, const char *name, uint32_t version, uint32_t flags);
void section_end(struct section_writer *writer);

struct section {
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t version;
	uint32_t flags;
	struct fields fields; /* checked */
	bool used;            /* somebody asked for it */
};

struct sections {
	struct section *items;
	size_t count;
	const struct error_collector *faults; /* NULL: the first one ends the reading */
	size_t damaged;                       /* so many faults were told, and what they are about left out */
};

/*
 * Adds the sections in [bytes, bytes + size), which must stay where they are, 8-byte aligned, as long as `sections` is
 * used. Checksums, bounds, names and fields are checked; no name stands twice.
 */
int sections_parse(struct sections *sections, const uint8_t *bytes, size_t size, struct error *error);
void sections_free(struct sections *sections);

/* NULL where there is none. It counts as used from then on. */
const struct section *sections_find(struct sections *sections, const char *name);

/* The same, but its absence is an error, and so is a version above `version`. */
const struct section *sections_need(struct sections *sections, const char *name, uint32_t version,
				    struct error *error);

/* Once all that is known was asked for: fails if a mandatory section is left, and names it. */
int sections_check_used(const struct sections *sections, struct error *error);

#endif
