/* SPDX-License-Identifier: MIT */
/* Makes the file of a control socket. */
#ifndef LKVM_CONTROL_BIND_H
#define LKVM_CONTROL_BIND_H

#include "control/control.h"

/*
 * Makes the socket's file for control->name, in place of a stale one, and listens at control->listen_fd. Fails with EEXIST if a
 * VM of that name runs or if another file has the name.
 */
int control_bind(struct control *control, struct error *error);

#endif
