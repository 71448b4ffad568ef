/* SPDX-License-Identifier: MIT */
/*
 * The container of a snapshot: header, sections, commit record. docs/snapshot-format.md is its specification. Pure. A reader
 * expects a file that is damaged or hostile.
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
#define FORMAT_RAM_CHUNK 0x10000u     /* bytes of RAM per checksum */
#define FORMAT_RAM_PAGE 4096u         /* bytes: the unit of holes, and of pages that come from a base */
#define FORMAT_RAM_FRAME 0x10000u     /* bytes of RAM that are compressed together */
#define FORMAT_RAM_FRAME_LIMIT (1u << 20) /* bytes of the largest frame that a reader accepts */
#define FORMAT_METADATA_LIMIT (256ull << 20) /* bytes of sections that a reader accepts, before RAM and again after it */

/* Whether a section only describes where RAM is stored and in which form. Such a section has no saved state. */
bool format_is_about_place(const char *section);

struct format_header {
	uint32_t version;
	uint32_t architecture;
	uint8_t identity[16]; /* a random UUID, unique to this snapshot */
	uint64_t created;     /* nanoseconds since 1970, UTC */
};

struct format_commit {
	uint8_t identity[16]; /* the header's */
	uint64_t head_end;    /* offset where the last section before RAM ends */
	uint64_t tail;        /* offset of the first section after RAM */
	uint64_t size;        /* of the whole file, which ends with this record */
	uint32_t checksum;    /* one CRC-32 of the bytes [0, head_end) and then [tail, size - FORMAT_COMMIT_SIZE) */
};

/* Writes a UUID as its usual 36 characters. */
#define FORMAT_IDENTITY_TEXT 37
void format_identity_text(const uint8_t identity[16], char text[FORMAT_IDENTITY_TEXT]);

/* The location of RAM, in bytes: guest physical address, size, offset in the file. */
struct format_ram {
	uint64_t base, size, offset;
};

/*
 * Makes everything that the file has before RAM: the header and the section "ram". Fills in identity, head_end and checksum of
 * `commit`. `head` must be empty. The caller frees it, after a failure too.
 */
int format_make_head(const struct format_header *header, const struct format_ram *ram, struct format_commit *commit,
		     struct byte_buffer *head, struct error *error);

void format_write_header(const struct format_header *header, uint8_t bytes[FORMAT_HEADER_SIZE]);
void format_write_commit(const struct format_commit *commit, uint8_t bytes[FORMAT_COMMIT_SIZE]);
int format_read_header(const uint8_t bytes[FORMAT_HEADER_SIZE], struct format_header *header, struct error *error);

/* `size` is the file's size in bytes. After success all offsets of the record are inside the file and in ascending order. */
int format_read_commit(const uint8_t bytes[FORMAT_COMMIT_SIZE], uint64_t size, struct format_commit *commit,
		       struct error *error);

#endif
