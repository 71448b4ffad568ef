/* SPDX-License-Identifier: MIT */
/*
 * Diagnostics of a running VM: single lines, handed to whoever made the log (cmd/ prints them). The caller limits how
 * often it tells what a guest does wrong, so that a guest cannot fill a log.
 */
#ifndef LKVM_UTIL_LOG_H
#define LKVM_UTIL_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
	enum log_level level; /* lines above it are dropped */
	void (*write)(void *context, enum log_level level, const char *line); /* any thread; line has no newline */
	void *context;
};

/* Formats one line of at most 500 characters. `log` may be NULL: nothing happens. */
void log_message(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
