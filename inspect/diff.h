/* SPDX-License-Identifier: MIT */
/* What the parts of a comparison share. Private to inspect/diff*.c. */
#ifndef INSPECT_DIFF_H
#define INSPECT_DIFF_H

#include "inspect/diff.h"

#define DIFF_VALUE_LENGTH 512 /* of a value as text; longer ones are cut */

struct diff {
	const struct inspection *before, *after;
	struct report *report;
	bool all;
	uint64_t changes; /* found, shown or not */
	size_t shown;     /* rows of all lists */
	/* The list to which rows are added now. */
	const char *list;
	bool open; /* said in the report */
	size_t rows, limit;
	uint64_t hidden;
};

/* A list at the root. It appears in text once it has a row. `limit`: rows in text. */
void diff_list_begin(struct diff *diff, const char *name, size_t limit);
void diff_list_end(struct diff *diff);

/* Counts a change; true: it is shown, and its row, an object, was begun. The caller adds members and ends it. */
bool diff_row(struct diff *diff);

/* Members "before" and "after"; NULL: not there. Ends the row. */
void diff_end_row(struct diff *diff, const char *before, const char *after);

/*
 * Which of two rows of names belong together: the k-th of a name with the k-th of the same name. `partners[i]` is the
 * index of the other one, or DIFF_NOTHING. To be freed.
 */
#define DIFF_NOTHING UINT32_MAX

struct diff_pairs {
	uint32_t *before, *after;
};

int diff_pair(struct diff_pairs *pairs, const char *const *before, uint32_t before_count, const char *const *after,
	      uint32_t after_count, struct error *error);
void diff_pairs_free(struct diff_pairs *pairs);

/* How the fields of some sections are shown. */
struct diff_style {
	bool is_configuration; /* decimal numbers; a text may be one byte */
	bool has_vectors;      /* two elements of 8 bytes are one number */
	bool has_registers;    /* rows say which bits changed, where the register's are known */
	/* Adds to a row what says which field it is of. */
	void (*name)(struct report *report, const struct section *section, const char *field);
	/* The bits of a number that mean something; may be NULL: all. */
	uint64_t (*meaning)(const char *field);
	/* Whether a field is compared elsewhere; may be NULL. */
	bool (*elsewhere)(const struct section *section, const struct field *before, const struct field *after);
};

/* A row for each field of two sections that differs. */
int diff_fields(struct diff *diff, const struct diff_style *style, const struct section *before,
		const struct section *after, struct error *error);

/* Elements [from, to) of a field, the first of them where there are many. */
void diff_format(const struct field *field, uint32_t from, uint32_t to, bool decimal, char text[DIFF_VALUE_LENGTH]);

/* Calls `compare` for the sections that both have and that are not the same byte for byte, in their order. */
typedef int (*diff_compare)(struct diff *diff, const struct section *before, const struct section *after,
			    struct error *error);
int diff_each_section(struct diff *diff, bool (*wanted)(const char *name), diff_compare compare, struct error *error);

/* The parts, in files of their own. */
int diff_interrupts(struct diff *diff, struct error *error);
int diff_its(struct diff *diff, struct error *error);
int diff_sections(struct diff *diff, struct error *error);
int diff_ram(struct diff *diff, struct error *error);

/* Whether a field is an array with something for each interrupt, which diff_interrupts() tells apart. */
bool diff_is_by_interrupt(const struct section *section, const struct field *before, const struct field *after);

/* Whether `name` is `stem` and digits; their number in `*number`, which may be NULL. */
bool diff_is_numbered(const char *name, const char *stem, unsigned *number);

#endif
