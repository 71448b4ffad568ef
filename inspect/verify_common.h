/* SPDX-License-Identifier: MIT */
/* Values of a snapshot that several checks read. */
#ifndef LKVM_INSPECT_VERIFY_COMMON_H
#define LKVM_INSPECT_VERIFY_COMMON_H

#include "inspect/verify.h"

/* Reads a field of one element. Without it reports a fault and returns false. */
bool verify_number(const struct inspection *inspection, struct verdict *verdict, const char *section, const char *field,
		   uint64_t *value);

/*
 * Returns the address of each vCPU's pending table, in an array that the caller frees. The address is 0 if the vCPU has no
 * table, or has LPIs disabled and so does not use it. Returns NULL without memory.
 */
uint64_t *inspect_pending_tables(const struct inspection *inspection);

/* Returns the device's configuration space. Without it reports a fault and returns NULL. */
const uint8_t *verify_config(const struct inspection *inspection, const struct inspect_device *device,
			     struct verdict *verdict);

#endif
