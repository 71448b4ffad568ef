/* SPDX-License-Identifier: MIT */
/* Why a VM ends or restarts by itself: a guest that powered off, reset or crashed, its devices, or a failure of KVM. */
#ifndef LKVM_KVM_EVENT_H
#define LKVM_KVM_EVENT_H

#include "util/err.h"

struct vm;

/* The first event is kept until vm_event_pop(); later ones are dropped. */
enum vm_event_kind {
	VM_EVENT_NONE,
	VM_EVENT_POWER_OFF, /* PSCI SYSTEM_OFF, or the watchdog */
	VM_EVENT_RESET,     /* PSCI SYSTEM_RESET or SYSTEM_RESET2, or the watchdog */
	VM_EVENT_CRASH,     /* the guest reported a crash or a panic */
	VM_EVENT_FAILURE,   /* KVM cannot continue; the error has the place */
};

struct vm_event {
	enum vm_event_kind kind;
	unsigned vcpu;       /* the one that caused it */
	const char *cause;   /* of a power-off or reset, for a message: constant text; NULL: the guest requested it */
	struct error error;  /* for VM_EVENT_FAILURE and VM_EVENT_CRASH */
};

/* Any thread. Keeps the first event and makes event_fd readable. */
void vm_event_post(struct vm *vm, const struct vm_event *event);

/* Returns the event and clears it; VM_EVENT_NONE if there is none. */
struct vm_event vm_event_pop(struct vm *vm);

#endif
