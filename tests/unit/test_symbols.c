/* SPDX-License-Identifier: MIT */
/* inspect/symbols.c and symbols_elf.c: names of addresses, from valid and from hostile files. */
#include "unit/test.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/symbols.h"
#include "util/bits.h"

static const char path[] = "symbols";

static void write_file(const void *bytes, size_t size)
{
	FILE *file = fopen(path, "we");

	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void open_good(struct symbols *symbols)
{
	struct error error;

	if (symbols_open(symbols, path, &error) < 0)
		fail_msg("%s", error.text);
}

static void assert_refused(const char *sentence)
{
	struct symbols symbols;
	struct error error;

	assert_int_equal(symbols_open(&symbols, path, &error), -1);
	assert_string_equal(error.text, sentence);
	assert_null(symbols.items);
	assert_null(symbols.texts);
}

static void assert_name(const struct symbols *symbols, uint64_t address, const char *expected)
{
	char text[SYMBOL_TEXT_LENGTH];

	assert_int_equal(symbols_name(symbols, address, text), expected != NULL);
	if (expected)
		assert_string_equal(text, expected);
}

static const char map[] = "ffff800080000000 T _text\n"
			  "ffff800080010000 T __irqentry_text_start\n"
			  "ffff800080010000 t handle\n"
			  "ffff800080010100 W schedule\n"
			  "ffff800080010800 T vectors\n"
			  "ffff800080010900 d not_code\n"
			  "ffff800080000400 T out_of_order\n";

static void symbols_are_read_from_a_map(void **state)
{
	struct symbols symbols;
	uint64_t address;

	(void)state;
	write_file(map, strlen(map));
	open_good(&symbols);
	assert_int_equal(symbols.count, 6);
	assert_name(&symbols, 0xffff80007fffffff, NULL);
	assert_name(&symbols, 0xffff800080000000, "_text");
	assert_name(&symbols, 0xffff8000800003ff, "_text+0x3ff");
	assert_name(&symbols, 0xffff800080000400, "out_of_order");
	assert_name(&symbols, 0xffff800080010004, "handle+0x4"); /* not the linker script's symbol */
	assert_name(&symbols, 0xffff800080010100, "schedule");
	assert_name(&symbols, 0xffff800080010904, "vectors+0x104");
	assert_name(&symbols, 0xffff8000800207ff, "vectors+0xffff");
	assert_name(&symbols, 0xffff800080020800, NULL); /* too far */
	assert_true(symbols_find(&symbols, "vectors", &address));
	assert_true(address == 0xffff800080010800);
	assert_false(symbols_find(&symbols, "not_code", &address));
	symbols.kaslr_offset = 0x200000;
	assert_name(&symbols, 0xffff800080210110, "schedule+0x10");
	assert_name(&symbols, 0xffff800080010110, NULL);
	symbols.kaslr_offset = -0xffff800000000000ull; /* an address below the kernel's */
	assert_name(&symbols, 0x80010110, "schedule+0x10");
	symbols_close(&symbols);
}

static void file_is_refused_when_it_is_no_map(void **state)
{
	static const char no_map[] = "symbols: it is not an ELF file, and line %u is not a symbol of a System.map";
	static const struct {
		const char *text;
		unsigned line;
	} cases[] = {
		{ "ffff800080000000 T a\nhello\n", 2 }, { "T a\n", 1 },	  { "ffff800080000000\n", 1 },
		{ "ffff800080000000 T\n", 1 },		{ "ff T \n", 1 }, { "00000000000000000 T a\n", 1 },
		{ "ff TT a\n", 1 },			{ " ff T a\n", 1 },
	};
	char sentence[128];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		write_file(cases[i].text, strlen(cases[i].text));
		snprintf(sentence, sizeof(sentence), no_map, cases[i].line);
		assert_refused(sentence);
	}
	/* Debian's placeholder: the real System.map is in another package. */
	write_file("ffffffffffffffff B The real System.map is elsewhere\n", 52);
	assert_refused("symbols: it has no symbols of code");
	write_file("", 0);
	assert_refused("symbols: it has no symbols of code");
	unlink(path);
	assert_refused("symbols: No such file or directory");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused("symbols: it is not a regular file");
	rmdir(path);
	assert_int_equal(mkfifo(path, 0700), 0);
	assert_refused("symbols: it is not a regular file");
	unlink(path);
}

static void names_are_cut_or_dropped_when_they_are_long(void **state)
{
	char text[1024], expected[SYMBOL_TEXT_LENGTH];
	struct symbols symbols;
	int length;

	(void)state;
	length = snprintf(text, sizeof(text), "1000 T %0*d\n2000 T %0*d\n3000 T end", 100, 7, 513, 7);
	write_file(text, (size_t)length);
	open_good(&symbols);
	assert_int_equal(symbols.count, 2);
	snprintf(expected, sizeof(expected), "%064d+0x1800", 0);
	assert_name(&symbols, 0x2800, expected);
	assert_name(&symbols, 0x3000, "end");
	symbols_close(&symbols);
}

/* An ELF file with a code section, a data section, symbols and their names. */
struct elf_file {
	Elf64_Ehdr header;
	Elf64_Shdr sections[5];
	Elf64_Sym symbols[7];
	char names[32];
};

#define NAMES "\0vectors\0data\0$x\0.L1\0end"

