/* SPDX-License-Identifier: MIT */
/* Error values: sets them, and adds context. */
#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "util/bits.h"
#include "util/text.h"

#define START_FAILED (-1) /* no errno value: stands for EAGAIN of a thread or process that does not start */

/* Formats into a copy first, because an argument may be the text that is replaced. */
static void format_text(struct error *error, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void format_text(struct error *error, const char *format, va_list arguments)
{
	struct error formatted = { .code = error->code };

	vsnprintf(formatted.text, sizeof(formatted.text), format, arguments);
	*error = formatted;
}

/* Appends as much of `text` as fits. */
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

/* Appends the resource limits that may be the cause of `code`. */
static void append_limits(struct error *error, int code)
{
	static const struct limit {
		int code, resource;
		const char *name;
		unsigned unit;
		const char *unit_name;
	} limits[] = {
		{ EMFILE, RLIMIT_NOFILE, "-n", 1, "" },         { EFBIG, RLIMIT_FSIZE, "-f", 1024, " KiB" },
		{ ENOMEM, RLIMIT_AS, "-v", 1024, " KiB" },      { ENOMEM, RLIMIT_DATA, "-d", 1024, " KiB" },
		{ START_FAILED, RLIMIT_NPROC, "-u", 1, "" },    { START_FAILED, RLIMIT_AS, "-v", 1024, " KiB" },
		{ START_FAILED, RLIMIT_DATA, "-d", 1024, " KiB" },
	};
	const char *before = " (";
	struct rlimit limit;
	char text[64];

	for (size_t i = 0; i < COUNT(limits); i++) {
		if (limits[i].code != code || getrlimit(limits[i].resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
			continue;
		snprintf(text, sizeof(text), "%sulimit %s is %llu%s", before, limits[i].name,
			 (unsigned long long)limit.rlim_cur / limits[i].unit, limits[i].unit_name);
		append(error, text);
		before = ", ";
	}
	append(error, before[0] == ',' ? ")" : "");
}

static void append_reason(struct error *error, int code, int cause)
{
	char reason[128];

	error->code = code;
	append(error, ": ");
	append(error, strerror_r(code, reason, sizeof(reason)));
	append_limits(error, cause);
	text_make_printable(error->text);
}

int error_system(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text(error, format, arguments);
	va_end(arguments);
	append_reason(error, code, code);
	return -1;
}

int error_start(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text(error, format, arguments);
	va_end(arguments);
	append_reason(error, code, code == EAGAIN ? START_FAILED : code);
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
	collector->report(collector->owner, error);
	return 0;
}
