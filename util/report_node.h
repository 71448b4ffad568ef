/* SPDX-License-Identifier: MIT */
/* The nodes of a report, for its two renderers. Private to util/report*.c. */
#ifndef LKVM_UTIL_REPORT_NODE_H
#define LKVM_UTIL_REPORT_NODE_H

#include <stdio.h>

#include "util/report.h"

enum report_kind {
	REPORT_OBJECT,  /* its members follow, up to its REPORT_END */
	REPORT_LIST,    /* its elements follow, up to its REPORT_END */
	REPORT_END,
	REPORT_STRING,  /* quoted in JSON */
	REPORT_LITERAL, /* printed without quotes: a number, true, null */
};

struct report_node {
	enum report_kind kind;
	char *name;  /* NULL inside a list, and for REPORT_END */
	char *value; /* NULL unless a string or literal */
};

void report_render_json(FILE *out, const struct report *report);
void report_render_text(FILE *out, const struct report *report);

#endif
