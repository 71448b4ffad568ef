/* SPDX-License-Identifier: MIT */
/*
 * Reading memory ahead of the guest, in the background: as if somebody touched it, so that whatever brings it, a mapped file or
 * the pager, does so then; or, of a mapped file, only read there, so that it is in the host's cache.
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

/* Guest physical, bytes: [from, end). */
struct prefault_range {
	uint64_t from, end;
};

struct prefault {
	bool is_open;

	/* Private. */
	struct ram ram; /* a copy: where it is */
	const struct prefault_range *ranges;
	size_t count, touched;
	struct guest_memory file;
	uint8_t *bytes; /* what was read there, which nobody looks at */
	pthread_t thread;
	atomic_bool cancelled;
};

/*
 * Starts with `ranges`, in their order, which stay where they are. The first `touched` of them are touched, the others read out
 * of `file`; NULL where there are no others. What is not RAM is refused.
 */
int prefault_open(struct prefault *prefault, const struct ram *ram, const struct prefault_range *ranges, size_t count,
		  size_t touched, const struct guest_memory *file, struct error *error);

/* Calls it off. Also where nothing was opened. */
void prefault_close(struct prefault *prefault);

#endif
