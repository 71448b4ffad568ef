/* SPDX-License-Identifier: MIT */
/*
 * Memory whose first access, or first write, waits for another thread. That thread fills the page, or removes its write
 * protection. The access may come from the guest, a device or the kernel. Ranges are whole pages of the host. Kernel:
 * Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef LKVM_MEMORY_USERFAULT_H
#define LKVM_MEMORY_USERFAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* An event. The thread that caused it waits at least until the event is read. */
struct userfault_event {
	enum userfault_kind {
		USERFAULT_TOUCHED, /* access at `at` to an absent or protected page: waits until that changes, or for a wake */
		USERFAULT_REMOVED, /* [at, end) was discarded (MADV_DONTNEED): its old contents must not be filled in */
	} kind;
	uint8_t *at, *end;
};

/* Returns a descriptor, close-on-exec and non-blocking, or -1 if the host does not permit or support it. */
int userfault_open(struct error *error);

/* The same for userfault_protect(). On arm64 this works for a guest's pages since Linux 6.10. */
int userfault_open_protecting(struct error *error);

/* After this, each access to an absent page of this anonymous memory is an event. */
int userfault_register(int fd, void *at, uint64_t size, struct error *error);

/* After this, the range can be protected. It is anonymous memory or huge pages. */
int userfault_register_protecting(int fd, void *at, uint64_t size, struct error *error);

/*
 * Turns write protection of present pages on or off. A write to a protected page waits. Absent pages are not protected,
 * except huge pages, and become present without an event. MADV_DONTNEED drops protected pages without an event.
 */
int userfault_protect(int fd, void *at, uint64_t size, bool on, struct error *error);

/*
 * Ends the registration: waiting accesses continue, and absent pages are zero. Closing the descriptor does the same, unless a
 * child process that was forked before has a copy.
 */
void userfault_unregister(int fd, void *at, uint64_t size);

/* Reads the next event. Returns false if there is none. */
bool userfault_read(int fd, struct userfault_event *event);

/*
 * Fill absent pages, and wake the accesses that wait for them. Return the number of bytes done, at least a page, or -errno.
 * -EEXIST: the first page is present. -EAGAIN: an event must be read first.
 */
int64_t userfault_copy(int fd, void *to, const void *from, uint64_t size);
int64_t userfault_zero(int fd, void *to, uint64_t size);

/* Wakes the accesses that wait for these pages, so that they are tried again. */
void userfault_wake(int fd, void *at, uint64_t size);

#endif
