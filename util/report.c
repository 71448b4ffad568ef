/* SPDX-License-Identifier: MIT */
/* Collects the members of a report, and renders them as text or JSON. */
#include "util/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_node.h"
#include "util/text.h"

void report_open(struct report *report, bool json)
{
	*report = (struct report){ .json = json };
}

void report_close(struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		free(report->nodes[i].name);
		free(report->nodes[i].value);
	}
	free(report->nodes);
	free(report->text);
	*report = (struct report){ 0 };
}

static bool make_room(struct report *report)
{
	struct report_node *nodes;
	size_t capacity;

	if (report->count < report->capacity)
		return true;
	capacity = report->capacity ? report->capacity * 2 : 64;
	nodes = reallocarray(report->nodes, capacity, sizeof(*nodes));
	if (!nodes)
		return false;
	report->nodes = nodes;
	report->capacity = capacity;
	return true;
}

static void add(struct report *report, enum report_kind kind, const char *name, const char *value)
{
	struct report_node *node;

	assert(kind == REPORT_END || !name == report->lists[report->depth]);
	if (report->failed || !make_room(report)) {
		report->failed = true;
		return;
	}
	node = &report->nodes[report->count++];
	node->kind = kind;
	/* gcc 12's analyzer does not see that the array keeps the texts, and reports a leak. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
	node->name = name ? strdup(name) : NULL;
	node->value = value ? strdup(value) : NULL;
	report->failed = (name && !node->name) || (value && !node->value);
#pragma GCC diagnostic pop
}

static void begin(struct report *report, enum report_kind kind, const char *name)
{
	add(report, kind, name, NULL);
	assert(report->depth < REPORT_MAX_DEPTH);
	report->lists[++report->depth] = kind == REPORT_LIST;
}

static void end(struct report *report, enum report_kind kind)
{
	assert(report->depth > 0 && report->lists[report->depth] == (kind == REPORT_LIST));
	add(report, REPORT_END, NULL, NULL);
	report->depth--;
}

void report_begin(struct report *report, const char *name)
{
	begin(report, REPORT_OBJECT, name);
}

void report_end(struct report *report)
{
	end(report, REPORT_OBJECT);
}

void report_begin_list(struct report *report, const char *name)
{
	begin(report, REPORT_LIST, name);
}

void report_end_list(struct report *report)
{
	end(report, REPORT_LIST);
}

void report_string(struct report *report, const char *name, const char *value)
{
	if (value)
		add(report, REPORT_STRING, name, value);
	else
		add(report, REPORT_LITERAL, name, report->json ? "null" : "-");
}

void report_number(struct report *report, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	add(report, REPORT_LITERAL, name, digits);
}

void report_bool(struct report *report, const char *name, bool value)
{
	if (report->json)
		add(report, REPORT_LITERAL, name, value ? "true" : "false");
	else
		add(report, REPORT_LITERAL, name, value ? "yes" : "no");
}

/* Formats a size in the largest unit in which it is at least one. If it is not whole, it has one decimal, rounded down. */
static void format_bytes(uint64_t bytes, char *to, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	uint64_t rest;

	while (bytes >> (unit * 10) >= 1024 && unit < 6)
		unit++;
	rest = bytes & ((1ull << (unit * 10)) - 1);
	if (rest)
		snprintf(to, size, "%" PRIu64 ".%" PRIu64 " %s", bytes >> (unit * 10),
			 (rest >> (unit * 10 - 10)) * 10 / 1024, units[unit]);
	else
		snprintf(to, size, "%" PRIu64 " %s", bytes >> (unit * 10), units[unit]);
}

void report_bytes(struct report *report, const char *name, uint64_t bytes)
{
	char text[40];

	if (report->json) {
		report_number(report, name, bytes);
		return;
	}
	format_bytes(bytes, text, sizeof(text));
	add(report, REPORT_LITERAL, name, text);
}

void report_hex(struct report *report, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "0x%" PRIx64, value);
	add(report, REPORT_STRING, name, digits);
}

const char *report_text(struct report *report)
{
	size_t length;
	FILE *out;

	assert(report->depth == 0);
	free(report->text);
	report->text = NULL;
	if (report->failed)
		return NULL;
	out = open_memstream(&report->text, &length);
	if (!out)
		return NULL;
	if (report->json)
		report_render_json(out, report);
	else
		report_render_text(out, report);
	if (fclose(out)) {
		free(report->text);
		report->text = NULL;
	}
	return report->text;
}
