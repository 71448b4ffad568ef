/* SPDX-License-Identifier: MIT */
/*
 * Applies edits to a real guest's snapshot (tests/golden/real-1.lkvm.gz) with an additional passed-through device, in memory.
 * RAM ends after the last page that has data. Only one source file of a program may include it. The program runs in the top
 * folder.
 */
#ifndef TESTS_FUZZ_EDITED_H
#define TESTS_FUZZ_EDITED_H

#include <linux/pci_regs.h>
#include <unistd.h>
#include <zlib.h>

#include "fuzz.h"
#include "inspect/inspect.h"
#include "util/bits.h"
#include "util/checksum.h"

#define GOLDEN "tests/golden/real-1.lkvm.gz"
#define RAM_SIZE (4u << 20)
#define MOST_SECTIONS 64u
#define MOST_FIELDS 400u  /* of a section */
#define MOST_EDITS 64u
#define MOST_ELEMENTS 4096u /* of a field that is edited, as config space has */
#define MOST_WORDS 4096u

enum edit_kind {
	EDIT_VALUE,   /* an element gets a value */
	EDIT_DROP,    /* removes a field */
	EDIT_TWICE,   /* repeats a field after the others, with `value` in its element */
	EDIT_SIZE,    /* elements get the size of 2 to the power of `value` % 4 bytes */
	EDIT_COUNT,   /* the field gets `value` elements; new ones equal the last */
	EDIT_NAME,    /* changes a letter of a field's name */
	EDIT_SECTION, /* changes a letter of a section's name */
	EDIT_LEAVE,   /* removes a section */
	EDIT_WORD,    /* changes a word near the `field`-th nonzero word of RAM that views read: `element` words after it */
	EDIT_RAM,     /* changes any word of RAM; `field` and `element` form its number */
	EDIT_KINDS,
};

struct edit {
	uint8_t kind, section;
	uint16_t field;
	uint32_t element;
	uint64_t value;
};

struct made_section {
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t version, flags, count;
	struct field fields[MOST_FIELDS];
	bool gone;
};

/* One of two compared snapshots. */
struct side {
	struct snapshot snapshot;
	struct inspection inspection;
	struct byte_buffer bytes;
	struct ram ram;
};

static struct {
	struct section_writer sections; /* the golden snapshot's */
	uint8_t ram[RAM_SIZE];
	uint32_t checksums[RAM_SIZE / FORMAT_RAM_CHUNK];
	uint64_t base, words[MOST_WORDS]; /* offsets of nonzero words, in bytes */
	unsigned word_count;
	struct side side;
} golden;

/* The sections and values of the current input. */
static struct made_section made[MOST_SECTIONS];
static size_t made_count;
static uint8_t values[MOST_EDITS][MOST_ELEMENTS * 8];
static uint8_t ram[RAM_SIZE];
static uint32_t checksums[RAM_SIZE / FORMAT_RAM_CHUNK];

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct ram *from = owner;
	const void *bytes = ram_at(from, address, size);

	(void)error;
	fuzz_must(bytes != NULL);
	memcpy(to, bytes, size);
	return 0;
}

/* Opens a side whose `bytes` and `ram` are set. False: the reader refuses its sections. */
static bool open_side(struct side *side, uint8_t *host, const uint32_t *sums)
{
	struct error error;

	side->ram = (struct ram){ .host = host, .base = golden.base, .size = RAM_SIZE };
	side->snapshot = (struct snapshot){
		.fd = -1, .ram_base = golden.base, .ram_size = RAM_SIZE, .file_size = RAM_SIZE,
		.checksums = { .name = "crc32", .size = 4, .count = RAM_SIZE / FORMAT_RAM_CHUNK, .values = (const uint8_t *)sums },
	};
	error.text[0] = '\0';
	if (sections_parse(&side->snapshot.sections, side->bytes.bytes, side->bytes.size, &error) < 0 ||
	    inspection_open(&side->inspection, &side->snapshot, &error) < 0) {
		fuzz_must(error.text[0] != '\0');
		sections_free(&side->snapshot.sections);
		return false;
	}
	side->inspection.memory.read = read_ram;
	side->inspection.memory.owner = &side->ram;
	return true;
}

static void close_side(struct side *side)
{
	inspection_close(&side->inspection);
	sections_free(&side->snapshot.sections);
}

/* Initialization, once. */

