/* SPDX-License-Identifier: MIT */
/* Snapshots that commands read and write: files, compressed or not, and streams. "-" is a stream. */
#ifndef LKVM_CMD_SNAPSHOT_OUTPUT_H
#define LKVM_CMD_SNAPSHOT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/command.h"
#include "snapshot/rewrite.h"
#include "util/newfile.h"

/* The entry --compress[=LEVEL] of an option table; its target is a uint64_t. */
#define SNAPSHOT_OUTPUT_COMPRESS(target, member)                                                                             \
	{                                                                                                          \
		.name = "compress", .kind = OPTION_PARSED, .parse = snapshot_output_parse_level, .argument = "LEVEL",           \
		.choices = "1|2|3|4|5|6|7|8|9", .optional = true, .offset = offsetof(target, member),              \
		.help = "Compress memory: from 1 (fast) to 9 (small), without LEVEL 6",                            \
	}

int snapshot_output_parse_level(void *field, char *value, struct error *error);

bool snapshot_is_stream(const char *path);

/* The name for messages: the path of a file, or "standard input" and "standard output". */
const char *snapshot_input_name(const char *path);
const char *snapshot_output_name(const char *path);

/* Fails if a stream would go to a terminal. */
int snapshot_output_check(const char *path, struct error *error);

/*
 * Opens the snapshot at `path`. A stream is first read to its end, into a file without a name. Then standard input becomes the
 * terminal, or /dev/null if there is none.
 */
int snapshot_input_open(struct snapshot *snapshot, const char *path, struct error *error);

/* What to write, and the resulting sizes. */
struct snapshot_output {
	const char *path;
	uint64_t level;      /* of compression, 0: none */
	bool shows;          /* progress, on a terminal */
	uint64_t data, size; /* bytes, as struct rewrite has them */
};

/*
 * Reads a complete snapshot back as a restore does, without RAM. If its identity and RAM size match `expected`, gives the file
 * its name. Closes the file in any case; after a failure the file is gone.
 */
struct snapshot_expected {
	const char *identity; /* as format_identity_text() has it; "": unknown */
	uint64_t ram;         /* bytes */
	struct error *refusal; /* NULL, or set to why a restore will refuse the snapshot, which is no failure here */
};

int snapshot_output_commit(struct new_file *file, const struct snapshot_expected *expected, struct error *error);

/* Only compares. */
int snapshot_output_compare(struct snapshot *written, const struct snapshot_expected *expected, struct error *error);

/* Writes all of `from`. A file appears complete or not at all. */
int snapshot_output_write(struct snapshot_output *output, const struct snapshot *from, struct error *error);

/* Like command_print_report(), but on standard error if the stream uses standard output. */
int snapshot_output_print_report(const struct command_call *call, const char *path, struct report *report);

#endif
