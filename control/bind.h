/* SPDX-License-Identifier: MIT */
/* What the server of a control socket needs of the socket's file. */
#ifndef LKVM_CONTROL_BIND_H
#define LKVM_CONTROL_BIND_H

#include "control/control.h"

/*
 * Makes the socket's file for control->name, in the place of a stale one, and listens at control->listen_fd. Fails with EEXIST
 * where a VM of that name runs or another file is in the way.
 */
int control_bind(struct control *control, struct error *error);

#endif
