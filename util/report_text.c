/* SPDX-License-Identifier: MIT */
/*
 * Renders a report as text. An object is a block of aligned "name  value" lines, with nested objects and lists indented
 * below:
 *
 *	state    running
 *	memory   512 MiB
 *	devices
 *	  name         requests  errors
 *	  virtio-blk0  210       0
 *
 * A list of values is one line. A list of objects with the same members is a table. Any other list has "- " before each
 * element. Recursion is as deep as the report, at most REPORT_MAX_DEPTH.
 */
#include <string.h>

#include "report_node.h"
#include "util/text.h"

#define INDENT 2
#define GAP 2 /* between columns */
#define MAX_WIDTH 120 /* of a table or of values in one line */
#define MAX_COLUMNS 16

static bool is_value(const struct report_node *node)
{
	return node->kind == REPORT_STRING || node->kind == REPORT_LITERAL;
}

/* Whether the node at `index` is a member or element, and not the end of its object or list. */
static bool is_inside(const struct report *report, size_t index)
{
	return index < report->count && report->nodes[index].kind != REPORT_END;
}

/* Returns the index of the node after the one at `index` and all nodes inside that. */
static size_t next(const struct report *report, size_t index)
{
	unsigned depth = 0;

	do {
		const struct report_node *node = &report->nodes[index++];

		if (node->kind == REPORT_END)
			depth--;
		else if (!is_value(node))
			depth++;
	} while (depth > 0);
	return index;
}

static void put_spaces(FILE *out, size_t count)
{
	fprintf(out, "%*s", (int)count, "");
}

/*
 * Prints a text, which may come from a guest, or "-" for an empty one. Returns its columns. Prints nothing if `out` is NULL.
 */
static size_t put_text(FILE *out, const char *text)
{
	char character[5];
	size_t columns = 0;

	if (!*text)
		text = "-";
	while (*text) {
		uint32_t code;
		size_t length = text_character(text, &code);

		memcpy(character, text, length);
		character[length] = '\0';
		text_make_printable(character);
		columns += text_columns(character);
		if (out)
			fputs(character, out);
		text += length;
	}
	return columns;
}

static size_t put_name(FILE *out, const char *name)
{
	size_t columns = 0;

	for (; *name; name++, columns++)
		if (out)
			fputc(*name == '_' ? ' ' : *name, out);
	return columns;
}

static void put_members(FILE *out, const struct report *report, size_t index, size_t indent, bool started);

/* Whether the node fits on one line: a value, an empty object or list, or a short list of values. */
static bool is_line(const struct report *report, size_t index)
{
	enum report_kind kind = report->nodes[index].kind;
	size_t width = 0;

	if (is_value(&report->nodes[index]) || !is_inside(report, index + 1))
		return true;
	if (kind != REPORT_LIST)
		return false;
	for (index++; is_inside(report, index); index++) {
		if (!is_value(&report->nodes[index]))
			return false;
		width += put_text(NULL, report->nodes[index].value) + GAP;
	}
	return width <= MAX_WIDTH;
}

static void put_line(FILE *out, const struct report *report, size_t index)
{
	if (is_value(&report->nodes[index])) {
		put_text(out, report->nodes[index].value);
	} else if (!is_inside(report, index + 1)) {
		fputs("none", out);
	} else {
		for (size_t i = index + 1; is_inside(report, i); i++) {
			if (i > index + 1)
				fputs(", ", out);
			put_text(out, report->nodes[i].value);
		}
	}
	fputc('\n', out);
}

/*
 * Whether two objects have only values, with the same names in the same order. `header` and `index` are their first members.
 */
static bool has_same_names(const struct report *report, size_t header, size_t index)
{
	for (; is_inside(report, header) && is_inside(report, index); header++, index++)
		if (!is_value(&report->nodes[header]) || !is_value(&report->nodes[index]) ||
		    strcmp(report->nodes[header].name, report->nodes[index].name) != 0)
			return false;
	return is_inside(report, header) == is_inside(report, index);
}

/*
 * Computes the widths of a table's columns. A list is a table if its elements are objects that have only values, with the
 * same names. Returns the number of columns, or 0 if the list is no table or too wide. `index` is the first element.
 */
