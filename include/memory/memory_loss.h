/* SPDX-License-Identifier: MIT */
/*
 * Guest memory that is lost while the machine runs: the file behind it is damaged, became shorter or cannot be read. No thread
 * may go on with zeroes in its place. So the first thread that meets the loss makes all of guest memory inaccessible, for
 * vCPUs, workers and the kernel alike, and a thread of this module ends the process. Nobody waits for the other threads: one
 * that needs guest memory never returns.
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
	/* Set by the owner: ends the process, and never returns. It runs once, on a thread of its own. */
	void (*lost)(void *owner);
	/* Set by the owner, or NULL: whether a file behind guest memory is damaged. On any thread; it takes no lock. */
	bool (*is_damaged)(void *owner);
	void *owner;

	/* What `lost` may read. */
	const uint8_t *host; /* where guest memory begins */
	const uint8_t *at;   /* the access that failed, if it was one of this process; or NULL */
	bool hardware;       /* the host's memory failed, not a file */
	struct error error;  /* of the thread that met it: a sentence, or an empty text; EFAULT: the kernel met it */

	/* Private. */
	uint64_t size;
	int event_fd; /* -1: closed */
	pthread_t thread;
	atomic_int state;    /* enum memory_loss_state */
	atomic_bool declared;
	struct sigaction before[2];
};

/*
 * Starts the thread and handles SIGBUS and SIGSEGV. `lost` and `owner` are set, everything else is zero. There is one in a
 * process. Every thread that reads guest memory must leave these signals unblocked: signals_blockable().
 */
int memory_loss_open(struct memory_loss *loss, struct error *error);

/*
 * Once no other thread needs guest memory. Where memory is lost already, it does not return: the process ends. A loss that
 * is met later is not declared. Safe after a failed open, and twice.
 */
void memory_loss_close(struct memory_loss *loss);

/* Names the guest memory, before a second thread uses it. Without an open memory_loss this does nothing. */
void memory_loss_watch(void *host, uint64_t size);

/*
 * Guest memory is lost, `why` says how: a sentence about the file, or with the code EFAULT that of a system call that could not
 * access guest memory. Any thread. Does not return while guest memory is watched; otherwise the caller handles `why` itself.
 */
void memory_lost(const struct error *why);

/* The same for a system call with guest memory, which gave this errno value: only EFAULT says that it is lost. */
void memory_check(int code, const char *what);

/*
 * `why` is an error of KVM, vhost or a save. EFAULT may say that guest memory is lost, or that the guest gave an address outside
 * its memory: is_damaged() decides. Returns where nothing is lost.
 */
void memory_suspect(const struct error *why);

#endif
