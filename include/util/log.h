/* SPDX-License-Identifier: MIT */
/*
 * Diagnostics of a running VM. Each is a single line, passed to the owner's `write` (cmd/ prints them). A caller must limit
 * how often it logs a guest's mistakes, so that a guest cannot fill a log.
 */
#ifndef LKVM_UTIL_LOG_H
#define LKVM_UTIL_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
	enum log_level level; /* lines above it are dropped */
	void (*write)(void *context, enum log_level level, const char *line); /* on any thread; `line` has no newline */
	void *context;
};

/* Formats and writes one line of at most 500 bytes. Does nothing if `log` is NULL. */
void log_message(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
