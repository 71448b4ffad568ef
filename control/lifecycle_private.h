/* SPDX-License-Identifier: MIT */
/*
 * What the files of a lifecycle share. lifecycle_open.c calls lifecycle_save.c, lifecycle_requests.c calls that and
 * lifecycle_inspect.c, and all of them call lifecycle.c.
 */
#ifndef LKVM_CONTROL_LIFECYCLE_PRIVATE_H
#define LKVM_CONTROL_LIFECYCLE_PRIVATE_H

#include "control/lifecycle.h"

/* The events that deferred requests wait for. */
enum { AWAIT_END = 1, AWAIT_RESET, AWAIT_SAVE, AWAIT_NOTHING };

#define LIFECYCLE_MAX_WAIT 86400 /* seconds that a client may wait */

/* End the loop. The first reason counts; _fail() also keeps its error. */
void lifecycle_end(struct lifecycle *lifecycle, enum lifecycle_end how);
void lifecycle_fail(struct lifecycle *lifecycle, enum lifecycle_end how, const struct error *error);

/*
 * Logs the cause ("the guest has reset itself") and resets the machine. A paused machine stays paused until it is resumed.
 * With no_reboot the machine ends instead, which is no failure. A failed reset also ends the machine.
 */
int lifecycle_reset(struct lifecycle *lifecycle, const char *cause, struct error *error);

/* For control->left: a client with a deferred request has disconnected. */
void lifecycle_client_left(void *lifecycle, struct control_client *client);

/* Handles the last event of the guest, if there is one: power-off, reset, crash, failure. */
void lifecycle_handle_event(struct lifecycle *lifecycle);

/* Starts the pause of a save: saves the rest of RAM and the state. Waits until the checker and the pager are done. */
void lifecycle_finish_save(void *lifecycle);

/* Pause the machine for a short task. _resume() resumes it if it ran before, no save is in its pause and no client holds it. */
void lifecycle_pause(struct lifecycle *lifecycle);
void lifecycle_resume(struct lifecycle *lifecycle);

/* The requests "save" (save/request.h has its words) and "hold". The file and any base come as descriptors. */
void lifecycle_serve_save(struct lifecycle *lifecycle, struct control_client *client, char **words);
void lifecycle_serve_hold(struct lifecycle *lifecycle, struct control_client *client, char **words);

/* The request "inspect": writes a snapshot for inspection to the client's file, with only the RAM that this needs. */
void lifecycle_serve_inspect(struct lifecycle *lifecycle, struct control_client *client, char **words);

#endif
