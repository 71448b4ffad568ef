/* SPDX-License-Identifier: MIT */
/*
 * A KVM that does nothing but remember: in place of kvm/kvm.c it records each call, answers what a caller needs to go
 * on, and fails where a test wants it to. It proves the order of calls and the error paths; that KVM accepts them, only
 * the tests on real KVM show.
 */
#ifndef TESTS_FAKE_KVM_H
#define TESTS_FAKE_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_MAX_CALLS 65536

struct kvm_run;

struct fake_call {
	int fd;
	unsigned long request;
	uintptr_t argument;
	/*
	 * For device attributes; KVM_IOEVENTFD leaves its flags, address and descriptor here, a memory slot its number
	 * with the flags from bit 16 on, its address and its size, KVM_IRQFD its flags, GSI and descriptor; in the last two,
	 * KVM_IRQ_LINE its interrupt and level, KVM_ENABLE_CAP the capability and its first argument, KVM_CLEAR_DIRTY_LOG
	 * the first page and how many are cleared.
	 */
	uint32_t group;
	uint64_t attribute;
	uint64_t value; /* what was set, as wide as the group's values are */
};

struct fake_kvm {
	size_t count;
	struct fake_call calls[FAKE_MAX_CALLS];
	/* Fails the call of this index with `fail_with`; SIZE_MAX: none. */
	size_t fail_at;
	/* Fails every call of this request; 0: none. */
	unsigned long fail_request;
	int fail_with; /* a positive errno value */
	uint64_t attribute_value; /* what each device attribute reads as */
	int extensions; /* what KVM_CHECK_EXTENSION says to all but the IPA size */
	/* What KVM_RUN does; NULL: sleeps until immediate_exit, then -EINTR. */
	int (*run)(int vcpu_fd, struct kvm_run *run);
};

/* The one fake, as kvm_call() has no other way to find it. */
extern struct fake_kvm fake_kvm;

/* Forgets calls and wishes. */
void fake_kvm_reset(void);

/* The index of the first call from `from` on that matches, or SIZE_MAX. */
size_t fake_find(size_t from, unsigned long request);
size_t fake_find_attribute(size_t from, int fd, uint32_t group, uint64_t attribute);

#endif
