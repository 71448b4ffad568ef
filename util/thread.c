/* SPDX-License-Identifier: MIT */
/* Creates threads with a small stack. */
#include "util/thread.h"

#define STACK_SIZE (512u << 10)

int thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
	pthread_attr_t attributes;
	int result = pthread_attr_init(&attributes);

	if (result)
		return result;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	result = pthread_create(thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	return result;
}
