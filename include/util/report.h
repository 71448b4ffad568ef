/* SPDX-License-Identifier: MIT */
/*
 * The output of a command: a tree of named values, built once in memory and rendered as aligned text or as JSON. Names are
 * JSON keys ("pause_time_us"). Text has spaces for underscores. The root is an object, which report_open() begins and
 * report_text() ends. Strings may come from a guest. Whatever their bytes are, JSON stays valid, and text cannot control a
 * terminal.
 */
#ifndef LKVM_UTIL_REPORT_H
#define LKVM_UTIL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_MAX_DEPTH 16

struct report {
	bool json;
	bool colored; /* colour the text, for a terminal; set it after report_open() */
	bool failed;    /* out of memory: report_text() returns NULL */
	unsigned depth; /* the number of open objects and lists, besides the root */
	bool lists[REPORT_MAX_DEPTH + 1]; /* at each depth: whether it is a list */
	struct report_node *nodes; /* in the order in which they were added */
	size_t count, capacity;
	char *text; /* the last result of report_text() */
};

/* Begins an empty report, for JSON or for text. */
void report_open(struct report *report, bool json);

/* Frees the report and its text. */
void report_close(struct report *report);

/* `name` is NULL inside a list, and only there. Objects and lists nest at most REPORT_MAX_DEPTH deep. */
void report_begin(struct report *report, const char *name);
void report_end(struct report *report);
void report_begin_list(struct report *report, const char *name);
void report_end_list(struct report *report);

/* A NULL value is null in JSON, and "-" in text. */
void report_string(struct report *report, const char *name, const char *value);
void report_number(struct report *report, const char *name, uint64_t value);

/* JSON has true or false, and text has "yes" or "no". */
void report_bool(struct report *report, const char *name, bool value);

/* A size: JSON has the number of bytes, and text has "512 MiB". */
void report_bytes(struct report *report, const char *name, uint64_t bytes);

/* An address or register. JSON and text have "0x..."; in JSON it is a string, as a double loses bits above 2^53. */
void report_hex(struct report *report, const char *name, uint64_t value);

/*
 * Renders the report and returns the text, which ends with a newline, or NULL if memory ran out. The report owns the text,
 * which is valid until the next report_text() or report_close(). JSON is one line. All objects and lists must have been
 * ended.
 */
const char *report_text(struct report *report);

#endif
