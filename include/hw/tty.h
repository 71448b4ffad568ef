/* SPDX-License-Identifier: MIT */
/* Terminals and descriptors that lkvm shares with the user's shell and other processes. Private to hw/terminal.c. */
#ifndef LKVM_HW_TTY_H
#define LKVM_HW_TTY_H

#include <stdbool.h>
#include <termios.h>

#include "util/err.h"

/*
 * Whether the process may read this terminal and change its settings. In the background, that would stop the
 * process.
 */
bool tty_in_foreground(int fd);

/* Sets raw mode for input: no line editing, no echo, no signals; otherwise as `saved`. Returns whether that worked. */
bool tty_set_raw(int fd, const struct termios *saved);

/*
 * Opens another descriptor of the same output, or -1. `may_block` is set if it cannot be non-blocking: then
 * write little at once, and only after poll(2) reports POLLOUT.
 */
int tty_open_output(int fd, bool *may_block, struct error *error);

#endif
