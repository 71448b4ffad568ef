/* SPDX-License-Identifier: MIT */
/*
 * Parses what users write on command lines. Each function returns 0, or -1 with an error that names the bad text and describes what
 * is accepted. The caller puts the option's name before it with error_context(). Signs, spaces and text after the value are errors.
 */
#ifndef LKVM_UTIL_PARSE_H
#define LKVM_UTIL_PARSE_H

#include <stdint.h>

#include "util/err.h"

/* Decimal, or hexadecimal after "0x", from `minimum` to `maximum`. */
int parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value, struct error *error);

/* A size in bytes: a decimal number and B, K, M, G, T or P in either case; without a letter MiB, as with kvmtool. */
int parse_size(const char *text, uint64_t *bytes, struct error *error);

/* The letter of a text that parse_size() accepted; 'M' where it has none. */
char parse_size_unit(const char *text);

/* The opposite, in the unit of that letter, rounded up to hundredths: "1.25 GiB". */
#define PARSE_SIZE_TEXT 32
void format_size(uint64_t bytes, char unit, char text[PARSE_SIZE_TEXT]);

/* "0x80000000-0x80100000", the first byte and the byte after the last, or "0x80000000+1M": [*from, *end), not empty. */
int parse_range(const char *text, uint64_t *from, uint64_t *end, struct error *error);

/* "52:54:00:12:34:56": an address that an interface can have, so not a group's and not all zeroes. */
int parse_mac(const char *text, uint8_t mac[6], struct error *error);

/*
 * Cuts the next item off a list as "mode=tap,tapif=tap0,vhost": 1, and `key` and `value` point into it; `value` is NULL
 * where the item has no "=". 0 at the end. An item without a key is an error. The list is changed: commas and equal
 * signs that separate become terminators.
 */
int parse_pair(char **list, const char **key, const char **value, struct error *error);

#endif
