/* SPDX-License-Identifier: MIT */
/* Checks that a text is JSON (RFC 8259) as lkvm writes it, without repeated keys in an object. */
#ifndef TESTS_FUZZ_JSON_H
#define TESTS_FUZZ_JSON_H

#include <stdbool.h>
#include <string.h>

#include "util/text.h"

#define JSON_DEPTH 16
#define JSON_KEYS 1024 /* of one object that are compared */

static inline bool json_string(const char **at)
{
	const char *text = *at;

	if (*text++ != '"')
		return false;
	while (*text != '"') {
		uint32_t code;
		size_t length = text_character(text, &code);

		if (code == TEXT_INVALID || code < 0x20)
			return false;
		text += length;
		if (code != '\\')
			continue;
		if (*text == 'u' && strspn(text + 1, "0123456789abcdefABCDEF") >= 4)
			text += 5;
		else if (*text && strchr("\"\\/bfnrt", *text))
			text++;
		else
			return false;
	}
	*at = text + 1;
	return true;
}

static inline bool json_literal(const char **at)
{
	static const char *const words[] = { "null", "true", "false" };
	size_t digits = strspn(*at, "0123456789");

	for (unsigned i = 0; i < 3; i++)
		if (!strncmp(*at, words[i], strlen(words[i]))) {
			*at += strlen(words[i]);
			return true;
		}
	if (!digits || (digits > 1 && **at == '0'))
		return false;
	*at += digits;
	return true;
}

static inline bool json_is_new(const char *const *keys, const size_t *lengths, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i++)
		if (lengths[i] == lengths[count - 1] && !memcmp(keys[i], keys[count - 1], lengths[i]))
			return false;
	return true;
}

/* Skips `character` and the space that the writer puts after it. */
static inline bool json_mark(const char **at, char character)
{
	if (**at != character)
		return false;
	++*at;
	*at += **at == ' ';
	return true;
}

static inline bool json_value(const char **at, unsigned depth)
{
	const char *keys[JSON_KEYS];
	size_t lengths[JSON_KEYS];
	bool object = **at == '{';
	unsigned count = 0;

	if (**at == '"')
		return json_string(at);
	if (!object && **at != '[')
		return json_literal(at);
	if (depth > JSON_DEPTH)
		return false;
	++*at;
	if (**at == (object ? '}' : ']')) {
		++*at;
		return true;
	}
	for (;;) {
		if (object) {
			const char *key = *at;

			if (!json_string(at))
				return false;
			if (count < JSON_KEYS) {
				keys[count] = key;
				lengths[count++] = (size_t)(*at - key);
				if (!json_is_new(keys, lengths, count))
					return false;
			}
			if (!json_mark(at, ':'))
				return false;
		}
		if (!json_value(at, depth + 1))
			return false;
		if (!json_mark(at, ','))
			break;
	}
	return *(*at)++ == (object ? '}' : ']');
}

/* Returns whether the text is one value and a newline. */
static inline bool json_is_sound(const char *text)
{
	return json_value(&text, 0) && !strcmp(text, "\n");
}

#endif
