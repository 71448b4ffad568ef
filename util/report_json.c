/* SPDX-License-Identifier: MIT */
/* Renders a report as JSON (RFC 8259), on one line. */
#include "report_node.h"
#include "util/text.h"

static void put_string(FILE *out, const char *text)
{
	uint32_t code;
	size_t length;

	fputc('"', out);
	for (; *text; text += length) {
		length = text_character(text, &code);
		if (code == TEXT_INVALID)
			fputs("\\ufffd", out);
		else if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (char)code);
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) /* DEL and C1 are escaped because terminals obey them */
			fprintf(out, "\\u%04x", code);
		else
			fwrite(text, length, 1, out);
	}
	fputc('"', out);
}

void report_render_json(FILE *out, const struct report *report)
{
	bool lists[REPORT_MAX_DEPTH + 1] = { false };
	unsigned depth = 0;
	bool first = true;

	fputc('{', out);
	for (size_t i = 0; i < report->count; i++) {
		const struct report_node *node = &report->nodes[i];

		if (!first && node->kind != REPORT_END)
			fputs(", ", out);
		if (node->name) {
			put_string(out, node->name);
			fputs(": ", out);
		}
		first = false;
		switch (node->kind) {
		case REPORT_OBJECT:
		case REPORT_LIST:
			lists[++depth] = node->kind == REPORT_LIST;
			fputc(lists[depth] ? '[' : '{', out);
			first = true;
			break;
		case REPORT_END:
			fputc(lists[depth--] ? ']' : '}', out);
			break;
		case REPORT_STRING:
			put_string(out, node->value);
			break;
		case REPORT_LITERAL:
			fputs(node->value, out);
			break;
		}
	}
	fputs("}\n", out);
}
