/* SPDX-License-Identifier: MIT */
/* Formats diagnostics and passes them to the log's owner. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/text.h"

#define LINE_LENGTH 500

void log_message(const struct log *log, enum log_level level, const char *format, ...)
{
	char line[LINE_LENGTH + 1];
	va_list arguments;

	if (!log || level > log->level)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	text_make_printable(line);
	log->write(log->context, level, line);
}
