/* SPDX-License-Identifier: MIT */
/* Counts and reports the faults of a verification. */
#include <stdarg.h>
#include <stdio.h>

#include "inspect/verify.h"
#include "util/text.h"

void verdict_fault(struct verdict *verdict, const char *place, const char *format, ...)
{
	va_list arguments;
	char what[512];

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	text_make_printable(what);
	verdict->faults++;
	verdict->report(verdict->owner, place, what);
}
