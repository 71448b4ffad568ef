/* SPDX-License-Identifier: MIT */
/* The event that stopped the vCPUs: vCPU threads post it, the main thread handles it. */
#include <sys/eventfd.h>

#include "kvm/vm.h"

void vm_event_post(struct vm *vm, const struct vm_event *event)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->event.kind == VM_EVENT_NONE) {
		vm->event = *event;
		eventfd_write(vm->event_fd, 1);
	}
	pthread_mutex_unlock(&vm->lock);
}

struct vm_event vm_event_pop(struct vm *vm)
{
	struct vm_event event;
	eventfd_t count;

	pthread_mutex_lock(&vm->lock);
	event = vm->event;
	vm->event = (struct vm_event){ .kind = VM_EVENT_NONE };
	eventfd_read(vm->event_fd, &count);
	pthread_mutex_unlock(&vm->lock);
	return event;
}
