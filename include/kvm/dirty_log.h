/* SPDX-License-Identifier: MIT */
/*
 * Which pages of guest RAM were written: by vCPUs and by KVM itself, as KVM's dirty log has it, and by devices, in this
 * process (ram_mark()) or in the kernel (vhost's log). Kernel: api.rst, "KVM_GET_DIRTY_LOG", "KVM_CLEAR_DIRTY_LOG" and
 * "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2".
 */
#ifndef LKVM_KVM_DIRTY_LOG_H
#define LKVM_KVM_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct vm;

struct dirty_log {
	struct vm *vm;    /* NULL while closed */
	uint64_t *bitmap; /* KVM's: a bit a page of the host */
	uint64_t page_size;
	uint64_t chunks; /* of RAM */
	/*
	 * All that is written is said. Not so where KVM cannot split its blocks (before Linux 6.5) and the host is emulated:
	 * when the guest's table walk meets a protected block, QEMU before 8.0 says the level of the guest's table instead of
	 * that of stage 2, and KVM then lets all of the block be written for one page that it notes.
	 */
	bool is_exact;
};

/* To be called before the VM has memory: where KVM can, it will split blocks as it protects them. */
void dirty_log_prepare(int vm_fd);

/*
 * By the thread that makes memory slots, while vCPUs run: what takes long is done here. dirty_log_start() begins to keep
 * account, with no vCPU in KVM_RUN: a fault that was taken before and handled behind would be of a mapping that is another
 * by then. What was written before is nobody's business: the first dirty_log_fetch() says that all of RAM was. After a failure
 * of the latter, too, the log is to be closed.
 */
int dirty_log_open(struct dirty_log *log, struct vm *vm, struct error *error);
int dirty_log_start(struct dirty_log *log, struct error *error);
void dirty_log_close(struct dirty_log *log);

/*
 * Sets bit n of pages[i] if page n (of 4096 bytes) of chunk i (of RAM_MARK bytes) was written since it was last asked, and
 * leaves the others; of what devices wrote, and where the host's pages are larger, all that go together. What a
 * device of this process is about to write counts once it is written, so it is looked at (by a copy, say) behind this call
 * and again if the next one says so. `last`: nobody writes any more, and nobody asks again.
 */
int dirty_log_fetch(struct dirty_log *log, uint16_t *pages, bool last, struct error *error);

#endif
