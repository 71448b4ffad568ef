/* SPDX-License-Identifier: MIT */
/* What readers of the two kinds of symbol files share. */
#ifndef INSPECT_SYMBOL_FILE_H
#define INSPECT_SYMBOL_FILE_H

#include "inspect/symbols.h"

#define SYMBOL_FILE_LIMIT (64ull << 20) /* bytes that are read at once */

struct symbol_file {
	int fd;
	uint64_t size;
};

/* So many bytes, and a zero behind them; NULL and a sentence. To be freed. */
char *symbol_file_read(const struct symbol_file *file, uint64_t offset, uint64_t size, struct error *error);

/* What is longer than any name of the kernel's (KSYM_NAME_LEN) is left out. */
#define SYMBOL_NAME_LIMIT 512u
int symbols_add(struct symbols *symbols, uint64_t address, const char *name, struct error *error);

/* Adds the code of an ELF file; `texts` becomes its string table. */
int symbols_read_elf(struct symbols *symbols, const struct symbol_file *file, struct error *error);

#endif
