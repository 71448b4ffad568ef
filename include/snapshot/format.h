/* SPDX-License-Identifier: MIT */
/*
 * The container of a snapshot: header, sections, commit record. docs/snapshot-format.md is its specification. Pure, and
 * suspicious: a file may be damaged or made by an enemy.
 *
 *     header | sections ... | padding | RAM, with holes | sections ... | commit record
 *
 * The commit record is written last: a file without one is no snapshot.
 */
#ifndef LKVM_SNAPSHOT_FORMAT_H
#define LKVM_SNAPSHOT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/fields.h"
#include "util/err.h"

#define FORMAT_VERSION 1u
#define FORMAT_ARCHITECTURE 183u /* EM_AARCH64, as in ELF */
#define FORMAT_HEADER_SIZE 64u
#define FORMAT_COMMIT_SIZE 64u
#define FORMAT_RAM_ALIGNMENT 0x10000u /* of RAM in the file: the largest page that an arm64 host may have */
#define FORMAT_RAM_CHUNK 0x10000u     /* bytes of RAM to one checksum */
#define FORMAT_RAM_PAGE 4096u         /* what is a hole, or comes from a base, is whole pages */
#define FORMAT_RAM_FRAME 0x10000u     /* bytes of RAM that are compressed together */
#define FORMAT_RAM_FRAME_LIMIT (1u << 20) /* the most that a reader takes */
#define FORMAT_METADATA_LIMIT (256ull << 20) /* bytes of sections that a reader takes */

#define FORMAT_MAX_SECTIONS 8192u

#define FORMAT_BASE_SECTION "ram-base"     /* RAM is not whole: what is missing is in another snapshot */
#define FORMAT_FRAMES_SECTION "ram-frames" /* RAM is compressed */

/* Whether a section says where RAM is and in what form, and nothing of what was saved. */
bool format_is_about_place(const char *section);

#define SECTION_NAME_LENGTH 31

/* A reader that does not know such a section must refuse the snapshot. */
#define SECTION_MANDATORY 1u

struct format_header {
	uint32_t version;
	uint32_t architecture;
	uint8_t identity[16]; /* a random UUID, of this snapshot and no other */
	uint64_t created;     /* nanoseconds since 1970, UTC */
};

struct format_commit {
	uint8_t identity[16]; /* the header's */
	uint64_t head_end;    /* offset behind the last section before RAM */
	uint64_t tail;        /* offset of the first section behind RAM */
	uint64_t size;        /* of the whole file, this record included: it is the end */
	uint32_t checksum;    /* CRC-32 of the bytes [0, head_end) and [tail, size - FORMAT_COMMIT_SIZE) in one */
};

/* The usual 36 characters of a UUID. */
#define FORMAT_IDENTITY_TEXT 37
void format_identity_text(const uint8_t identity[16], char text[FORMAT_IDENTITY_TEXT]);

void format_write_header(const struct format_header *header, uint8_t bytes[FORMAT_HEADER_SIZE]);
void format_write_commit(const struct format_commit *commit, uint8_t bytes[FORMAT_COMMIT_SIZE]);
int format_read_header(const uint8_t bytes[FORMAT_HEADER_SIZE], struct format_header *header, struct error *error);

/* `size` is the file's; all offsets of a record that is taken lie in it, in order. */
int format_read_commit(const uint8_t bytes[FORMAT_COMMIT_SIZE], uint64_t size, struct format_commit *commit,
		       struct error *error);

/* Writing sections: begin, add fields to the buffer, end. */
struct section_writer {
	struct byte_buffer buffer;
	size_t start; /* of the section that is open */
};

void section_begin(struct section_writer *writer, const char *name, uint32_t version, uint32_t flags);
void section_end(struct section_writer *writer);

struct section {
	char name[SECTION_NAME_LENGTH + 1];
	uint32_t version;
	uint32_t flags;
	struct fields fields; /* checked */
	bool used;            /* somebody asked for it */
};

struct sections {
	struct section *items;
	size_t count;
	const struct error_collector *faults; /* NULL: the first one ends the reading */
	size_t damaged;                       /* so many faults were told, and what they are about left out */
};

/*
 * Adds the sections in [bytes, bytes + size), which must stay where they are, 8-byte aligned, as long as `sections` is
 * used. Checksums, bounds, names and fields are checked; no name stands twice.
 */
int sections_parse(struct sections *sections, const uint8_t *bytes, size_t size, struct error *error);
void sections_free(struct sections *sections);

/* NULL where there is none. It counts as used from then on. */
const struct section *sections_find(struct sections *sections, const char *name);

/* The same, but its absence is an error, and so is a version above `version`. */
const struct section *sections_need(struct sections *sections, const char *name, uint32_t version,
				    struct error *error);

/* Once all that is known was asked for: fails if a mandatory section is left, and names it. */
int sections_check_used(const struct sections *sections, struct error *error);

/*
 * CRC-32 (IEEE 802.3, as zlib has it), by the processor's own instructions where it has some. `crc` is 0 at first, or
 * what the bytes before gave.
 */
uint32_t checksum(uint32_t crc, const void *bytes, size_t size);

#endif
