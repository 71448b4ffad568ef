/* SPDX-License-Identifier: MIT */
#include "lkvm/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/text.h"

/* Every function formats aside first: an argument may be the text that is being replaced. */
static void format_text(struct error *error, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void format_text(struct error *error, const char *format, va_list arguments)
{
	struct error formatted = { .code = error->code };

	vsnprintf(formatted.text, sizeof(formatted.text), format, arguments);
	*error = formatted;
}

/* Appends as much as fits. */
static void append(struct error *error, const char *text)
{
	size_t length = strlen(error->text);

	snprintf(error->text + length, sizeof(error->text) - length, "%s", text);
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text(error, format, arguments);
	va_end(arguments);
	error->code = code;
	text_make_printable(error->text);
	return -1;
}

int error_system(struct error *error, int code, const char *format, ...)
{
	char reason[128];
	va_list arguments;

	va_start(arguments, format);
	format_text(error, format, arguments);
	va_end(arguments);
	error->code = code;
	append(error, ": ");
	append(error, strerror_r(code, reason, sizeof(reason)));
	text_make_printable(error->text);
	return -1;
}

int error_context(struct error *error, const char *format, ...)
{
	struct error inner = *error;
	va_list arguments;

	va_start(arguments, format);
	format_text(error, format, arguments);
	va_end(arguments);
	append(error, ": ");
	append(error, inner.text);
	text_make_printable(error->text);
	return -1;
}

int error_collect(const struct error_collector *collector, const struct error *error)
{
	if (!collector)
		return -1;
	collector->tell(collector->owner, error);
	return 0;
}
