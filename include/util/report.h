/* SPDX-License-Identifier: MIT */
/*
 * What a command shows, said once and rendered as aligned text or as JSON: a tree of named values built in
 * memory. Names are JSON keys in both forms ("pause_time_us"); text shows them with spaces. The root is an
 * object: report_open() begins it, report_text() ends it. Strings may come from a guest: whatever their bytes, JSON
 * stays valid and text cannot steer a terminal.
 */
#ifndef LKVM_UTIL_REPORT_H
#define LKVM_UTIL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_MAX_DEPTH 16

struct report {
	bool json;
	bool colored; /* text for a terminal; set it after report_open() */
	bool failed;    /* out of memory: report_text gives NULL */
	unsigned depth; /* objects and lists open now, besides the root */
	bool lists[REPORT_MAX_DEPTH + 1]; /* whether each of them is a list */
	struct report_node *nodes; /* in the order in which they were said */
	size_t count, capacity;
	char *text; /* rendered */
};

void report_open(struct report *report, bool json);
void report_close(struct report *report);

/* `name` is NULL inside a list, and only there. Objects and lists nest at most REPORT_MAX_DEPTH deep. */
void report_begin(struct report *report, const char *name);
void report_end(struct report *report);
void report_begin_list(struct report *report, const char *name);
void report_end_list(struct report *report);

/* NULL is JSON's null. */
void report_string(struct report *report, const char *name, const char *value);
void report_number(struct report *report, const char *name, uint64_t value);

/* JSON has true or false, text "yes" or "no". */
void report_bool(struct report *report, const char *name, bool value);

/* A size: JSON has the bytes, text "512 MiB". */
void report_bytes(struct report *report, const char *name, uint64_t bytes);

/* An address or register: JSON has a string "0x..." (a double loses bits above 2^53), text the same. */
void report_hex(struct report *report, const char *name, uint64_t value);

/*
 * The whole text, ending in a newline; NULL if memory ran out. Stays the report's, until the next call on it. JSON is
 * one line. Everything that was begun must have been ended.
 */
const char *report_text(struct report *report);

#endif
