/* SPDX-License-Identifier: MIT */
/* Opens a file of symbols, sorts the symbols, and finds names for addresses. */
#include "inspect/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol_file.h"
#include "util/io.h"

#define MAX_DISTANCE 0x10000u /* bytes from a symbol: no function is longer */

/* Reads a System.map, which has lines like "ffff800008010000 T name". t, w and W are code, too. */
static int read_map(struct symbols *symbols, const struct symbol_file *file, struct error *error)
{
	unsigned number = 0;
	char *rest;

	symbols->texts = symbol_file_read(file, 0, file->size, error);
	if (!symbols->texts)
		return -1;
	rest = symbols->texts;
	for (char *line; (line = strsep(&rest, "\n"));) {
		size_t digits = strspn(line, "0123456789abcdefABCDEF");

		number++;
		if (!*line)
			continue;
		if (!digits || digits > 16 || line[digits] != ' ' || !line[digits + 1] || line[digits + 2] != ' ' ||
		    !line[digits + 3])
			return error_set(error, EBADMSG, "it is not an ELF file, and line %u is not a symbol of a System.map",
					 number);
		if (!strchr("tTwW", line[digits + 1]))
			continue;
		if (symbols_add(symbols, strtoull(line, NULL, 16), line + digits + 3, error) < 0)
			return -1;
	}
	return 0;
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* Sorts by address, then by leading underscores: a function's name has fewer than the linker script's symbols. */
static int compare_symbols(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	if (underscores(a->name) != underscores(b->name))
		return underscores(a->name) < underscores(b->name) ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int read_symbols(struct symbols *symbols, int fd, struct error *error)
{
	struct symbol_file file = { .fd = fd };
	char magic[4] = "";
	struct stat status;
	int result;

	if (fstat(fd, &status) < 0)
		return error_system(error, errno, "reading it");
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "it is not a regular file");
	file.size = (uint64_t)status.st_size;
	if (pread_full(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, "\177ELF", 4))
		result = symbols_read_elf(symbols, &file, error);
	else
		result = read_map(symbols, &file, error);
	if (result == 0 && !symbols->count)
		return error_set(error, ENOENT, "it has no symbols of code");
	return result;
}

int symbols_open(struct symbols *symbols, const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;

	*symbols = (struct symbols){ 0 };
	if (fd < 0)
		return error_system(error, errno, "%s", path);
	result = read_symbols(symbols, fd, error);
	close(fd);
	if (result < 0) {
		symbols_close(symbols);
		return error_context(error, "%s", path);
	}
	qsort(symbols->items, symbols->count, sizeof(*symbols->items), compare_symbols);
	return 0;
}

void symbols_close(struct symbols *symbols)
{
	free(symbols->items);
	free(symbols->texts);
	*symbols = (struct symbols){ 0 };
}

bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address)
{
	for (size_t i = 0; i < symbols->count; i++) {
		if (strcmp(symbols->items[i].name, name) != 0)
			continue;
		*address = symbols->items[i].address;
		return true;
	}
	return false;
}

/* Counts the symbols at or below the address. */
static size_t count_up_to(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->items[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool symbols_name(const struct symbols *symbols, uint64_t address, char text[SYMBOL_TEXT_LENGTH])
{
	uint64_t wanted = address - symbols->kaslr_offset, start;
	size_t index = count_up_to(symbols, wanted);

	if (!index)
		return false;
	start = symbols->items[--index].address;
	if (wanted - start >= MAX_DISTANCE)
		return false;
	while (index > 0 && symbols->items[index - 1].address == start)
		index--;
	if (wanted == start)
		snprintf(text, SYMBOL_TEXT_LENGTH, "%.64s", symbols->items[index].name);
	else
		snprintf(text, SYMBOL_TEXT_LENGTH, "%.64s+0x%" PRIx64, symbols->items[index].name, wanted - start);
	return true;
}
