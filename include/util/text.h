/* SPDX-License-Identifier: MIT */
/*
 * Text from guests, users and files, made safe to show to a person. Whatever its bytes were, the result is valid UTF-8 and has no
 * control characters for a terminal.
 */
#ifndef LKVM_UTIL_TEXT_H
#define LKVM_UTIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_INVALID UINT32_MAX

/*
 * Reads one UTF-8 character of a terminated string that is not at its end: its length in bytes, and its code point in
 * `code`. A byte that begins no valid character counts as one of length 1, with TEXT_INVALID.
 */
size_t text_character(const char *text, uint32_t *code);

/* Replaces, in place, each control character and each byte that is not UTF-8 by question marks. */
void text_make_printable(char *text);

/* Characters (not bytes) of a printable text: columns, as far as one can tell without a terminal. */
size_t text_columns(const char *text);

#endif
