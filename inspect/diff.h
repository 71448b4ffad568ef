/* SPDX-License-Identifier: MIT */
/* The shared state and functions of a comparison. Private to inspect/diff*.c. */
#ifndef INSPECT_DIFF_H
#define INSPECT_DIFF_H

#include "inspect/diff.h"

#define DIFF_VALUE_LENGTH 512 /* of a value as text; longer values are cut */

struct diff {
	const struct inspection *before, *after;
	struct report *report;
	bool all;
	uint64_t changes; /* found, shown or not */
	size_t shown;     /* rows of all lists */
	/* The current list. */
	const char *list;
	bool open; /* begun in the report */
	size_t rows, limit;
	uint64_t hidden; /* rows above the limit */
};

/* Begins a list at the root. Text shows it only if it has a row. `limit` is the number of rows in text. */
void diff_list_begin(struct diff *diff, const char *name, size_t limit);
void diff_list_end(struct diff *diff);

/* Counts a change. True: it is shown and its row, an object, is begun. The caller adds members and ends the row. */
bool diff_row(struct diff *diff);

/* Adds the members "before" and "after", where NULL means absent. Ends the row. */
void diff_end_row(struct diff *diff, const char *before, const char *after);

/*
 * Pairs two arrays of names: the k-th of a name with the k-th of the same name. `before[i]` is the index of the partner of the
 * i-th name of the first array, or DIFF_NOTHING. `after` is the same for the second array. Free with diff_pairs_free().
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
	bool is_configuration; /* numbers are decimal; one byte may be a text */
	bool has_vectors;      /* two elements of 8 bytes are one number */
	bool has_registers;    /* rows show which bits changed, if the register's fields are known */
	/* Adds members to a row that identify the field. */
	void (*name)(struct report *report, const struct section *section, const char *field);
	/* Returns the bits of a number that are compared; NULL: all bits are. */
	uint64_t (*meaning)(const char *field);
	/* Returns whether another list compares the field; may be NULL. */
	bool (*elsewhere)(const struct section *section, const struct field *before, const struct field *after);
};

/* Adds a row for each field that differs between two sections. */
int diff_fields(struct diff *diff, const struct diff_style *style, const struct section *before,
		const struct section *after, struct error *error);

/* Writes elements [from, to) of a field: at most 8 bytes or 4 larger elements, then "...". */
void diff_format(const struct field *field, uint32_t from, uint32_t to, bool decimal, char text[DIFF_VALUE_LENGTH]);

/* Calls `compare` for each section that both snapshots have with different bytes, in the order of the first snapshot. */
typedef int (*diff_compare)(struct diff *diff, const struct section *before, const struct section *after,
			    struct error *error);
int diff_each_section(struct diff *diff, bool (*wanted)(const char *name), diff_compare compare, struct error *error);

/* The parts, in files of their own. */
int diff_interrupts(struct diff *diff, struct error *error);
int diff_its(struct diff *diff, struct error *error);
int diff_sections(struct diff *diff, struct error *error);
int diff_ram(struct diff *diff, struct error *error);

/* Returns whether a field is an array with an element for each interrupt, which diff_interrupts() compares. */
bool diff_is_by_interrupt(const struct section *section, const struct field *before, const struct field *after);

/* Returns whether `name` is `stem` followed by 1 to 6 digits. Stores their value in `*number`, which may be NULL. */
bool diff_is_numbered(const char *name, const char *stem, unsigned *number);

#endif
