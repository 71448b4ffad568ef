/* SPDX-License-Identifier: MIT */
/* cmocka and what it wants included before it. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Under ThreadSanitizer a case takes ten times as long: `fewer` rounds there. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS(many, fewer) (fewer)
#else
#define ROUNDS(many, fewer) (many)
#endif

#endif
