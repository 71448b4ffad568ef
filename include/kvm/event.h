/* SPDX-License-Identifier: MIT */
/* Why the vCPUs of a VM stopped by themselves: a guest that powered off, reset or crashed, or a failure of KVM. */
#ifndef LKVM_KVM_EVENT_H
#define LKVM_KVM_EVENT_H

#include "util/err.h"

struct vm;

/* Why the vCPUs stopped by themselves. The first event wins until it is taken. */
enum vm_event_kind {
	VM_EVENT_NONE,
	VM_EVENT_POWER_OFF, /* PSCI SYSTEM_OFF */
	VM_EVENT_RESET,     /* PSCI SYSTEM_RESET or SYSTEM_RESET2 */
	VM_EVENT_CRASH,     /* the guest said that it crashed */
	VM_EVENT_FAILURE,   /* KVM would not go on; the sentence says where */
};

struct vm_event {
	enum vm_event_kind kind;
	unsigned vcpu;       /* which one met it */
	struct error error;  /* the sentence, for VM_EVENT_FAILURE and VM_EVENT_CRASH */
};

/* Called by vCPU threads. Keeps the first event, and makes event_fd readable. */
void vm_event_post(struct vm *vm, const struct vm_event *event);

/* Takes the waiting event, if there is one. */
struct vm_event vm_event_pop(struct vm *vm);

#endif
