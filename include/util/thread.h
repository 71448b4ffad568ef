/* SPDX-License-Identifier: MIT */
/* Threads with a small stack, and their priority. */
#ifndef LKVM_UTIL_THREAD_H
#define LKVM_UTIL_THREAD_H

#include <pthread.h>

/*
 * As pthread_create, with a stack of 512 KiB: enough for all that ours do, and too small for a huge page. The default of
 * 8 MiB would get one at its first touch, and each thread would cost 2 MiB.
 */
int thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument);

/*
 * Gives the calling thread, and those that it creates, the lowest priority (nice 19), so that the guest runs first. Where the host
 * refuses that, they keep their priority.
 */
void thread_lowest_priority(void);

#endif