/* Adds a device after all others, with MSI-X disabled, and with MSI enabled for two messages that no event maps. */
static void add_passed_through(struct section_writer *writer)
{
	static const uint8_t data[100];
	const uint32_t entries[3][4] = { { 0x3ffe0040, 0, 0, 0 }, { 0x3ffe0040, 0, 1, 1 }, { 0, 0, 0, 1 } };
	struct pci_state pci = { .config = {
		[PCI_COMMAND] = PCI_COMMAND_MASTER, [PCI_STATUS] = PCI_STATUS_CAP_LIST, [PCI_CAPABILITY_LIST] = 0x40,
		[0x40] = PCI_CAP_ID_MSIX, 0x50, 2,
		[0x50] = PCI_CAP_ID_MSI, 0, PCI_MSI_FLAGS_ENABLE | 1 << 1 | 1 << 4 | PCI_MSI_FLAGS_64BIT, 1, 0x40, 0, 0xfe, 0x3f,
	} };

	section_begin(writer, "vfio0", 1, SECTION_MANDATORY);
	field_add_text(&writer->buffer, "address", "0000:01:00.0");
	section_end(writer);
	section_begin(writer, "vfio0/pci", 1, SECTION_MANDATORY);
	state_save(&pci_state_table, &pci, &writer->buffer);
	section_end(writer);
	section_begin(writer, "vfio0/msix", 1, SECTION_MANDATORY);
	field_add(&writer->buffer, "entries", 4, 12, entries);
	section_end(writer);
	section_begin(writer, "vfio0/data", 1, SECTION_MANDATORY);
	field_add(&writer->buffer, "data", 1, sizeof(data), data);
	section_end(writer);
}

static void read_golden(void)
{
	static uint8_t head[1 << 20];
	struct snapshot snapshot;
	char path[] = "/tmp/fuzz-inspect-XXXXXX";
	int fd = mkstemp(path), got;
	gzFile from = gzopen(GOLDEN, "rb");
	struct error error;

	fuzz_must(from && fd >= 0);
	while ((got = gzread(from, head, sizeof(head))) > 0)
		fuzz_must(write(fd, head, (size_t)got) == got);
	fuzz_must(gzclose(from) == Z_OK && close(fd) == 0);
	fuzz_must(snapshot_open(&snapshot, path, &error) == 0);
	unlink(path);
	for (size_t i = 0; i < snapshot.sections.count; i++) {
		const struct section *section = &snapshot.sections.items[i];

		section_begin(&golden.sections, section->name, section->version, section->flags);
		byte_buffer_add(&golden.sections.buffer, section->fields.bytes, section->fields.size);
		section_end(&golden.sections);
	}
	add_passed_through(&golden.sections);
	golden.base = snapshot.ram_base;
	fuzz_must(pread(snapshot.fd, golden.ram, RAM_SIZE, (off_t)snapshot.ram_offset) == RAM_SIZE);
	snapshot_close(&snapshot);
}

/* Records nonzero words only in pages that the views read, as the rest of RAM is code. */
static int note_page(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	for (uint64_t at = (address - golden.base) & ~7ull; at < address - golden.base + size; at += 8) {
		uint64_t word;

		memcpy(&word, golden.ram + at, sizeof(word));
		if (word && golden.word_count < MOST_WORDS)
			golden.words[golden.word_count++] = at;
	}
	return read_ram(owner, address, to, size, error);
}

static void find_words(void)
{
	struct inspection *inspection = &golden.side.inspection;
	struct report report;
	struct error error;

	inspection->memory.read = note_page;
	report_open(&report, true);
	fuzz_must(inspect_devices(inspection, &report, &error) == 0);
	fuzz_must(inspection_walk(inspection, &(struct its_visitor){ .owner = NULL }, NULL, &error) == 0);
	report_close(&report);
	inspection->memory.read = read_ram;
	fuzz_must(golden.word_count > 100);
}

static void make_golden(void)
{
	read_golden();
	for (size_t i = 0; i < COUNT(golden.checksums); i++)
		golden.checksums[i] = checksum(0, golden.ram + i * FORMAT_RAM_CHUNK, FORMAT_RAM_CHUNK);
	golden.side.bytes = golden.sections.buffer;
	fuzz_must(open_side(&golden.side, golden.ram, golden.checksums));
	find_words();
	memcpy(ram, golden.ram, RAM_SIZE);
	memcpy(checksums, golden.checksums, sizeof(checksums));
}

/* Applying an input. */

static void take_sections(void)
{
	struct error error;

	made_count = golden.side.snapshot.sections.count;
	fuzz_must(made_count <= MOST_SECTIONS);
	for (size_t i = 0; i < made_count; i++) {
		const struct section *from = &golden.side.snapshot.sections.items[i];
		struct made_section *to = &made[i];
		size_t offset = 0;

		memcpy(to->name, from->name, sizeof(to->name));
		to->version = from->version;
		to->flags = from->flags;
		to->gone = false;
		to->count = 0;
		while (field_next(&from->fields, &offset, &to->fields[to->count], &error) > 0)
			fuzz_must(++to->count < MOST_FIELDS - MOST_EDITS);
	}
}

/* Gives a field its own copy of the values, which can be changed. */
static uint8_t *own_values(struct field *field, uint8_t *room)
{
	if (field->count > MOST_ELEMENTS)
		field->count = MOST_ELEMENTS;
	memmove(room, field->values, field->size * (size_t)field->count);
	field->values = room;
	return room;
}

