/* SPDX-License-Identifier: MIT */
/* What control/lifecycle.c (fate), control/requests.c and control/inspect_request.c (requests) know of each other. */
#ifndef LKVM_CONTROL_LIFECYCLE_PRIVATE_H
#define LKVM_CONTROL_LIFECYCLE_PRIVATE_H

#include "control/lifecycle.h"

/* What deferred requests wait for. */
enum { HAPPENED_END = 1, HAPPENED_RESET, HAPPENED_SAVE, HAPPENED_NEVER };

/* Ends the loop; the first reason counts. */
void lifecycle_end(struct lifecycle *lifecycle, enum lifecycle_end how);

/*
 * Logs the cause, as "the guest has reset itself", and resets the machine. A paused machine stays paused: its user decides
 * when it goes on. With no_reboot the machine ends, which is no failure. A failure is the end, too.
 */
int lifecycle_reset(struct lifecycle *lifecycle, const char *cause, struct error *error);

/* For control->left: a client whose request was deferred has gone away. */
void lifecycle_left(void *lifecycle, struct control_client *client);

/* Does what the guest asked for last, if anything: power-off, reset. */
void lifecycle_take_event(struct lifecycle *lifecycle);

/* Writes the end of a save: what is left of RAM, the state. */
void lifecycle_finish_save(void *lifecycle);

/* Pauses the machine for as long as something is done to it; then it goes on if it ran, and is not held. */
void lifecycle_halt(struct lifecycle *lifecycle);
void lifecycle_go_on(struct lifecycle *lifecycle);

/* The request "inspect", with a file: what is to be seen of the machine becomes a snapshot in it, without the rest of RAM. */
void lifecycle_serve_inspect(struct lifecycle *lifecycle, struct control_client *client, char **words);

#endif
