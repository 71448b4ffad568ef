/* SPDX-License-Identifier: MIT */
/*
 * Names of functions of a guest kernel, from its System.map or its ELF file (vmlinux). The file may be hostile. Reading it
 * takes memory in proportion to its size, up to a limit.
 */
#ifndef LKVM_INSPECT_SYMBOLS_H
#define LKVM_INSPECT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct symbol {
	uint64_t address; /* in the file, without the KASLR offset */
	const char *name;
};

struct symbols {
	struct symbol *items; /* of code, sorted by address; of several at one address the preferred name is first */
	size_t count;
	char *texts; /* storage of the names */
	uint64_t kaslr_offset; /* guest address less file address, modulo 2^64: the kernel may move itself (KASLR) */
};

/* Reads the symbols, with a KASLR offset of 0. After a failure the symbols are closed. */
int symbols_open(struct symbols *symbols, const char *path, struct error *error);
void symbols_close(struct symbols *symbols);

/* Finds the address of a symbol in the file. False: no symbol has that name. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

/* Writes a text such as "schedule+0x1c" for a guest address. False: no symbol is near. */
#define SYMBOL_TEXT_LENGTH 96
bool symbols_name(const struct symbols *symbols, uint64_t address, char text[SYMBOL_TEXT_LENGTH]);

#endif
