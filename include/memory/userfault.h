/* SPDX-License-Identifier: MIT */
/*
 * Memory that another thread fills at its first touch, or lets be written at its first write, whoever touches it: guest, device or the kernel itself
 * (Documentation/admin-guide/mm/userfaultfd.rst). Ranges are whole pages of the host.
 */
#ifndef LKVM_MEMORY_USERFAULT_H
#define LKVM_MEMORY_USERFAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* Something that somebody waits with until it is read. */
struct userfault_event {
	enum userfault_kind {
		USERFAULT_TOUCHED, /* a page at `at` that is not there, or protected: waits until that changes, or is woken */
		USERFAULT_REMOVED, /* [at, end) goes back to the kernel (MADV_DONTNEED); what it was is not to come again */
	} kind;
	uint8_t *at, *end;
};

/* A descriptor, close-on-exec and never blocking; or -1 where the host has none for us. */
int userfault_open(struct error *error);

/* The same for userfault_protect(). KVM reaches arm64's guests' pages so since Linux 6.10. */
int userfault_open_protecting(struct error *error);

/* From now on, untouched pages of this anonymous memory are events. */
int userfault_register(int fd, void *at, uint64_t size, struct error *error);

/* From now on, this anonymous memory, or huge pages, can be protected. */
int userfault_register_protecting(int fd, void *at, uint64_t size, struct error *error);

/*
 * Whoever writes what is there waits, or no longer. What is not there is not protected, but for huge pages, and comes without
 * an event. MADV_DONTNEED takes away what is protected, and says nothing.
 */
int userfault_protect(int fd, void *at, uint64_t size, bool on, struct error *error);

/*
 * No more: who waits goes on, and what is not there is zero. Closing the descriptor does the same, but not as long as a child
 * that was forked meanwhile has a copy.
 */
void userfault_unregister(int fd, void *at, uint64_t size);

/* Whether there was one. */
bool userfault_read(int fd, struct userfault_event *event);

/*
 * Fill pages that are not there, and wake who waits for them. Bytes done, at least a page; or -EEXIST: the first page is
 * there; -EAGAIN: an event is to be read first; or another -errno.
 */
int64_t userfault_copy(int fd, void *to, const void *from, uint64_t size);
int64_t userfault_zero(int fd, void *to, uint64_t size);

/* Who waits for them looks again. */
void userfault_wake(int fd, void *at, uint64_t size);

#endif
