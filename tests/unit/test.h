/* SPDX-License-Identifier: MIT */
/* Includes cmocka and the headers that it needs. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A case takes ten times as long under ThreadSanitizer, so it has `fewer` rounds there. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS(many, fewer) (fewer)
#else
#define ROUNDS(many, fewer) (many)
#endif

#endif
