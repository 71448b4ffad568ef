/* SPDX-License-Identifier: MIT */
/*
 * Tracks which pages of guest RAM are written. KVM's dirty log has the writes of vCPUs and of KVM itself. Marks have the writes
 * of devices, in this process (ram_mark()) or in the kernel (vhost's log). Kernel: api.rst, "KVM_GET_DIRTY_LOG",
 * "KVM_CLEAR_DIRTY_LOG" and "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2".
 */
#ifndef LKVM_KVM_DIRTY_LOG_H
#define LKVM_KVM_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct vm;

struct dirty_log {
	struct vm *vm;    /* NULL while closed */
	uint64_t *bitmap; /* KVM's: one bit for each page of the host */
	uint64_t page_size;
	uint64_t chunks; /* of RAM */
	/*
	 * The log has all writes. It does not if KVM cannot split blocks (before Linux 6.5) and the host is emulated. When the
	 * guest's table walk hits a protected block, QEMU before 8.0 reports the level of the guest's table instead of stage 2's.
	 * KVM then makes the whole block writable and logs one page.
	 */
	bool is_exact;
};

/* Call it before the VM has memory. KVM then splits blocks while it protects them, if it can. */
void dirty_log_prepare(int vm_fd);

/*
 * dirty_log_open() does the slow part and may run while vCPUs run, on the thread that makes memory slots. Call
 * dirty_log_start() with no vCPU in KVM_RUN: a fault taken before the start must not be completed after it. Earlier writes are
 * not tracked; the first fetch reports all of RAM. If dirty_log_start() fails, close the log.
 */
int dirty_log_open(struct dirty_log *log, struct vm *vm, struct error *error);
int dirty_log_start(struct dirty_log *log, struct error *error);
void dirty_log_close(struct dirty_log *log);

/*
 * Sets bit n of pages[i] if page n (of 4096 bytes) of chunk i (of RAM_MARK bytes) was written since the last fetch. Does not
 * clear bits. A write of a device sets all bits of its chunk. On a host with larger pages all bits of a host page are set.
 * A device of this process marks a page after it wrote it. So copy pages after this call, and again if the next call reports
 * them. `last`: writing has ended, and there will be no further fetch.
 */
int dirty_log_fetch(struct dirty_log *log, uint16_t *pages, bool last, struct error *error);

#endif
