/* SPDX-License-Identifier: MIT */
/* Reads the symbol table of an ELF file (System V ABI, chapters 4 and 5). */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol_file.h"

/* A file with its section headers. */
struct elf {
	const struct symbol_file *file;
	Elf64_Shdr *sections;
	unsigned count;
};

static int read_sections(struct elf *elf, struct error *error)
{
	Elf64_Ehdr header;
	char *bytes = symbol_file_read(elf->file, 0, sizeof(header), error);

	if (!bytes)
		return -1;
	memcpy(&header, bytes, sizeof(header));
	free(bytes);
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_AARCH64)
		return error_set(error, EINVAL, "it is not for a little-endian 64-bit Arm processor");
	if (!header.e_shnum || header.e_shentsize != sizeof(Elf64_Shdr))
		return error_set(error, EBADMSG, "it has no sections");
	bytes = symbol_file_read(elf->file, header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr), error);
	if (!bytes)
		return -1;
	elf->sections = (Elf64_Shdr *)(void *)bytes;
	elf->count = header.e_shnum;
	return 0;
}

/* Skips the assembler's own symbols ("$x", ".L1"). */
static bool is_code(const struct elf *elf, const Elf64_Sym *symbol, const char *name)
{
	return symbol->st_shndx < elf->count && (elf->sections[symbol->st_shndx].sh_flags & SHF_EXECINSTR) &&
	       ELF64_ST_TYPE(symbol->st_info) != STT_SECTION && *name && *name != '$' && *name != '.';
}

static int add_table(struct symbols *symbols, const struct elf *elf, const Elf64_Shdr *table, struct error *error)
{
	const Elf64_Shdr *strings = &elf->sections[table->sh_link];
	Elf64_Sym *items;
	int result = 0;

	symbols->texts = symbol_file_read(elf->file, strings->sh_offset, strings->sh_size, error);
	if (!symbols->texts)
		return -1;
	items = (Elf64_Sym *)(void *)symbol_file_read(elf->file, table->sh_offset, table->sh_size, error);
	if (!items)
		return -1;
	for (size_t i = 0; result == 0 && i < table->sh_size / sizeof(*items); i++) {
		/* st_name may equal sh_size: it refers to the zero that symbol_file_read() appends. */
		if (items[i].st_name > strings->sh_size)
			result = error_set(error, EBADMSG, "the name of symbol %zu lies outside of its table", i);
		else if (is_code(elf, &items[i], symbols->texts + items[i].st_name))
			result = symbols_add(symbols, items[i].st_value, symbols->texts + items[i].st_name, error);
	}
	free(items);
	return result;
}

static int add_symbols(struct symbols *symbols, const struct elf *elf, struct error *error)
{
	for (unsigned i = 0; i < elf->count; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type != SHT_SYMTAB)
			continue;
		if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_link >= elf->count)
			return error_set(error, EBADMSG, "its symbol table is malformed");
		return add_table(symbols, elf, section, error);
	}
	return error_set(error, ENOENT, "it has no symbol table: it was stripped");
}

int symbols_read_elf(struct symbols *symbols, const struct symbol_file *file, struct error *error)
{
	struct elf elf = { .file = file };
	int result;

	if (read_sections(&elf, error) < 0)
		return -1;
	result = add_symbols(symbols, &elf, error);
	free(elf.sections);
	return result;
}
