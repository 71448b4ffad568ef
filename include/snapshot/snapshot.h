/* SPDX-License-Identifier: MIT */
/*
 * Snapshot files: writes one, and reads one without loading its RAM. machine/state.c gives the sections their meaning;
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

/* Refuses a snapshot with a section SECTION_NOT_RESTORABLE, and gives its reason. */
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
	uint64_t data;  /* of them, in pages that were not all zero: what is in the file */
	uint64_t size;  /* of everything that was written, holes not counted */
};

/* A snapshot that is being written. Set the first part, then call the functions below in their order. */
struct snapshot_writer {
	int fd; /* a regular file, empty; the caller's */
	const struct ram *ram;
	const char *fault; /* for fault_at(), or NULL */
	const struct snapshot_progress *progress;
	const struct snapshot *base; /* NULL, or what need not be written again; open as long as this is written */
	const char *base_path;       /* where that is, absolute */

	/* Private. */
	struct format_commit commit;
	struct image *image;
	uint64_t written; /* bytes, without RAM */
	uint8_t *kept;    /* for tests: RAM as it was when it was begun to be taken */
};

/* The header, and where RAM will be. On failure the file is of no use: it has no commit record. Nothing is synced. */
int snapshot_begin(struct snapshot_writer *writer, struct error *error);

/*
 * Writes RAM while the guest may change it; zeroes become holes. snapshot_write_final() writes what differs by then. `pages`
 * selects pages: an element a FORMAT_RAM_CHUNK of RAM, with a bit a FORMAT_RAM_PAGE, the lowest first. NULL selects all.
 */
int snapshot_copy(struct snapshot_writer *writer, const uint16_t *pages, struct error *error);

/*
 * Writes what differs between RAM and the file. Nothing may write guest memory during the call; the guest may resume after it.
 * `pages` is as above. With LKVM_FAULT=save/recheck it also checks that `pages` was right.
 */
int snapshot_write_final(struct snapshot_writer *writer, const uint16_t *pages, struct error *error);

/*
 * Instead of these two functions: captures RAM as it was when all of it was write-protected (memory/userfault.h). There is no
 * base. Nothing writes RAM during snapshot_capture_begin(). Each chunk is captured once, and may be written after that.
 * snapshot_classify() returns which kinds of pages a range has. Both work on whole chunks, at most SNAPSHOT_CAPTURE_LIMIT at a
 * time, in one thread at a time. With LKVM_FAULT=save/recheck the beginning copies RAM, and the end compares the file with it.
 */
#define SNAPSHOT_CAPTURE_LIMIT (2u << 20)
enum snapshot_page_kind { SNAPSHOT_ABSENT = 1, SNAPSHOT_OPEN = 2, SNAPSHOT_PROTECTED = 4 }; /* there, and protected or not */
int snapshot_classify(struct snapshot_writer *writer, uint64_t at, uint64_t size, uint8_t *kinds, struct error *error);
int snapshot_capture_begin(struct snapshot_writer *writer, struct error *error);
int snapshot_capture(struct snapshot_writer *writer, uint64_t at, uint64_t size, struct error *error);
int snapshot_capture_end(struct snapshot_writer *writer, struct error *error);

/* Writes `sections` (whole ones, without those of RAM), checksums and the commit record. */
int snapshot_finish(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error);

/* The figures so far. */
struct snapshot_figures snapshot_written(const struct snapshot_writer *writer);

/* Frees what the writer holds. Safe after a failure, and if nothing was begun. */
void snapshot_end(struct snapshot_writer *writer);

/* All of these steps, for RAM that does not change. */
int snapshot_write(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error);

/* RAM that is compressed: each frame by itself, as zlib has it (RFC 1950). */
struct snapshot_frames {
	uint64_t size;         /* bytes of RAM to a frame, the last one may have less; 0: it is not compressed */
	struct field offsets;  /* in the file */
	struct field sizes;    /* bytes there; 0: nothing but zeroes */
};

/* A snapshot that is open for reading. */
struct snapshot {
	int fd; /* -1 while closed */
	struct format_header header;
	uint64_t file_size;
	uint64_t disk_size; /* bytes that the file takes, holes not counted */
	struct sections sections;
	uint64_t ram_base, ram_size; /* guest physical, bytes */
	uint64_t ram_offset;         /* in the file; a multiple of FORMAT_RAM_ALIGNMENT */
	struct field checksums;      /* of RAM: one a chunk of FORMAT_RAM_CHUNK */
	struct snapshot_frames frames;
	struct snapshot *base;       /* NULL, or the one that has the pages which are not here: opened and closed with this one */
	struct field pages;          /* with a base: a bit a page of FORMAT_RAM_PAGE, the lowest first: it is here */
	struct field working_set;    /* for snapshot/working_set.h; count 0: there is none */
	uint8_t *head, *tail;        /* what the sections point into */
};

/* Reads and checks all but RAM, and its bases. On failure nothing stays open. */
int snapshot_open(struct snapshot *snapshot, const char *path, struct error *error);
void snapshot_close(struct snapshot *snapshot);

/* Whether the file with these st_dev and st_ino is this snapshot or one of its bases. */
bool snapshot_chain_has(const struct snapshot *snapshot, uint64_t device, uint64_t inode);

/* Whether another snapshot can have this one as its base: a reader takes only so many in a row. */
int snapshot_check_as_base(const struct snapshot *snapshot, struct error *error);