static void set_element(struct field *field, uint32_t element, uint64_t value, uint8_t *room)
{
	uint8_t *own = own_values(field, room);

	if (field->count)
		memcpy(own + element % field->count * field->size, &value, field->size);
}

static void set_shape(struct field *field, unsigned size, uint32_t count, uint8_t *room)
{
	uint64_t wide[MOST_ELEMENTS] = { 0 };

	for (uint32_t i = 0; i < count && field->count; i++)
		wide[i] = field_element(field, i < field->count ? i : field->count - 1);
	field->size = size;
	field->count = count;
	field->values = room;
	for (uint32_t i = 0; i < count; i++)
		memcpy(room + i * size, &wide[i], size);
}

/* Returns a character that is allowed in names, most often a digit. */
static char letter(uint64_t value)
{
	static const char letters[] = "0123456789/-_.:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}<>|;'&%$";

	return letters[value % (sizeof(letters) - 1)];
}

static uint64_t word_of(const struct edit *edit)
{
	if (edit->kind % EDIT_KINDS == EDIT_WORD)
		return (golden.words[edit->field % golden.word_count] + edit->element % 4 * 8) % RAM_SIZE;
	return ((uint32_t)edit->field << 16 ^ edit->element) % (RAM_SIZE / 8) * 8ull;
}

static void edit_field(struct made_section *section, const struct edit *edit, uint8_t *room)
{
	struct field *field = &section->fields[edit->field % section->count];

	switch (edit->kind % EDIT_KINDS) {
	case EDIT_VALUE:
		set_element(field, edit->element, edit->value, room);
		break;
	case EDIT_DROP:
		memmove(field, field + 1, (uintptr_t)&section->fields[--section->count] - (uintptr_t)field);
		break;
	case EDIT_TWICE:
		section->fields[section->count] = *field;
		set_element(&section->fields[section->count++], edit->element, edit->value, room);
		break;
	case EDIT_SIZE:
		set_shape(field, 1u << edit->value % 4, field->count < MOST_ELEMENTS ? field->count : MOST_ELEMENTS, room);
		break;
	case EDIT_COUNT:
		set_shape(field, field->size, (uint32_t)(edit->value % MOST_ELEMENTS), room);
		break;
	case EDIT_NAME:
		field->name[edit->element % strlen(field->name)] = letter(edit->value);
		break;
	}
}

static void apply(const struct edit *edit, uint8_t *room)
{
	struct made_section *section = &made[edit->section % made_count];

	switch (edit->kind % EDIT_KINDS) {
	case EDIT_SECTION:
		section->name[edit->element % strlen(section->name)] = letter(edit->value);
		break;
	case EDIT_LEAVE:
		section->gone = true;
		break;
	case EDIT_WORD:
	case EDIT_RAM:
		memcpy(ram + word_of(edit), &edit->value, sizeof(edit->value));
		break;
	default:
		if (section->count)
			edit_field(section, edit, room);
	}
}

static void write_sections(struct section_writer *writer)
{
	for (size_t i = 0; i < made_count; i++) {
		if (made[i].gone)
			continue;
		section_begin(writer, made[i].name, made[i].version, made[i].flags);
		for (uint32_t j = 0; j < made[i].count; j++) {
			const struct field *field = &made[i].fields[j];

			field_add(&writer->buffer, field->name, field->size, field->count, field->values);
		}
		section_end(writer);
	}
}

/* Changes the checksums of changed chunks. They need not be right, only different. */
static void update_checksums(const struct edit *edits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = word_of(&edits[i]);

		if (memcmp(ram + offset, golden.ram + offset, 8) != 0)
			checksums[offset / FORMAT_RAM_CHUNK] = ~golden.checksums[offset / FORMAT_RAM_CHUNK];
	}
}

/* Restores RAM and its checksums. */
static void undo(const struct edit *edits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = word_of(&edits[i]);

		memcpy(ram + offset, golden.ram + offset, 8);
		checksums[offset / FORMAT_RAM_CHUNK] = golden.checksums[offset / FORMAT_RAM_CHUNK];
	}
}

/* Applies the edits. False: the result is not a valid snapshot. */
static bool open_edited(struct side *side, const struct edit *edits, size_t count)
{
	struct section_writer writer = { 0 };

	if (!golden.base)
		make_golden();
	take_sections();
	for (size_t i = 0; i < count; i++)
		apply(&edits[i], values[i]);
	update_checksums(edits, count);
	write_sections(&writer);
	fuzz_must(!writer.buffer.failed);
	side->bytes = writer.buffer;
	return open_side(side, ram, checksums);
}

/* `opened`: the result of open_edited(). */
static void close_edited(struct side *side, bool opened, const struct edit *edits, size_t count)
{
	if (opened)
		close_side(side);
	byte_buffer_free(&side->bytes);
	undo(edits, count);
}

#endif
