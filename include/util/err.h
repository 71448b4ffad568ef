/* SPDX-License-Identifier: MIT */
/*
 * Errors are values. The function that fails describes the failure, each caller may add context, and only cmd/ prints the
 * message. A function that takes a `struct error *` returns 0, or -1 with the error filled in. After a failure its other
 * outputs are undefined.
 */
#ifndef LKVM_UTIL_ERR_H
#define LKVM_UTIL_ERR_H

#include <stddef.h>

struct error {
	int code;       /* an errno value, or 0 if none fits */
	char text[512]; /* one sentence without a full stop, always terminated */
};

/* Sets code and text. Always returns -1, so that a caller can write `return error_set(...)`. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * As error_set(), with ": " and strerror(code) appended. `code` is positive. If a resource limit (setrlimit(2)) may be the
 * cause, it follows in brackets, with its name in the shell's ulimit.
 */
int error_system(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_system(), for a thread or a process that cannot be started. There EAGAIN has other limits as its cause. */
int error_start(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text of the error. Always returns -1. */
int error_context(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A callback that gets every error instead of the first only. */
struct error_collector {
	void (*report)(void *owner, const struct error *error);
	void *owner;
};

/* Passes the error on and returns 0, so that the caller continues. Returns -1 if `collector` is NULL. */
int error_collect(const struct error_collector *collector, const struct error *error);

#endif
