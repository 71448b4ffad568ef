/* SPDX-License-Identifier: MIT */
/* Reads parts of a file of symbols, and appends symbols to the list. */
#include "symbol_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"

char *symbol_file_read(const struct symbol_file *file, uint64_t offset, uint64_t size, struct error *error)
{
	ssize_t got;
	char *bytes;

	if (offset > file->size || size > file->size - offset) {
		error_set(error, EBADMSG, "it refers to %" PRIu64 " bytes at %" PRIu64 ", beyond its end", size,
			  offset);
		return NULL;
	}
	if (size > SYMBOL_FILE_LIMIT) {
		error_set(error, EFBIG, "%" PRIu64 " MiB of symbols are too much", size >> 20);
		return NULL;
	}
	bytes = malloc(size + 1);
	if (!bytes) {
		error_system(error, ENOMEM, "%" PRIu64 " MiB of symbols", size >> 20);
		return NULL;
	}
	got = pread_full(file->fd, bytes, size, (off_t)offset);
	if (got < 0 || (uint64_t)got < size) {
		error_system(error, got < 0 ? (int)-got : EIO, "reading it");
		free(bytes);
		return NULL;
	}
	bytes[size] = '\0';
	return bytes;
}

int symbols_add(struct symbols *symbols, uint64_t address, const char *name, struct error *error)
{
	if (strnlen(name, SYMBOL_NAME_LIMIT + 1) > SYMBOL_NAME_LIMIT)
		return 0;
	/* The array grows by doubling, so it is full if `count` is a power of two. */
	if ((symbols->count & (symbols->count - 1)) == 0) {
		size_t capacity = symbols->count ? symbols->count * 2 : 1;
		struct symbol *items = reallocarray(symbols->items, capacity, sizeof(*items));

		if (!items)
			return error_system(error, ENOMEM, "%zu symbols", capacity);
		symbols->items = items;
	}
	symbols->items[symbols->count++] = (struct symbol){ .address = address, .name = name };
	return 0;
}
