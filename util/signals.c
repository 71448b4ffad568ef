/* SPDX-License-Identifier: MIT */
/* Lists the signals that a thread of lkvm may block. */
#include "util/signals.h"

void signals_blockable(sigset_t *signals)
{
	sigfillset(signals);
	sigdelset(signals, SIGBUS);
	sigdelset(signals, SIGSEGV);
}
