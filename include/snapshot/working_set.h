/* SPDX-License-Identifier: MIT */
/*
 * The working set: which chunks of RAM a machine touched in the first moment after a restore, so that the next one reads
 * them ahead. A bit a FORMAT_RAM_CHUNK of RAM, the lowest first.
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

/* Of the bits, for so many bytes of RAM. */
size_t working_set_bytes(uint64_t ram_size);

/* Sets the bits of those chunks of which a page is there in this process, by the host's page map. */
int working_set_record(const struct ram *ram, uint8_t *chunks, struct error *error);

void working_set_save(const uint8_t *chunks, uint64_t ram_size, struct section_writer *writer);

/* What is in the sections, for so many bytes of RAM. Without such a section `chunks` stays as it is. */
int working_set_load(struct sections *sections, uint64_t ram_size, struct field *chunks, struct error *error);

/* Whether the chunk at offset `at` of RAM is in the snapshot's working set. */
bool working_set_has(const struct snapshot *snapshot, uint64_t at);

/* So many chunks are. */
uint64_t working_set_count(const struct snapshot *snapshot);

#endif
