/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that we share with the user's shell and other processes: how to use them without disturbing those. Only
 * hw/terminal.c needs this.
 */
#ifndef LKVM_HW_TTY_H
#define LKVM_HW_TTY_H

#include <stdbool.h>
#include <termios.h>

#include "util/err.h"

/* Whether the process may read from this terminal and set it up: in the background, that would stop it. */
bool tty_in_foreground(int fd);

/* Input as it is typed, not echoed, no signals; otherwise as `saved`. Whether that worked. */
bool tty_set_raw(int fd, const struct termios *saved);

/*
 * A descriptor of our own for the same output, or -1. `may_block` is set where we could not make it non-blocking: then
 * only little may be written, and only when poll(2) says so.
 */
int tty_open_output(int fd, bool *may_block, struct error *error);

#endif
