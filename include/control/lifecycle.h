/* SPDX-License-Identifier: MIT */
/*
 * A running machine's fate: what happens when its guest powers off, resets, crashes or cannot go on, when the
 * user leaves, a signal comes, or another process asks for something through the control socket. All of it
 * happens on the main thread's loop, one thing at a time.
 */
#ifndef LKVM_CONTROL_LIFECYCLE_H
#define LKVM_CONTROL_LIFECYCLE_H

#include "control/control.h"
#include "machine/machine.h"
#include "save/job.h"
#include "snapshot/checker.h"
#include "util/err.h"
#include "util/loop.h"

/* Why it is over. */
enum lifecycle_end {
	LIFECYCLE_RUNNING,
	LIFECYCLE_POWER_OFF, /* by the guest */
	LIFECYCLE_LEFT,      /* by the user, at the terminal */
	LIFECYCLE_STOPPED,   /* by `lkvm stop --force` */
	LIFECYCLE_RESET,     /* by the guest or `lkvm reboot --force`, with no_reboot */
	LIFECYCLE_SIGNAL,
	LIFECYCLE_CRASH,     /* the guest said so; the sentence says what */
	LIFECYCLE_FAILURE,   /* KVM or the VMM; the sentence says what */
};

struct lifecycle {
	struct machine *machine;
	struct control *control;
	struct loop *loop;
	int signal_fd;
	bool no_reboot;     /* a reset ends it; set after lifecycle_open() */
	enum lifecycle_end end;
	int signal;         /* for LIFECYCLE_SIGNAL */

	struct checker checker; /* of the RAM that the machine was restored from */
	struct save_job save_job; /* while saving */
	bool saving;
	bool finish_waits;  /* the save's end, for the checker's and the pager's */
	bool halted;        /* it was paused for that, and may still be held */
	bool goes_on;       /* it was running before that */
	bool frozen;        /* the save needs it to stay so */
	uint64_t paused_at; /* nanoseconds of CLOCK_MONOTONIC */
	uint64_t pause;     /* nanoseconds that it was frozen */
	struct control_client *saves, *holds; /* who asked for that; NULL: nobody, or nobody any more */
	struct error error; /* for LIFECYCLE_CRASH and LIFECYCLE_FAILURE */
};

/*
 * Ignores SIGPIPE and blocks the signals that lifecycle_open() takes from the loop. To be called before the
 * first thread starts, so that all have them blocked. A child that becomes another program should undo both.
 */
void lifecycle_block_signals(void);

/* Watches an open machine on its loop. The machine still has to be resumed. */
int lifecycle_open(struct lifecycle *lifecycle, struct machine *machine, struct control *control,
		   struct error *error);

/*
 * Checks the RAM of the snapshot that the machine comes from while it runs, unless who loads it does. Where it is damaged, that
 * is the machine's end, and until it is known nothing is saved.
 */
int lifecycle_check(struct lifecycle *lifecycle, const struct snapshot *snapshot, struct error *error);

/* Stops watching: before the machine is closed. Safe after a failed open, and twice. */
void lifecycle_close(struct lifecycle *lifecycle);

/*
 * Answers those who waited for the end: once the machine is closed and its name given back, so that both are
 * free again.
 */
void lifecycle_notify(struct lifecycle *lifecycle);

/* Serves the control socket's requests: for control_open(), with the lifecycle as owner. */
void lifecycle_serve(void *lifecycle, struct control_client *client, unsigned count, char **words);

/* Ends it, as Ctrl-A x does: for struct terminal. */
void lifecycle_leave(void *lifecycle);

#endif
