/* SPDX-License-Identifier: MIT */
/* The priority of threads. Apart from thread.c, which unit tests replace. */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/thread.h"

#define NICE_LOWEST 19

void thread_lowest_priority(void)
{
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_LOWEST);
}
