/* SPDX-License-Identifier: MIT */
/*
 * Makes text from guests, users and files safe to print. Whatever its bytes were, the result is valid UTF-8 without control
 * characters.
 */
#ifndef LKVM_UTIL_TEXT_H
#define LKVM_UTIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_INVALID UINT32_MAX

/*
 * Decodes one UTF-8 character of a terminated string, which must not be empty. Returns its length in bytes, and its code
 * point in `code`. A byte that begins no valid character has length 1 and the code TEXT_INVALID.
 */
size_t text_character(const char *text, uint32_t *code);

/* Replaces each byte of a control character, and each byte that is not UTF-8, by a question mark, in place. */
void text_make_printable(char *text);

/* Returns the number of characters (not bytes) of a printable text: its columns, if each character takes one. */
size_t text_columns(const char *text);

#endif
