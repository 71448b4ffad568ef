/* SPDX-License-Identifier: MIT */
/*
 * Saving a machine while the main thread goes on serving: a thread writes RAM, first while the guest still runs; then,
 * with the machine paused, what has changed since, the state, and the end of the file.
 */
#ifndef LKVM_SAVE_JOB_H
#define LKVM_SAVE_JOB_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "machine/machine.h"
#include "save/background.h"
#include "save/precopy.h"
#include "save/request.h"
#include "save/throttle.h"
#include "snapshot/snapshot.h"
#include "util/err.h"
#include "util/loop.h"

struct save_job {
	/* On the loop: save_job_copy() is through. Pause the machine and call save_job_finish(). */
	void (*copied)(void *owner);
	/* On the loop: the file has RAM as it is, and the state is collected: the machine can go on. */
	void (*paused_part_done)(void *owner);
	/* On the loop: it has ended, well or not; `result`, `error`, `figures` are filled in. It is closed right after. */
	void (*done)(void *owner);
	void *owner;
	int result; /* written on the loop only */
	struct error error;
	struct snapshot_figures figures;
	struct precopy precopy; /* closed where no account is kept of what is written */
	enum save_way way; /* that was taken */
	uint64_t held; /* writes that waited for it */
	struct machine_overlays overlays; /* `switched`: the guest has them, whatever became of the save; private otherwise */

	/* Private. */
	struct background background;
	struct machine *machine;
	struct loop *loop;
	struct snapshot_writer writer;
	struct snapshot_progress progress;
	struct section_writer sections;
	struct throttle throttle;
	struct snapshot base; /* fd -1: none */
	char base_path[PATH_MAX];
	bool working_set, detach, force;
	int done_fd; /* -1: not open */
	pthread_t thread;
	bool working;
	/* Of the last phase. Only the thread writes it; the loop reads it after pthread_join(). */
	struct save_job_outcome {
		int result;
		struct error error;
	} outcome;
	enum { SAVE_JOB_COPIES, SAVE_JOB_IN_PAUSE, SAVE_JOB_FINISHES } phase;
	atomic_bool cancelled;
	atomic_bool prepared; /* for a point in time: the thread is not through with that, but pause the machine */
};

/* Begins to save `machine`. The functions and `owner` are set in `job`, everything else is not. */
int save_job_open(struct save_job *job, struct machine *machine, const struct save_request *request, struct loop *loop,
	       struct error *error);

/* Starts to write RAM, whether the machine runs or not; to be left out if it does not. On failure the job is closed. */
int save_job_copy(struct save_job *job, struct error *error);

/*
 * The machine is paused, and stays so until `paused_part_done` (which may be before this returns) or `done`: collects its state and starts
 * to write all that is left. On failure the job is closed, and the machine can go on.
 */
int save_job_finish(struct save_job *job, struct error *error);

/* Nobody wants it any more: `done` is called soon, with ECANCELED. */
void save_job_cancel(struct save_job *job);

/* Cancels, waits, frees; nobody is called. Also where nothing was opened, if done_fd says so. */
void save_job_close(struct save_job *job);

#endif
