/* SPDX-License-Identifier: MIT */
/* Shared by the readers of System.map and of ELF files. */
#ifndef INSPECT_SYMBOL_FILE_H
#define INSPECT_SYMBOL_FILE_H

#include "inspect/symbols.h"

#define SYMBOL_FILE_LIMIT (64ull << 20) /* bytes of one symbol_file_read() */

struct symbol_file {
	int fd;
	uint64_t size;
};

/* Returns `size` bytes and a terminating zero, which the caller frees, or NULL with an error. */
char *symbol_file_read(const struct symbol_file *file, uint64_t offset, uint64_t size, struct error *error);

/* symbols_add() ignores longer names: the kernel has none (KSYM_NAME_LEN). `name` must outlive the symbols. */
#define SYMBOL_NAME_LIMIT 512u
int symbols_add(struct symbols *symbols, uint64_t address, const char *name, struct error *error);

/* Adds the functions of an ELF file. `texts` becomes its string table. */
int symbols_read_elf(struct symbols *symbols, const struct symbol_file *file, struct error *error);

#endif
