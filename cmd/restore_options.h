/* SPDX-License-Identifier: MIT */
/* What `lkvm snapshot restore` was asked for. */
#ifndef LKVM_RESTORE_OPTIONS_H
#define LKVM_RESTORE_OPTIONS_H

#include <stdbool.h>

#include "lkvm/run_options.h"

struct restore_options {
	struct run_options run; /* first: --disk and --network fill it. What is set here replaces what was saved */
	bool paused;
};

#endif
