/* SPDX-License-Identifier: MIT */
/*
 * Handles guest memory that is lost while the machine runs: its file is damaged, became shorter or cannot be read. No thread
 * may continue with zeroes instead. So the first thread that finds the loss makes all guest memory inaccessible to vCPUs,
 * workers and the kernel. Then a thread of this module ends the process. It does not wait for other threads, as one that
 * needs guest memory never returns.
 */
#ifndef LKVM_MEMORY_MEMORY_LOSS_H
#define LKVM_MEMORY_MEMORY_LOSS_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum memory_loss_state { MEMORY_LOSS_WATCHED, MEMORY_LOSS_CLAIMED, MEMORY_LOSS_CLOSED };

struct memory_loss {
	/* Set by the owner. It ends the process and never returns. It runs once, on a thread of its own. */
	void (*lost)(void *owner);
	/* Set by the owner, or NULL. Whether a file of guest memory is damaged. Any thread calls it, and it takes no lock. */
	bool (*is_damaged)(void *owner);
	void *owner;

	/* Members that `lost` may read. */
	const uint8_t *host; /* the beginning of guest memory */
	const uint8_t *at;   /* the address of the access that failed; NULL if it was not an access by this process */
	bool hardware;       /* the host's memory failed, not a file */
	struct error error;  /* of the thread that found the loss; the text may be empty; EFAULT: the kernel found it */

	/* Private. */
	uint64_t size;
	int event_fd; /* -1: closed */
	pthread_t thread;
	atomic_int state;    /* enum memory_loss_state */
	atomic_bool declared;
	struct sigaction before[2];
};

/*
 * Starts the thread and handles SIGBUS and SIGSEGV. The caller has set `lost` and `owner`, and may have set `is_damaged`. All
 * other members are zero. A process may have one memory_loss. Every thread that accesses guest memory must leave these
 * signals unblocked: signals_blockable().
 */
int memory_loss_open(struct memory_loss *loss, struct error *error);

/*
 * Call this after all other threads have stopped using guest memory. If memory is lost already, it does not return, and the
 * process ends. A later loss is not declared. It may be called after a failed open, and twice.
 */
void memory_loss_close(struct memory_loss *loss);

/* Sets the range of guest memory. Call it before a second thread uses that. Does nothing without an open memory_loss. */
void memory_loss_watch(void *host, uint64_t size);

/*
 * Declares guest memory lost. `why` describes the file. With the code EFAULT, it describes a system call that could not
 * access guest memory. Any thread may call it. It does not return while guest memory is watched. Otherwise the caller must
 * handle `why`.
 */
void memory_lost(const struct error *why);

/* The same for the errno value of a system call on guest memory. Only EFAULT means that guest memory is lost. */
void memory_check(int code, const char *what);

/*
 * The same for an error of KVM, vhost or a save. There EFAULT means that guest memory is lost, or that the guest gave an
 * address outside its memory; is_damaged() decides. Returns if no guest memory is lost.
 */
void memory_suspect(const struct error *why);

#endif
