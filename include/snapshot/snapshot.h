/* SPDX-License-Identifier: MIT */
/*
 * Writes snapshot files, and reads them without loading their RAM. machine/state.c gives the sections their meaning.
 * snapshot/format.h describes the container.
 */
#ifndef LKVM_SNAPSHOT_H
#define LKVM_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/guest_memory.h"
#include "memory/ram.h"
#include "snapshot/format.h"
#include "state/sections.h"
#include "util/err.h"

/* Fails for a snapshot that has a section SECTION_NOT_RESTORABLE. The error has the reason from that section. */
int snapshot_check_restorable(struct snapshot *snapshot, struct error *error);

struct image;
struct snapshot;

/*
 * Called periodically with bytes of RAM done and total. Return false to cancel. `progress` may be NULL.
 */
struct snapshot_progress {
	bool (*step)(void *owner, uint64_t done, uint64_t total);
	void *owner;
};

struct snapshot_figures {
	uint64_t ram;   /* bytes of guest RAM */
	uint64_t data;  /* bytes of RAM in pages that were not all zero, which the file stores */
	uint64_t size;  /* bytes that were written in all, holes not counted */
};

/* A snapshot that is being written. Set the public members, then call the functions below in their order. */
struct snapshot_writer {
	int fd; /* an empty regular file, which the caller closes */
	const struct ram *ram;
	const char *fault; /* for fault_at(), or NULL */
	const struct snapshot_progress *progress;
	const struct snapshot *base; /* NULL, or the base, whose pages are not written again; open until snapshot_end() */
	const char *base_path;       /* the absolute path of the base */

	/* Private. */
	struct format_commit commit;
	struct image *image;
	uint64_t written; /* bytes, without RAM */
	uint8_t *kept;    /* for tests: a copy of RAM, made by snapshot_capture_begin() */
};

/*
 * Writes the header and the section with RAM's location. After a failure the file is no snapshot, as it has no commit record.
 * Nothing is synced to disk.
 */
int snapshot_begin(struct snapshot_writer *writer, struct error *error);

/*
 * Writes RAM while the guest may change it. Pages of zeroes become holes. snapshot_write_final() later writes the pages that
 * differ by then. `pages` selects pages: it has one element per FORMAT_RAM_CHUNK of RAM, with one bit per FORMAT_RAM_PAGE, the
 * lowest bit first. NULL selects all.
 */
int snapshot_copy(struct snapshot_writer *writer, const uint16_t *pages, struct error *error);

/*
 * Writes the pages that differ between RAM and the file. Nothing may write guest memory during the call. The guest may resume
 * after it. `pages` is as above. With LKVM_FAULT=save/recheck it also checks that `pages` has every page that changed.
 */
int snapshot_write_final(struct snapshot_writer *writer, const uint16_t *pages, struct error *error);

/*
 * These functions replace the two above. They capture RAM as it was when all of it was write-protected (memory/userfault.h).
 * There is no base. Nothing may write RAM during snapshot_capture_begin(). Each chunk is captured once, and may be written
 * after that. snapshot_classify() returns which kinds of pages a range has. It and snapshot_capture() work on whole chunks,
 * at most SNAPSHOT_CAPTURE_LIMIT bytes at a time, in one thread at a time. With LKVM_FAULT=save/recheck
 * snapshot_capture_begin() copies RAM, and snapshot_capture_end() compares the file with the copy.
 */
#define SNAPSHOT_CAPTURE_LIMIT (2u << 20)
enum snapshot_page_kind { SNAPSHOT_ABSENT = 1, SNAPSHOT_OPEN = 2, SNAPSHOT_PROTECTED = 4 }; /* OPEN: present, not protected */
int snapshot_classify(struct snapshot_writer *writer, uint64_t at, uint64_t size, uint8_t *kinds, struct error *error);
int snapshot_capture_begin(struct snapshot_writer *writer, struct error *error);
int snapshot_capture(struct snapshot_writer *writer, uint64_t at, uint64_t size, struct error *error);
int snapshot_capture_end(struct snapshot_writer *writer, struct error *error);

