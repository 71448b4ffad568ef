/* SPDX-License-Identifier: MIT */
#include "lkvm/inspect.h"

void inspect_register(struct report *report, const char *name, uint64_t value)
{
	report_begin(report, NULL);
	report_string(report, "register", name);
	report_hex(report, "value", value);
	report_end(report);
}
