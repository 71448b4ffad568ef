/* SPDX-License-Identifier: MIT */
/*
 * Which pages of guest RAM were written: by vCPUs and by KVM itself, as KVM's dirty log has it, and by devices, in this
 * process (ram_mark()) or in the kernel (vhost's log). Kernel: api.rst, "KVM_GET_DIRTY_LOG", "KVM_CLEAR_DIRTY_LOG" and
 * "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2".
 */
#ifndef LKVM_DIRTY_LOG_H
#define LKVM_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/err.h"

struct vm;

struct dirty_log {
	struct vm *vm;    /* NULL while closed */
	uint64_t *bitmap; /* KVM's: a bit a page of the host */
	uint64_t page_size;
	uint64_t chunks; /* of RAM */
};

/*
 * From now on it is kept account of what is written. By the thread that makes memory slots. What was written before is
 * nobody's business: the first dirty_log_take() says that all of RAM was.
 */
int dirty_log_open(struct dirty_log *log, struct vm *vm, struct error *error);
void dirty_log_close(struct dirty_log *log);

/*
 * Sets bit n of pages[i] if page n (of 4096 bytes) of chunk i (of RAM_MARK bytes) was written since it was last asked, and
 * leaves the others; of what devices wrote, and where the host's pages are larger, all that go together. What a
 * device of this process is about to write counts once it is written, so it is looked at (by a copy, say) behind this call
 * and again if the next one says so. `last`: nobody writes any more, and nobody asks again.
 */
int dirty_log_take(struct dirty_log *log, uint16_t *pages, bool last, struct error *error);

#endif
