/* SPDX-License-Identifier: MIT */
/*
 * Names of a guest kernel's code: from its System.map, or from its ELF file (vmlinux). The file may be hostile: it costs no
 * more than its size, up to a limit.
 */
#ifndef LKVM_INSPECT_SYMBOLS_H
#define LKVM_INSPECT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct symbol {
	uint64_t address; /* as the file says */
	const char *name;
};

struct symbols {
	struct symbol *items; /* of code, by address; of several at one address the best to show is first */
	size_t count;
	char *texts; /* that the names are in */
	uint64_t slide; /* added to a file's address, modulo 2^64, gives the guest's: the kernel may move itself (KASLR) */
};

/* The slide is 0. */
int symbols_open(struct symbols *symbols, const char *path, struct error *error);
void symbols_close(struct symbols *symbols);

/* The file's address of a symbol; false if it has none of that name. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

/* "schedule+0x1c" for a guest's address; false where no symbol is near. */
#define SYMBOL_TEXT_LENGTH 96
bool symbols_name(const struct symbols *symbols, uint64_t address, char text[SYMBOL_TEXT_LENGTH]);

#endif
