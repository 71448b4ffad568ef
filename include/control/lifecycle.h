/* SPDX-License-Identifier: MIT */
/*
 * The lifecycle of a running machine: handles power-off, reset, crash and failure of the guest, the user's exit, signals, and
 * requests through the control socket. Everything happens on the main thread's loop, one event at a time.
 */
#ifndef LKVM_CONTROL_LIFECYCLE_H
#define LKVM_CONTROL_LIFECYCLE_H

#include "control/control.h"
#include "machine/machine.h"
#include "save/job.h"
#include "snapshot/checker.h"
#include "util/err.h"
#include "util/loop.h"

/* Why the machine ended. */
enum lifecycle_end {
	LIFECYCLE_RUNNING,
	LIFECYCLE_POWER_OFF, /* by the guest or its watchdog */
	LIFECYCLE_LEFT,      /* by the user, at the terminal */
	LIFECYCLE_STOPPED,   /* by `lkvm stop --force` */
	LIFECYCLE_RESET,     /* by the guest or `lkvm reboot --force`, with no_reboot */
	LIFECYCLE_SIGNAL,
	LIFECYCLE_CRASH,     /* the guest reported it; `error` has the details */
	LIFECYCLE_FAILURE,   /* of KVM or the VMM; `error` has the details */
};

struct lifecycle {
	struct machine *machine;
	struct control *control;
	struct loop *loop;
	int signal_fd;
	bool no_reboot;     /* a reset ends the machine; set after lifecycle_open() */
	enum lifecycle_end end;
	int signal;         /* for LIFECYCLE_SIGNAL */

	struct checker checker; /* verifies the RAM of the snapshot that the machine was restored from */
	struct save_job save_job; /* its phase is that of the save */
	bool has_paused;    /* the machine was paused for a save or an inspection, and may still be held */
	bool was_running;   /* it was running before that pause */
	uint64_t paused_at; /* nanoseconds of CLOCK_MONOTONIC */
	uint64_t pause;     /* nanoseconds of the last save's pause */
	struct control_client *save_client, *hold_client; /* of the requests "save" and "hold"; NULL: none (any more) */
	struct error error; /* for LIFECYCLE_CRASH and LIFECYCLE_FAILURE */
};

/*
 * Ignores SIGPIPE and blocks the signals that lifecycle_open() handles on the loop. Call it before the first thread starts, so
 * that all threads block them. A child that executes another program should undo both.
 */
void lifecycle_block_signals(void);

/* Watches an open machine on its loop. Does not resume it. */
int lifecycle_open(struct lifecycle *lifecycle, struct machine *machine, struct control *control,
		   struct error *error);

/*
 * Verifies the RAM of the machine's snapshot while the machine runs, unless the loader verifies it. Damage ends the machine. No
 * save completes before the result is known.
 */
int lifecycle_check(struct lifecycle *lifecycle, const struct snapshot *snapshot, struct error *error);

/* Stops watching. Call it before the machine is closed. Allowed after a failed open, and twice. */
void lifecycle_close(struct lifecycle *lifecycle);

/*
 * Answers the clients that wait for the end. Call it after the machine is closed and its name given back: clients may then use
 * its name and its files.
 */
void lifecycle_notify(struct lifecycle *lifecycle);

/* Serves the control socket's requests: for control_open(), with the lifecycle as owner. */
void lifecycle_serve(void *lifecycle, struct control_client *client, unsigned count, char **words);

/* Ends the machine, as Ctrl-A x does. For struct terminal. */
void lifecycle_leave(void *lifecycle);

#endif