/* Writes `sections` (complete sections, none about RAM), then the sections about RAM and the commit record. */
int snapshot_finish(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error);

/* Returns the figures so far. */
struct snapshot_figures snapshot_written(const struct snapshot_writer *writer);

/* Frees the writer's memory. It may be called after a failure, and without snapshot_begin(). */
void snapshot_end(struct snapshot_writer *writer);

/* Takes all of these steps, for RAM that does not change. The caller still calls snapshot_end(). */
int snapshot_write(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error);

/* Compressed RAM. Each frame is compressed by itself, in zlib's format (RFC 1950). */
struct snapshot_frames {
	uint64_t size;         /* bytes of RAM per frame, the last one may have fewer; 0: RAM is not compressed */
	struct field offsets;  /* of each frame in the file */
	struct field sizes;    /* bytes of each frame in the file; 0: the frame has only zeroes */
};

/* A snapshot that is open for reading. */
struct snapshot {
	int fd; /* -1 while closed */
	struct format_header header;
	uint64_t file_size;
	uint64_t disk_size; /* bytes that the file occupies, holes not counted */
	struct sections sections;
	uint64_t ram_base, ram_size; /* guest physical, bytes */
	uint64_t ram_offset;         /* in the file; a multiple of FORMAT_RAM_ALIGNMENT */
	struct field checksums;      /* of RAM: one per FORMAT_RAM_CHUNK */
	struct snapshot_frames frames;
	struct snapshot *base;       /* NULL, or the snapshot with the other pages: opened and closed with this one */
	struct field pages;          /* with a base: one bit per FORMAT_RAM_PAGE, the lowest first; 1: this file has the page */
	struct field working_set;    /* for snapshot/working_set.h; count 0: there is none */
	uint8_t *head, *tail;        /* the bytes that the sections point into */
};

/* Opens a snapshot and its bases, and reads and checks all parts but RAM. After a failure nothing stays open. */
int snapshot_open(struct snapshot *snapshot, const char *path, struct error *error);

/* Closes the snapshot and its bases. It may be called twice. */
void snapshot_close(struct snapshot *snapshot);

/* Whether the file with these st_dev and st_ino is this snapshot or one of its bases. */
bool snapshot_chain_has(const struct snapshot *snapshot, uint64_t device, uint64_t inode);

/* Fails if this snapshot cannot be a base because its chain has the greatest length that a reader accepts. */
int snapshot_check_as_base(const struct snapshot *snapshot, struct error *error);

/*
 * As snapshot_open(), for an open file, which may have no name. `fd` is closed with the snapshot, and on failure. `name` is
 * for errors.
 */
int snapshot_open_file(struct snapshot *snapshot, int fd, const char *name, struct error *error);

/*
 * As snapshot_open(), but reports every fault to `faults` and leaves the faulty part out. The snapshot is open even if no part
 * was usable: sections.damaged counts the faults, and ram_size is 0 if RAM was not found. Returns -1 only if the file cannot be
 * opened.
 */
int snapshot_examine(struct snapshot *snapshot, const char *path, const struct error_collector *faults,
		     struct error *error);

/* Returns the RAM of an open snapshot as guest memory. Checksums are not compared. */
struct guest_memory snapshot_memory(const struct snapshot *snapshot);

/*
 * Reads the RAM that the snapshot saved, from `offset` in RAM, out of this file or a base, compressed or not. Any number of
 * threads may call it at once. Checksums are not compared.
 */
int snapshot_read_ram(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, struct error *error);

/* A range of RAM that is stored in one way. */
enum snapshot_run_kind {
	SNAPSHOT_ZERO,   /* no data is stored: zeroes */
	SNAPSHOT_PLAIN,  /* not compressed, at offset `at` in the file of `in`: it can be mapped */
	SNAPSHOT_FRAMES, /* compressed */
};

struct snapshot_run {
	enum snapshot_run_kind kind;
	uint64_t size;             /* bytes, at least one page; 0 if `offset` is the end of RAM */
	const struct snapshot *in; /* this snapshot or one of its bases */
	uint64_t at;
};

