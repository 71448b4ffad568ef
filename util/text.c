/* SPDX-License-Identifier: MIT */
/* UTF-8 characters, and text that is safe to print. */
#include "util/text.h"

#include <stdbool.h>
#include <string.h>

/* Valid characters are those of RFC 3629: in their shortest form, no surrogates, none above U+10FFFF. */
size_t text_character(const char *text, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = (uint8_t)text[0];
	size_t length = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : 2;
	uint32_t value = length == 1 ? first : first & (0x7fu >> length);

	*code = TEXT_INVALID;
	if ((first >= 0x80 && first < 0xc0) || first >= 0xf8)
		return 1;
	for (size_t i = 1; i < length; i++) {
		uint8_t next = (uint8_t)text[i]; /* a terminator fails the test, so that no byte after it is read */

		if ((next & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (next & 0x3f);
	}
	if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 1;
	*code = value;
	return length;
}

/* Whether this is a control character: C0, DEL or C1. Terminals also obey C1 controls in UTF-8. */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

void text_make_printable(char *text)
{
	while (*text) {
		uint32_t code;
		size_t length = text_character(text, &code);

		if (code == TEXT_INVALID || is_control(code))
			memset(text, '?', length);
		text += length;
	}
}

size_t text_columns(const char *text)
{
	size_t columns = 0;
	uint32_t code;

	for (; *text; columns++)
		text += text_character(text, &code);
	return columns;
}
