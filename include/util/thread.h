/* SPDX-License-Identifier: MIT */
/* Threads with a stack of their own size. */
#ifndef LKVM_UTIL_THREAD_H
#define LKVM_UTIL_THREAD_H

#include <pthread.h>

/*
 * As pthread_create, with a stack of 512 KiB: enough for all that ours do, and too small for a huge page. The default of
 * 8 MiB would get one at its first touch, and each thread would cost 2 MiB.
 */
int thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument);

#endif
