/* SPDX-License-Identifier: MIT */
/* Parses numbers, sizes, ranges, addresses and lists of items. */
#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Returns the value of a digit in bases up to 16, or 16 if it is no digit. */
static unsigned digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0');
	if (digit >= 'a' && digit <= 'f')
		return (unsigned)(digit - 'a') + 10;
	if (digit >= 'A' && digit <= 'F')
		return (unsigned)(digit - 'A') + 10;
	return 16;
}

enum digits { DIGITS_NONE, DIGITS_OVERFLOW, DIGITS_GOOD };

/* Reads digits and moves `*text` to their end. strtoull() would also accept spaces and signs. */
static enum digits read_digits(const char **text, unsigned base, uint64_t *value)
{
	enum digits result = DIGITS_NONE;

	*value = 0;
	for (; digit_value(**text) < base; (*text)++) {
		if (result == DIGITS_NONE)
			result = DIGITS_GOOD;
		if (__builtin_mul_overflow(*value, base, value) ||
		    __builtin_add_overflow(*value, digit_value(**text), value))
			result = DIGITS_OVERFLOW;
	}
	return result;
}

int parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value, struct error *error)
{
	bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *end = text + (hexadecimal ? 2 : 0);
	enum digits digits = read_digits(&end, hexadecimal ? 16 : 10, value);

	if (digits == DIGITS_NONE || *end)
		return error_set(error, EINVAL, "\"%.100s\" is not a number", text);
	if (digits == DIGITS_OVERFLOW || *value < minimum || *value > maximum)
		return error_set(error, ERANGE, "%.100s is not in the range from %" PRIu64 " to %" PRIu64, text,
				 minimum, maximum);
	return 0;
}

/* Returns the unit's power of two, or -1 if the letter is no unit. */
static int unit_shift(char unit)
{
	switch (unit) {
	case 'b':
	case 'B':
		return 0;
	case 'k':
	case 'K':
		return 10;
	case '\0': /* MiB, as with kvmtool */
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	case 't':
	case 'T':
		return 40;
	case 'p':
	case 'P':
		return 50;
	default:
		return -1;
	}
}

int parse_size(const char *text, uint64_t *bytes, struct error *error)
{
	const char *unit = text;
	uint64_t number;
	enum digits digits = read_digits(&unit, 10, &number);
	int shift = unit_shift(*unit);

	if (digits == DIGITS_NONE || shift < 0 || (*unit && unit[1]))
		return error_set(error, EINVAL, "\"%.100s\" is not a size as 512M, 2G, or 256 (MiB)", text);
	if (digits == DIGITS_OVERFLOW || number > UINT64_MAX >> shift)
		return error_set(error, ERANGE, "%.100s is more than a computer can have", text);
	*bytes = number << shift;
	return 0;
}

char parse_size_unit(const char *text)
{
	char last = text[0] ? text[strlen(text) - 1] : '\0';

	return unit_shift(last) < 0 || !last ? 'M' : last;
}

void format_size(uint64_t bytes, char unit, char text[PARSE_SIZE_TEXT])
{
	static const char *const names[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned shift = (unsigned)(unit_shift(unit) < 0 ? unit_shift('M') : unit_shift(unit));
	uint64_t rest = bytes & ((UINT64_C(1) << shift) - 1), unit_size = UINT64_C(1) << shift;
	uint64_t whole = bytes >> shift, hundredths = (rest * 100 + unit_size - 1) >> shift;

	if (hundredths == 100) {
		whole++;
		hundredths = 0;
	}
	if (hundredths)
		snprintf(text, PARSE_SIZE_TEXT, "%" PRIu64 ".%02" PRIu64 " %s", whole, hundredths, names[shift / 10]);
	else
		snprintf(text, PARSE_SIZE_TEXT, "%" PRIu64 " %s", whole, names[shift / 10]);
}

/* Parses an address or a size: hexadecimal, or in any form that parse_size() accepts. */
static int parse_bytes(const char *text, uint64_t *value, struct error *error)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? parse_number(text, 0, UINT64_MAX, value, error) :
								       parse_size(text, value, error);
}

int parse_range(const char *text, uint64_t *from, uint64_t *end, struct error *error)
{
	size_t length = strcspn(text, "-+");
	char first[32];

	if (!text[length] || length >= sizeof(first))
		return error_set(error, EINVAL, "\"%.100s\" is not a range: START-END or START+SIZE", text);
	memcpy(first, text, length);
	first[length] = '\0';
	if (parse_bytes(first, from, error) < 0 || parse_bytes(text + length + 1, end, error) < 0)
		return -1;
	if (text[length] == '+' && __builtin_add_overflow(*from, *end, end))
		return error_set(error, ERANGE, "%.100s ends beyond all addresses", text);
	if (*from >= *end)
		return error_set(error, EINVAL, "%.100s is empty", text);
	return 0;
}

int parse_mac(const char *text, uint8_t mac[6], struct error *error)
{
	const char *at = text;
	uint8_t any = 0;

	for (unsigned i = 0; i < 6; i++) {
		unsigned high = digit_value(at[0]);
		unsigned low = high < 16 ? digit_value(at[1]) : 16;

		if (low == 16 || at[2] != (i < 5 ? ':' : '\0'))
			return error_set(error, EINVAL, "\"%.100s\" is not a MAC address as 52:54:00:12:34:56",
					 text);
		mac[i] = (uint8_t)(high << 4 | low);
		any |= mac[i];
		at += 3;
	}
	if (mac[0] & 1 || !any)
		return error_set(error, EINVAL, "%s is a MAC address that no interface can have", text);
	return 0;
}

int parse_pair(char **list, const char **key, const char **value, struct error *error)
{
	char *item = *list;
	char *end, *equals;

	if (!*item)
		return 0;
	end = strchrnul(item, ',');
	if (end == item || *item == '=' || (*end && !end[1]))
		return error_set(error, EINVAL, "\"%.100s\" has an item without a name", item);
	*list = *end ? end + 1 : end;
	*end = '\0';

	equals = strchr(item, '=');
	if (equals)
		*equals++ = '\0';
	*key = item;
	*value = equals;
	return 1;
}
