/* SPDX-License-Identifier: MIT */
/*
 * Saving a machine while the main thread goes on serving: the state is collected at once, RAM is written by a thread.
 * The machine stays paused until the end.
 */
#ifndef LKVM_SAVER_H
#define LKVM_SAVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lkvm/err.h"
#include "lkvm/loop.h"
#include "lkvm/machine.h"
#include "lkvm/snapshot.h"

struct saver {
	struct machine *machine;
	struct loop *loop;
	void (*done)(void *owner); /* on the loop; `result` and `error` are filled in, the thread has ended */
	void *owner;
	int result;
	struct error error;
	struct snapshot_figures figures;

	/* Private. */
	bool active;
	int fd, done_fd;
	pthread_t thread;
	atomic_bool cancelled;
	struct section_writer sections;
};

/*
 * Saves the paused machine into `fd`, an empty regular file, which the saver closes in any case. Fails, with nothing
 * started, if the state cannot be had or the thread not be made.
 */
int saver_start(struct saver *saver, struct machine *machine, int fd, struct loop *loop, void (*done)(void *owner),
		void *owner, struct error *error);

/* Nobody wants it any more: `done` is called soon, with ECANCELED. */
void saver_cancel(struct saver *saver);

/* Cancels, waits, frees; `done` is not called. Also where nothing was started. */
void saver_close(struct saver *saver);

#endif
