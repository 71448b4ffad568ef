/* SPDX-License-Identifier: MIT */
/* Creates threads with a small stack, and lowers their priority. */
#ifndef LKVM_UTIL_THREAD_H
#define LKVM_UTIL_THREAD_H

#include <pthread.h>

/*
 * As pthread_create(), with a stack of 512 KiB. That is enough for all our threads, and too small for a huge page. A stack of
 * the default size, 8 MiB, would get a huge page at its first access. Each thread would then cost 2 MiB.
 */
int thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument);

/*
 * Gives the calling thread, and threads that it creates later, the lowest priority (nice 19), so that the guest runs first.
 * If the host refuses, they keep their priority.
 */
void thread_lowest_priority(void);

#endif
