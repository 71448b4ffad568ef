/* SPDX-License-Identifier: MIT */
/*
 * Compares two snapshots and reports what changed, as lists of rows.
 *
 * Each row has a `before` and an `after`. One of them is missing if only one snapshot has the object. A list without changes
 * is empty in JSON and absent in text.
 *
 * Both snapshots may be damaged or hostile. The sizes of the files bound the time; the limits below bound the memory.
 */
#ifndef LKVM_INSPECT_DIFF_H
#define LKVM_INSPECT_DIFF_H

#include "inspect/inspect.h"
#include "util/err.h"

#define DIFF_TEXT_ROWS 256u      /* rows of one list in text, unless `all` is set */
#define DIFF_TEXT_RANGES 32u     /* the same for ranges of RAM */
#define DIFF_MAX_ROWS (1u << 18) /* rows of all lists together, even if `all` is set; changes above it are only counted */
#define DIFF_MAX_FIELDS 16384u   /* fields of one section that are compared */
#define DIFF_MAX_EVENTS (2 * ITS_LPI_LIMIT) /* events of one ITS; its devices, collections and faults have the same limit */

/*
 * Adds the differences to the root of `report`, and stores their number in `*changes`. Identity and creation time of the
 * snapshots are not compared, nor are offsets in the file. Returns -1 if a snapshot cannot be read or its RAM is damaged.
 */
int diff_snapshots(const struct inspection *before, const struct inspection *after, bool all, struct report *report,
		   uint64_t *changes, struct error *error);

#endif