/* As snapshot_open(), for an open file that may have no name. `fd` is closed with the snapshot, or on failure. `name` is for errors. */
int snapshot_open_file(struct snapshot *snapshot, int fd, const char *name, struct error *error);

/*
 * As snapshot_open(), but reports every fault to `faults` and leaves the faulty part out. The snapshot is open even if no part was
 * usable: sections.damaged counts the faults, and ram_size is 0 if RAM was not found. -1 only if the file cannot be read.
 */
int snapshot_examine(struct snapshot *snapshot, const char *path, const struct error_collector *faults,
		     struct error *error);

/* The RAM of an open snapshot, as guest memory. Checksums are not compared. */
struct guest_memory snapshot_memory(const struct snapshot *snapshot);

/*
 * Reads RAM as the guest had it, from `offset` in RAM, from this file or a base, compressed or not. Any number of threads may call
 * it. Checksums are not compared.
 */
int snapshot_read_ram(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, struct error *error);

/* A range of RAM that is stored in one way. */
enum snapshot_run_kind {
	SNAPSHOT_ZERO,   /* nothing is kept: zeroes */
	SNAPSHOT_PLAIN,  /* as it is in RAM, `at` in the file of `in`: it can be mapped */
	SNAPSHOT_FRAMES, /* compressed */
};

struct snapshot_run {
	enum snapshot_run_kind kind;
	uint64_t size;             /* bytes, at least one page, unless `offset` was the end */
	const struct snapshot *in; /* this one or one of its bases */
	uint64_t at;
};

struct snapshot_run snapshot_find_run(const struct snapshot *snapshot, uint64_t offset);

/* Whether anything of RAM in [offset, end) is kept: if not, it is zero. */
bool snapshot_has_data(const struct snapshot *snapshot, uint64_t offset, uint64_t end);

/* Ranges of guest memory that have data in a snapshot and are not loaded yet: they read as zeroes. */
struct snapshot_range {
	uint64_t from, end; /* offsets in RAM, whole pages of the host */
};

struct snapshot_unloaded {
	struct snapshot_range *items; /* ascending; short zeroes in between may belong to them */
	size_t count, capacity;
	bool is_all; /* nothing is mapped: what is not among them is zero in the snapshot, too */
};

void snapshot_unloaded_free(struct snapshot_unloaded *unloaded);

/*
 * Guest memory with what the snapshot has, which must stay open as long as it is. What is plain is mapped privately, and read
 * where it is touched only. What is compressed is not loaded: the caller's to load and to free; with NULL for `unloaded` it is read
 * now, on all processors. Nothing is checked but that it can be read.
 */
int snapshot_map_ram(const struct snapshot *snapshot, struct ram *ram, struct snapshot_unloaded *unloaded, struct error *error);

/* Loads these ranges, on all processors. */
int snapshot_load_unloaded(const struct snapshot *snapshot, struct ram *ram, const struct snapshot_unloaded *unloaded,
			  struct error *error);

/* Reads all of RAM into memory that is zero, on all processors; with `check`, compares its checksums. */
int snapshot_load_ram(const struct snapshot *snapshot, struct ram *ram, bool check, struct error *error);

/* Bytes of RAM that are read at once for the price of one: the frames' size in a chain. A multiple of a chunk. */
uint64_t snapshot_block(const struct snapshot *snapshot);

/*
 * Reads whole chunks and, with `check`, compares their checksums. 1: `to` has them; 0: all of them are zeroes that nobody has
 * to read, and `to` is as it was.
 */
int snapshot_load(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, bool check, struct error *error);

/* Where the open file is now, for sentences. `path` has `size` bytes, SNAPSHOT_PATH are enough; it is returned. */
#define SNAPSHOT_PATH 4096
const char *snapshot_path(const struct snapshot *snapshot, char *path, size_t size);

/*
 * RAM that was mapped from the snapshot cannot be accessed `offset` bytes behind its beginning, or at an unknown place. Whether
 * a file of the chain is the reason, which became shorter or cannot be read: the sentence names it. A search of all RAM reads
 * all of it.
 */
#define SNAPSHOT_ANYWHERE UINT64_MAX
bool snapshot_find_lost(const struct snapshot *snapshot, uint64_t offset, struct error *error);

/* The file, one of a chain that guest memory is mapped from, was written: the sentence names it, and says whether it was cut. */
void snapshot_explain_write(const struct snapshot *file, struct error *error);

/* What snapshot->checksums has for a chunk of zeroes. */
uint32_t snapshot_zero_checksum(void);

/* Where RAM is not what its checksums say. */
struct snapshot_damage {
	uint64_t address, size; /* guest physical, bytes: whole chunks */
	bool hole;              /* there is no data in the file where some was */
};

/*
 * Reads RAM on all processors and compares its checksums. Tells each damaged range once all is read, by ascending
 * address. `progress` is told by the calling thread. -1 where RAM cannot be read.
 */
int snapshot_find_damage(const struct snapshot *snapshot, const struct snapshot_progress *progress,
			 void (*tell)(void *owner, const struct snapshot_damage *damage), void *owner,
			 struct error *error);

/* Stops at the first damage that a processor finds: the sentence names it and, if that is a base, its file. */
int snapshot_check_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct error *error);

#endif
