/* SPDX-License-Identifier: MIT */
/*
 * The working set: the chunks of RAM that a machine accessed in the first moment after a restore. The next restore reads them
 * ahead. It has one bit per FORMAT_RAM_CHUNK of RAM, the lowest bit first.
 */
#ifndef LKVM_SNAPSHOT_WORKING_SET_H
#define LKVM_SNAPSHOT_WORKING_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/ram.h"
#include "snapshot/format.h"
#include "snapshot/snapshot.h"
#include "state/sections.h"
#include "util/err.h"

/* The size in bytes of a working set's bits, for `ram_size` bytes of RAM. */
size_t working_set_bytes(uint64_t ram_size);

/* Sets the bit of each chunk that has a page in this process, by the host's page map. Fails where that cannot be read. */
int working_set_record(const struct ram *ram, uint8_t *chunks, struct error *error);

void working_set_save(const uint8_t *chunks, uint64_t ram_size, struct section_writer *writer);

/* Finds the working set in the sections and checks that it fits `ram_size`. Without such a section `chunks` is unchanged. */
int working_set_load(struct sections *sections, uint64_t ram_size, struct field *chunks, struct error *error);

/* Whether the chunk at offset `at` in RAM is in the snapshot's working set. */
bool working_set_has(const struct snapshot *snapshot, uint64_t at);

/* The number of chunks in the snapshot's working set. */
uint64_t working_set_count(const struct snapshot *snapshot);

#endif
