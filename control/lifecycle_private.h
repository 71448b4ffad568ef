/* SPDX-License-Identifier: MIT */
/*
 * What the files of a lifecycle share. control/watch.c calls control/save_request.c, control/requests.c calls that and
 * control/inspect_request.c, and all of them call control/lifecycle.c.
 */
#ifndef LKVM_CONTROL_LIFECYCLE_PRIVATE_H
#define LKVM_CONTROL_LIFECYCLE_PRIVATE_H

#include "control/lifecycle.h"

/* What deferred requests wait for. */
enum { AWAIT_END = 1, AWAIT_RESET, AWAIT_SAVE, AWAIT_NOTHING };

#define LIFECYCLE_MAX_WAIT 86400 /* seconds that a client may wait for something */

/* Ends the loop; the first reason counts. _fail() keeps the error of the first. */
void lifecycle_end(struct lifecycle *lifecycle, enum lifecycle_end how);
void lifecycle_fail(struct lifecycle *lifecycle, enum lifecycle_end how, const struct error *error);

/*
 * Logs the cause, as "the guest has reset itself", and resets the machine. A paused machine stays paused: its user decides
 * when it goes on. With no_reboot the machine ends, which is no failure. A failure is the end, too.
 */
int lifecycle_reset(struct lifecycle *lifecycle, const char *cause, struct error *error);

/* For control->left: a client whose request was deferred has gone away. */
void lifecycle_client_left(void *lifecycle, struct control_client *client);

/* Does what the guest asked for last, if anything: power-off, reset. */
void lifecycle_handle_event(struct lifecycle *lifecycle);

/* Writes the end of a save: what is left of RAM, the state. */
void lifecycle_finish_save(void *lifecycle);

/* Pauses the machine for as long as something is done to it; then it goes on if it ran, and is not held. */
void lifecycle_pause(struct lifecycle *lifecycle);
void lifecycle_resume(struct lifecycle *lifecycle);

/* The save needs the machine no longer: it goes on, unless it is held. */
void lifecycle_unfreeze(struct lifecycle *lifecycle);

/* The requests "save" (save/request.h has its words) and "hold". The file and any base come as descriptors. */
void lifecycle_serve_save(struct lifecycle *lifecycle, struct control_client *client, char **words);
void lifecycle_serve_hold(struct lifecycle *lifecycle, struct control_client *client, char **words);

/* The request "inspect", with a file: what is to be seen of the machine becomes a snapshot in it, without the rest of RAM. */
void lifecycle_serve_inspect(struct lifecycle *lifecycle, struct control_client *client, char **words);

#endif