static struct elf_file good_elf(void)
{
	struct elf_file file = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB }, .e_machine = EM_AARCH64,
			    .e_shoff = offsetof(struct elf_file, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 5 },
		.sections = {
			[1] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR },
			[2] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_WRITE },
			[3] = { .sh_type = SHT_SYMTAB, .sh_entsize = sizeof(Elf64_Sym), .sh_link = 4,
				.sh_offset = offsetof(struct elf_file, symbols), .sh_size = 7 * sizeof(Elf64_Sym) },
			[4] = { .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct elf_file, names), .sh_size = sizeof(NAMES) },
		},
		.symbols = {
			[1] = { .st_name = 1, .st_shndx = 1, .st_value = 0x80080000 },
			[2] = { .st_name = 9, .st_shndx = 2, .st_value = 0x80080010 },
			[3] = { .st_name = 14, .st_shndx = 1, .st_value = 0x80080020 },
			[4] = { .st_name = 17, .st_shndx = 1, .st_value = 0x80080030 },
			[5] = { .st_name = 21, .st_shndx = 1, .st_value = 0x80081000, .st_info = STT_FUNC },
			[6] = { .st_name = 9, .st_shndx = SHN_ABS, .st_value = 0x80080040 },
		},
		.names = NAMES,
	};

	return file;
}

static void symbols_are_read_from_an_elf_file(void **state)
{
	struct elf_file file = good_elf();
	struct symbols symbols;

	(void)state;
	write_file(&file, sizeof(file));
	open_good(&symbols);
	assert_int_equal(symbols.count, 2);
	assert_name(&symbols, 0x80080044, "vectors+0x44");
	assert_name(&symbols, 0x80081000, "end");
	symbols_close(&symbols);
}

static void assert_elf_refused(const struct elf_file *file, const char *sentence)
{
	write_file(file, sizeof(*file));
	assert_refused(sentence);
}

static void elf_file_is_refused_when_it_is_damaged(void **state)
{
	struct elf_file file = good_elf();

	(void)state;
	file.header.e_machine = EM_X86_64;
	assert_elf_refused(&file, "symbols: it is not for a little-endian 64-bit Arm processor");
	file = good_elf();
	file.header.e_shnum = 0;
	assert_elf_refused(&file, "symbols: it has no sections");
	file = good_elf();
	file.header.e_shentsize = 40;
	assert_elf_refused(&file, "symbols: it has no sections");
	file = good_elf();
	file.header.e_shoff = ~0ull - 7;
	assert_elf_refused(&file, "symbols: it refers to 320 bytes at 18446744073709551608, beyond its end");
	file = good_elf();
	file.sections[3].sh_size = ~0ull;
	assert_elf_refused(&file, "symbols: it refers to 18446744073709551615 bytes at 384, beyond its end");
	file = good_elf();
	file.sections[4].sh_size = sizeof(file);
	assert_elf_refused(&file, "symbols: it refers to 584 bytes at 552, beyond its end");
	file = good_elf();
	file.sections[3].sh_link = 5;
	assert_elf_refused(&file, "symbols: its symbol table is malformed");
	file = good_elf();
	file.sections[3].sh_entsize = 0;
	assert_elf_refused(&file, "symbols: its symbol table is malformed");
	file = good_elf();
	file.sections[3].sh_type = SHT_NOBITS;
	assert_elf_refused(&file, "symbols: it has no symbol table: it was stripped");
	file = good_elf();
	file.symbols[5].st_name = sizeof(NAMES) + 1;
	assert_elf_refused(&file, "symbols: the name of symbol 5 lies outside of its table");
	file = good_elf();
	write_file(&file, 20);
	assert_refused("symbols: it refers to 64 bytes at 0, beyond its end");
}

/* The last name is not terminated, and its table is at the end of the file. */
static void names_end_with_their_table(void **state)
{
	struct elf_file file = good_elf();
	struct symbols symbols;

	(void)state;
	file.sections[4].sh_size = 23; /* "en" */
	write_file(&file, offsetof(struct elf_file, names) + 23);
	open_good(&symbols);
	assert_name(&symbols, 0x80081000, "en");
	symbols_close(&symbols);
	file.symbols[5].st_name = 23; /* the end of the table: an empty name */
	write_file(&file, offsetof(struct elf_file, names) + 23);
	open_good(&symbols);
	assert_int_equal(symbols.count, 1);
	symbols_close(&symbols);
}

static void elf_file_is_refused_when_it_has_too_many_symbols(void **state)
{
	struct elf_file file = good_elf();

	(void)state;
	file.sections[3].sh_size = (64ull << 20) + 24;
	write_file(&file, sizeof(file));
	assert_int_equal(truncate(path, 128 << 20), 0);
	assert_refused("symbols: 64 MiB of symbols are too much");
}

static int enter(void **state)
{
	static char directory[] = "/tmp/lkvm-symbols-XXXXXX";

	*state = mkdtemp(directory);
	return chdir(directory);
}

static int leave(void **state)
{
	unlink(path);
	return rmdir(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symbols_are_read_from_a_map),
		cmocka_unit_test(file_is_refused_when_it_is_no_map),
		cmocka_unit_test(names_are_cut_or_dropped_when_they_are_long),
		cmocka_unit_test(symbols_are_read_from_an_elf_file),
		cmocka_unit_test(elf_file_is_refused_when_it_is_damaged),
		cmocka_unit_test(names_end_with_their_table),
		cmocka_unit_test(elf_file_is_refused_when_it_has_too_many_symbols),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
