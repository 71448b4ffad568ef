/* SPDX-License-Identifier: MIT */
/* Limits the rows of a list. */
#include <stdio.h>

#include "inspect/inspect.h"

bool inspect_row(struct inspect_rows *rows)
{
	if (rows->count == rows->limit) {
		rows->not_shown++;
		return false;
	}
	rows->count++;
	return true;
}

void inspect_rows_end(const struct inspect_rows *rows, struct report *report)
{
	char name[48];

	if (!rows->not_shown)
		return;
	snprintf(name, sizeof(name), "%s_not_shown", rows->list);
	report_number(report, name, rows->not_shown);
}
