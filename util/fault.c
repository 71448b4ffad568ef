/* SPDX-License-Identifier: MIT */
/* Fault points, for tests. */
#include "util/fault.h"

#include <errno.h>
#include <string.h>

int fault_at(const char *wanted, const char *sequence, const char *step, struct error *error)
{
	size_t length = strlen(sequence);

	if (!wanted || strncmp(wanted, sequence, length) != 0 || wanted[length] != '/' ||
	    strcmp(wanted + length + 1, step) != 0)
		return 0;
	return error_set(error, ECANCELED, "LKVM_FAULT injected a failure at %s", step);
}
