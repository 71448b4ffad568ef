/* SPDX-License-Identifier: MIT */
/*
 * Errors are values: the place that fails says what failed, each caller on the way up may say where,
 * and only cmd/ prints the sentence. A function that takes a `struct error *` returns 0, or -1 with
 * the error filled in; nothing else about its outputs may be relied on after a failure.
 */
#ifndef LKVM_UTIL_ERR_H
#define LKVM_UTIL_ERR_H

#include <stddef.h>

struct error {
	int code;       /* an errno value, or 0 where none fits */
	char text[512]; /* one sentence without a full stop, always terminated */
};

/* Sets the sentence. Always returns -1, so that `return error_set(...)` reads well. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * As error_set, with ": " and strerror(code) appended. `code` is positive. Where a limit of resources (setrlimit(2)) may be
 * the cause, it follows in brackets, by its name in ulimit of the shell.
 */
int error_system(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_system, for a thread or a process that cannot be started: EAGAIN is about other limits there. */
int error_start(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence that is there. Always returns -1. */
int error_context(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whoever wants to hear of every error instead of the first. */
struct error_collector {
	void (*tell)(void *owner, const struct error *error);
	void *owner;
};

/* 0 once it is told, so that one goes on; -1 where nobody collects (`collector` is NULL). */
int error_collect(const struct error_collector *collector, const struct error *error);

#endif
