/* SPDX-License-Identifier: MIT */
/* Lowers the priority of threads. It is not in thread.c, because unit tests replace that file. */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/thread.h"

#define NICE_LOWEST 19

void thread_lowest_priority(void)
{
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_LOWEST);
}
