/* SPDX-License-Identifier: MIT */
/* A minimal reader of device trees (Devicetree Specification 0.4, chapter 5). */
#include "lib/parameters.h"

#include <stddef.h>

enum { FDT_MAGIC = 0xd00dfeed, FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROPERTY = 3, FDT_NOP = 4 };
enum { HEADER_MAGIC, HEADER_SIZE, HEADER_STRUCTURE, HEADER_STRINGS }; /* 32-bit words */

static const char *bootargs = "";
const void *device_tree;
uint64_t ram_size;

static uint32_t big_endian(const uint32_t *word)
{
	return __builtin_bswap32(*word);
}

/* Returns the length of `prefix` if `text` starts with it, else 0. */
static size_t starts_with(const char *text, const char *prefix)
{
	size_t length = 0;

	for (; prefix[length]; length++)
		if (text[length] != prefix[length])
			return 0;
	return length;
}

static bool equal(const char *a, const char *b)
{
	size_t length = starts_with(a, b);

	return length && !a[length];
}

void parameters_open(const void *fdt)
{
	const uint32_t *header = fdt;
	const char *bytes = fdt;
	const uint32_t *word;
	bool in_memory = false;

	if (!fdt || big_endian(&header[HEADER_MAGIC]) != FDT_MAGIC)
		return;
	device_tree = fdt;
	word = header + big_endian(&header[HEADER_STRUCTURE]) / 4;
	for (;;) {
		uint32_t token = big_endian(word++);

		if (token == FDT_BEGIN_NODE) {
			const char *name = (const char *)word;
			size_t length = 0;

			in_memory = starts_with(name, "memory@");
			while (name[length])
				length++;
			word += length / 4 + 1;
		} else if (token == FDT_PROPERTY) {
			uint32_t length = big_endian(word);
			const char *name = bytes + big_endian(&header[HEADER_STRINGS]) + big_endian(word + 1);

			word += 2;
			if (equal(name, "bootargs"))
				bootargs = (const char *)word;
			else if (in_memory && equal(name, "reg"))
				ram_size = (uint64_t)big_endian(word + 2) << 32 | big_endian(word + 3);
			word += (length + 3) / 4;
		} else if (token != FDT_END_NODE && token != FDT_NOP) {
			return;
		}
	}
}

/* Returns the text after "name=", which ends with a space, or NULL without this parameter. */
static const char *find(const char *name)
{
	const char *text = bootargs;

	while (*text) {
		size_t length = starts_with(text, name);

		if (length && text[length] == '=')
			return text + length + 1;
		while (*text && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return NULL;
}

uint64_t parameter_number(const char *name, uint64_t fallback)
{
	const char *text = find(name);
	uint64_t value = 0, base = 10;

	if (!text)
		return fallback;
	if (starts_with(text, "0x")) {
		base = 16;
		text += 2;
	}
	for (; *text && *text != ' '; text++) {
		char c = *text | 0x20;
		uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') :
				 c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) : base;

		if (digit >= base)
			return fallback;
		value = value * base + digit;
	}
	return value;
}

bool parameter_lists(const char *name, const char *word)
{
	const char *text = find(name);

	if (!text)
		return true;
	for (;;) {
		size_t length = starts_with(text, word);

		if (length && (text[length] == ',' || text[length] == ' ' || !text[length]))
			return true;
		while (*text && *text != ',' && *text != ' ')
			text++;
		if (*text != ',')
			return false;
		text++;
	}
}
