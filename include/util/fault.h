/* SPDX-License-Identifier: MIT */
/*
 * Injected failures, for tests. LKVM_FAULT=SEQUENCE/STEP in the environment of a VMM makes that step of that sequence fail,
 * as if the kernel or the disk had refused. Examples are "save/its-tables" and "restore/vcpus".
 */
#ifndef LKVM_UTIL_FAULT_H
#define LKVM_UTIL_FAULT_H

#include "util/err.h"

/* Returns -1 with an error if `wanted` names this step, 0 otherwise. `wanted` may be NULL. */
int fault_at(const char *wanted, const char *sequence, const char *step, struct error *error);

#endif
