/* SPDX-License-Identifier: MIT */
/*
 * Parses the values of command-line options. Each function returns 0, or -1 with an error that names the bad text and
 * describes the accepted form. The caller adds the option's name with error_context(). Signs, spaces and text after the value
 * are errors.
 */
#ifndef LKVM_UTIL_PARSE_H
#define LKVM_UTIL_PARSE_H

#include <stdint.h>

#include "util/err.h"

/* Parses a number from `minimum` to `maximum`: decimal, or hexadecimal after "0x". */
int parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value, struct error *error);

/* Parses a size: a decimal number and B, K, M, G, T or P in either case. Without a letter it is in MiB, as with kvmtool. */
int parse_size(const char *text, uint64_t *bytes, struct error *error);

/* Returns the letter of a text that parse_size() accepted, or 'M' if it has none. */
char parse_size_unit(const char *text);

/* Formats a size in the unit of that letter, rounded up to hundredths: "1.25 GiB". */
#define PARSE_SIZE_TEXT 32
void format_size(uint64_t bytes, char unit, char text[PARSE_SIZE_TEXT]);

/*
 * Parses a range as "0x80000000-0x80100000", the first byte and the byte after the last, or as "0x80000000+1M". The result is
 * [*from, *end), which is not empty.
 */
int parse_range(const char *text, uint64_t *from, uint64_t *end, struct error *error);

/* Parses a MAC address as "52:54:00:12:34:56". Group addresses and all zeroes are errors, as no interface can have them. */
int parse_mac(const char *text, uint8_t mac[6], struct error *error);

/*
 * Takes the next item off a list such as "mode=tap,tapif=tap0,vhost". Returns 1, with `key` and `value` pointing into the
 * list; `value` is NULL if the item has no "=". Returns 0 at the end. An item without a key is an error. The list changes:
 * the separating commas and equal signs become terminators.
 */
int parse_pair(char **list, const char **key, const char **value, struct error *error);

#endif
