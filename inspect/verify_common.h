/* SPDX-License-Identifier: MIT */
/* What several checks look for in a snapshot. */
#ifndef LKVM_INSPECT_VERIFY_COMMON_H
#define LKVM_INSPECT_VERIFY_COMMON_H

#include "inspect/verify.h"

/* A field of one element; false, and a fault, where there is none. */
bool verify_number(const struct inspection *inspection, struct verdict *verdict, const char *section, const char *field,
		   uint64_t *value);

/*
 * Where each vCPU's pending table is: 0 where it has none, or has LPIs off, so that nobody looks at it. To be freed; NULL
 * if memory ran out.
 */
uint64_t *inspect_pending_tables(const struct inspection *inspection);

/* Its configuration space; NULL, and a fault, where there is none. */
const uint8_t *verify_config(const struct inspection *inspection, const struct inspect_device *device,
			     struct verdict *verdict);

#endif
