/* SPDX-License-Identifier: MIT */
/*
 * Loads memory ahead of the guest, in the background. A touched range is loaded as by an access, from a mapped file or by the
 * pager. A range that is only read out of a mapped file is in the host's page cache afterwards.
 */
#ifndef LKVM_MEMORY_PREFAULT_H
#define LKVM_MEMORY_PREFAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/guest_memory.h"
#include "memory/ram.h"
#include "util/err.h"

/* Guest physical addresses, in bytes: [from, end). */
struct prefault_range {
	uint64_t from, end;
};

struct prefault {
	bool is_open;

	/* Private. */
	struct ram ram; /* a copy, for its addresses */
	const struct prefault_range *ranges;
	size_t count, touched;
	struct guest_memory file;
	uint8_t *bytes; /* the buffer for reads of `file`; its contents are not used */
	pthread_t thread;
	atomic_bool cancelled;
};

/*
 * Starts to load `ranges`, in their order. The array must stay valid until the close. The first `touched` ranges are touched,
 * and the others are read out of `file`, which may be NULL if there are no others. Fails if a range is not in RAM.
 */
int prefault_open(struct prefault *prefault, const struct ram *ram, const struct prefault_range *ranges, size_t count,
		  size_t touched, const struct guest_memory *file, struct error *error);

/* Cancels loading and waits for the thread. Does nothing if `is_open` is false. */
void prefault_close(struct prefault *prefault);

#endif
