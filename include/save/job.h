/* SPDX-License-Identifier: MIT */
/*
 * Saves a machine while the main thread serves the guest. A thread writes RAM: first while the guest runs, then, in the pause,
 * the pages that have changed. After the pause it writes the sections and the end of the file. docs/save.md has a diagram.
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

/* The state of a save. docs/save.md draws it. Only save_job_enter() changes it, on the main thread. */
enum save_phase {
	SAVE_IDLE,
	SAVE_COPYING,   /* the guest runs, and the thread writes RAM or protects it */
	SAVE_WAITING,   /* the guest runs until the RAM that it was restored with is loaded and verified */
	SAVE_PAUSED,    /* the guest stands still */
	SAVE_FINISHING, /* the guest may run: the thread writes the rest of the file */
};

struct save_job {
	enum save_phase phase;
	/* On the loop: the copy before the pause is complete. Pause the machine and call save_job_finish(). */
	void (*copied)(void *owner);
	/* On the loop: the state is collected, and RAM may change again. The machine can resume. */
	void (*paused_part_done)(void *owner);
	/* On the loop: the save has ended. `result`, `error` and `figures` are set. The job is closed right after the call. */
	void (*done)(void *owner);
	void *owner;
	int result; /* only the loop writes it */
	struct error error;
	struct snapshot_figures figures;
	struct precopy precopy; /* closed if writes are not tracked */
	enum save_way way; /* the way that was used */
	uint64_t held; /* writes of the guest that waited */
	struct machine_overlays overlays; /* only `switched` is public: the guest uses them, even if the save failed */

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
	/* The outcome of the last phase. Only the thread writes it; the loop reads it after pthread_join(). */
	struct save_job_outcome {
		int result;
		struct error error;
	} outcome;
	atomic_bool cancelled;
	atomic_bool prepared; /* background save: the thread has protected RAM, and the machine can be paused */
};

/* Opens a save of `machine`. The caller has set only the callbacks and `owner` in `job`. */
int save_job_open(struct save_job *job, struct machine *machine, const struct save_request *request, struct loop *loop,
	       struct error *error);

/*
 * Enters the next phase, and asserts that it may follow. The owner of the job enters SAVE_WAITING, and SAVE_PAUSED before
 * save_job_finish(). The job enters all others. The phase is SAVE_IDLE when `done` is called, and when the job is closed.
 */
void save_job_enter(struct save_job *job, enum save_phase next);

/* Starts to write RAM. Leave it out if the machine is paused. After a failure the job is closed. */
int save_job_copy(struct save_job *job, struct error *error);

/*
 * Collects the state of the paused machine and starts to write the rest. The machine must stay paused until `done` or
 * `paused_part_done`, which may come before this returns. After a failure the job is closed, and the machine can resume.
 */
int save_job_finish(struct save_job *job, struct error *error);

/* Cancels the save: `done` is called soon, with ECANCELED. */
void save_job_cancel(struct save_job *job);

/* Cancels the save, waits for the thread, and frees everything. No callback is called. Does nothing if done_fd is -1. */
void save_job_close(struct save_job *job);

#endif