static size_t measure_table(const struct report *report, size_t index, size_t indent,
			    size_t widths[MAX_COLUMNS])
{
	size_t header = index + 1;
	size_t columns = 0, total = indent;

	for (; is_inside(report, index); index = next(report, index)) {
		if (report->nodes[index].kind != REPORT_OBJECT || !has_same_names(report, header, index + 1))
			return 0;
		for (size_t i = 0; is_inside(report, index + 1 + i); i++) {
			const struct report_node *cell = &report->nodes[index + 1 + i];
			size_t width;

			if (i == MAX_COLUMNS)
				return 0;
			if (i == columns)
				widths[columns++] = put_name(NULL, cell->name);
			width = put_text(NULL, cell->value);
			if (widths[i] < width)
				widths[i] = width;
		}
	}
	/* The last column may be a long text, which a terminal wraps, and does not count. */
	for (size_t i = 0; i + 1 < columns; i++)
		total += widths[i] + GAP;
	return total <= MAX_WIDTH ? columns : 0;
}

/* Sets a terminal's colour, if the report is coloured. Names of columns and blocks are bold, and problems are red. */
static void put_style(FILE *out, const struct report *report, const char *style)
{
	if (report->colored)
		fprintf(out, "\033[%sm", style);
}

static bool is_alarming(const struct report_node *node)
{
	return node->kind == REPORT_STRING && node->name && !strcmp(node->name, "problem");
}

/* Prints one line of a table: the names or the values of the object whose first member is at `index`. */
static void put_row(FILE *out, const struct report *report, size_t index, size_t indent, bool names,
		    size_t columns, const size_t widths[MAX_COLUMNS])
{
	put_spaces(out, indent);
	for (size_t i = 0; i < columns; i++) {
		const struct report_node *node = &report->nodes[index + i];
		bool styled = names || is_alarming(node);
		size_t width;

		if (styled)
			put_style(out, report, names ? "1" : "31");
		width = names ? put_name(out, node->name) : put_text(out, node->value);
		if (styled)
			put_style(out, report, "0");
		if (i + 1 < columns)
			put_spaces(out, widths[i] - width + GAP);
	}
	fputc('\n', out);
}

/* Prints a list that does not fit on one line: a table, or elements of any kind. `index` is the first element. */
static void put_list(FILE *out, const struct report *report, size_t index, size_t indent)
{
	size_t widths[MAX_COLUMNS];
	size_t columns = measure_table(report, index, indent, widths);

	if (columns)
		put_row(out, report, index + 1, indent, true, columns, widths);
	for (; is_inside(report, index); index = next(report, index)) {
		if (columns) {
			put_row(out, report, index + 1, indent, false, columns, widths);
			continue;
		}
		put_spaces(out, indent);
		fputs("- ", out);
		if (is_line(report, index)) {
			put_line(out, report, index);
		} else if (report->nodes[index].kind == REPORT_LIST) {
			fputc('\n', out);
			put_list(out, report, index + 1, indent + INDENT);
		} else {
			put_members(out, report, index + 1, indent + INDENT, true);
		}
	}
}

/* Prints the members of an object. `index` is the first member. `started`: its line is indented already. */
static void put_members(FILE *out, const struct report *report, size_t index, size_t indent, bool started)
{
	size_t width = 0;

	for (size_t i = index; is_inside(report, i); i = next(report, i)) {
		size_t columns = put_name(NULL, report->nodes[i].name);

		if (width < columns && is_line(report, i))
			width = columns;
	}
	for (; is_inside(report, index); index = next(report, index), started = false) {
		bool line = is_line(report, index);
		size_t columns;

		put_spaces(out, started ? 0 : indent);
		if (!line)
			put_style(out, report, "1");
		columns = put_name(out, report->nodes[index].name);
		if (!line)
			put_style(out, report, "0");
		if (line) {
			put_spaces(out, width - columns + GAP);
			put_line(out, report, index);
			continue;
		}
		fputc('\n', out);
		if (report->nodes[index].kind == REPORT_LIST)
			put_list(out, report, index + 1, indent + INDENT);
		else
			put_members(out, report, index + 1, indent + INDENT, false);
	}
}

void report_render_text(FILE *out, const struct report *report)
{
	put_members(out, report, 0, 0, false);
}
