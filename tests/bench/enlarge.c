/* SPDX-License-Identifier: MIT */
/*
 * enlarge FROM TO MIB [DENSE-MIB]: writes TO, the snapshot FROM of a machine with MIB of RAM. DENSE-MIB of it, after FROM's
 * RAM, are random bytes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/io.h"
#include "snapshot/snapshot.h"

static void give_up(const struct error *error)
{
	fprintf(stderr, "enlarge: %s\n", error->text);
	exit(1);
}

static void copy_section(struct section_writer *to, const struct section *from, uint64_t memory)
{
	struct error error;
	struct field field;
	size_t offset = 0;

	section_begin(to, from->name, from->version, from->flags);
	while (field_next(&from->fields, &offset, &field, &error) > 0) {
		if (!strcmp(from->name, "machine") && !strcmp(field.name, "memory"))
			field_add_number(&to->buffer, field.name, memory);
		else
			field_add(&to->buffer, field.name, field.size, field.count, field.values);
	}
	section_end(to);
}

static void fill(uint8_t *bytes, uint64_t size)
{
	uint64_t value = 88172645463325252ull;

	for (uint64_t at = 0; at < size; at += sizeof(value)) {
		value ^= value << 13;
		value ^= value >> 7;
		value ^= value << 17;
		memcpy(bytes + at, &value, sizeof(value));
	}
}

int main(int argc, char **argv)
{
	uint64_t size = argc > 3 ? strtoull(argv[3], NULL, 0) << 20 : 0, dense = argc > 4 ? strtoull(argv[4], NULL, 0) << 20 : 0;
	struct section_writer sections = { 0 };
	struct snapshot_writer writer = { 0 };
	struct snapshot from;
	struct error error;
	struct ram ram;

	if (argc < 4) {
		fputs("usage: enlarge FROM TO MIB [DENSE-MIB]\n", stderr);
		return 2;
	}
	if (snapshot_open(&from, argv[1], &error) < 0 || ram_open(&ram, from.ram_base, size, &error) < 0)
		give_up(&error);
	if (size < from.ram_size || dense > size - from.ram_size ||
	    pread_full(from.fd, ram.host, from.ram_size, (off_t)from.ram_offset) != (ssize_t)from.ram_size) {
		error_set(&error, 0, "that is too small");
		give_up(&error);
	}
	fill(ram.host + from.ram_size, dense);
	for (size_t i = 0; i < from.sections.count; i++)
		if (strncmp(from.sections.items[i].name, "ram", 3) != 0)
			copy_section(&sections, &from.sections.items[i], size);
	writer.ram = &ram;
	writer.fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (writer.fd < 0 || snapshot_write(&writer, &sections.buffer, &error) < 0)
		give_up(&error);
	snapshot_end(&writer);
	close(writer.fd);
	byte_buffer_free(&sections.buffer);
	ram_close(&ram);
	snapshot_close(&from);
	return 0;
}