/* Returns the run that begins at `offset` in RAM. */
struct snapshot_run snapshot_find_run(const struct snapshot *snapshot, uint64_t offset);

/* Whether any data is stored for RAM in [offset, end). If not, all of it is zero. */
bool snapshot_has_data(const struct snapshot *snapshot, uint64_t offset, uint64_t end);

/* Ranges of guest memory that have data in a snapshot and are not loaded yet: they read as zeroes. */
struct snapshot_range {
	uint64_t from, end; /* offsets in RAM, whole pages of the host */
};

struct snapshot_unloaded {
	struct snapshot_range *items; /* ascending; a range may include short runs of zeroes */
	size_t count, capacity;
	bool is_all; /* no file is mapped: outside of these ranges the snapshot has only zeroes */
};

void snapshot_unloaded_free(struct snapshot_unloaded *unloaded);

/*
 * Opens `ram` with the snapshot's contents. The snapshot must stay open as long as the RAM is. Plain data is mapped privately,
 * and read at the first access. Plain data that is too scattered to be mapped is read now. Compressed data is not loaded: its
 * ranges go to `unloaded`, which the caller loads and frees. If `unloaded` is NULL, compressed data is read now, on all
 * processors. Checksums are not compared.
 */
int snapshot_map_ram(const struct snapshot *snapshot, struct ram *ram, struct snapshot_unloaded *unloaded, struct error *error);

/* Loads the ranges of `unloaded`, on all processors. */
int snapshot_load_unloaded(const struct snapshot *snapshot, struct ram *ram, const struct snapshot_unloaded *unloaded,
			  struct error *error);

/* Reads all of RAM into memory that is zero, on all processors. With `check`, compares its checksums. */
int snapshot_load_ram(const struct snapshot *snapshot, struct ram *ram, bool check, struct error *error);

/* Returns the best size of one read of RAM: the largest frame in the chain, at least a chunk. A multiple of a chunk. */
uint64_t snapshot_block(const struct snapshot *snapshot);

/*
 * Reads whole chunks and, with `check`, compares their checksums. Returns 1 if `to` has them. Returns 0 if no data is stored
 * for any of them: they are zeroes, and `to` is unchanged. Returns -1 on failure.
 */
int snapshot_load(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, bool check, struct error *error);

/* Fills `path` with the current path of the open file, for messages, and returns it. SNAPSHOT_PATH bytes are enough. */
#define SNAPSHOT_PATH 4096
const char *snapshot_path(const struct snapshot *snapshot, char *path, size_t size);

/*
 * Call this when RAM that is mapped from the snapshot cannot be accessed at `offset` in RAM, or at an unknown place. Returns
 * whether a file of the chain is the reason, because it became shorter or cannot be read. Then the error names the file. With
 * SNAPSHOT_ANYWHERE it reads all RAM that is mapped.
 */
#define SNAPSHOT_ANYWHERE UINT64_MAX
bool snapshot_find_lost(const struct snapshot *snapshot, uint64_t offset, struct error *error);

/* Sets the error for a mapped file of a chain that was written. It names the file, and is different if the file was cut. */
void snapshot_explain_write(const struct snapshot *file, struct error *error);

/* Returns the checksum of a chunk of zeroes. */
uint32_t snapshot_zero_checksum(void);

/* A range of RAM that does not match its checksums. */
struct snapshot_damage {
	uint64_t address, size; /* guest physical address, and bytes: whole chunks */
	bool hole;              /* the file has a hole where it had data */
};

/*
 * Reads RAM on all processors and compares its checksums. After all of it was read, calls `report` for each damaged range, by
 * ascending address. The calling thread calls `progress` and `report`. Returns -1 if RAM cannot be read.
 */
int snapshot_find_damage(const struct snapshot *snapshot, const struct snapshot_progress *progress,
			 void (*report)(void *owner, const struct snapshot_damage *damage), void *owner,
			 struct error *error);

/* The same, but fails at the first damage that a thread finds. The error names it, and the file if a base is damaged. */
int snapshot_check_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct error *error);

#endif
