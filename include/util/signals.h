/* SPDX-License-Identifier: MIT */
/* The signals that a thread of lkvm may block. */
#ifndef LKVM_UTIL_SIGNALS_H
#define LKVM_UTIL_SIGNALS_H

#include <signal.h>

/*
 * Fills `signals` with those that a thread may block: all but SIGBUS and SIGSEGV. The handler of these two
 * (memory/memory_loss.h) must run in the thread whose access to guest memory failed.
 */
void signals_blockable(sigset_t *signals);

#endif
