/* SPDX-License-Identifier: MIT */
/*
 * Failures on purpose, for tests: LKVM_FAULT=SEQUENCE/STEP in the environment of a VMM makes that step of that sequence
 * fail ("save/its-tables", "restore/vcpus"), as if the kernel or the disk had refused.
 */
#ifndef LKVM_UTIL_FAULT_H
#define LKVM_UTIL_FAULT_H

#include "util/err.h"

/* -1 with a sentence if `wanted` (may be NULL) names this step; 0 otherwise. */
int fault_at(const char *wanted, const char *sequence, const char *step, struct error *error);

#endif
