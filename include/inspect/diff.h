/* SPDX-License-Identifier: MIT */
/*
 * What changed between two snapshots, as a report: lists of rows that have a `before` and an `after` each, of which one is
 * missing where something came or went. A list of which nothing differs is empty in JSON and not there in text.
 *
 * Both may be damaged or hostile: time is bounded by the sizes of the files, memory by the limits below.
 */
#ifndef LKVM_INSPECT_DIFF_H
#define LKVM_INSPECT_DIFF_H

#include "inspect/inspect.h"
#include "util/err.h"

#define DIFF_TEXT_ROWS 256u      /* of one list, unless all are wanted */
#define DIFF_TEXT_RANGES 32u     /* the same, of RAM */
#define DIFF_MAX_ROWS (1u << 18) /* of all lists together, whatever is wanted; changes behind them are counted */
#define DIFF_MAX_FIELDS 16384u   /* of a section that are told apart */
#define DIFF_MAX_EVENTS (2 * ITS_LPI_LIMIT) /* of one ITS; the same for its devices and collections */

/*
 * Adds what differs to the root of `report`, and how many changes that are to `changes`. Identity and time of the snapshots
 * do not count, nor does where something stands in the file. -1 where one of them cannot be read, or where RAM is damaged.
 */
int diff_snapshots(const struct inspection *before, const struct inspection *after, bool all, struct report *report,
		   uint64_t *changes, struct error *error);

#endif
