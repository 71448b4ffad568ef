/* SPDX-License-Identifier: MIT */
/*
 * A fake KVM that replaces kvm/kvm.c. It records each call, returns the values that a caller needs, and fails the calls that a
 * test chooses. It proves the order of calls and the error paths. Only the tests on real KVM prove that KVM accepts the calls.
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
	 * Of device attributes. Other requests use the three fields so:
	 * KVM_IOEVENTFD: flags, address, descriptor.
	 * KVM_SET_USER_MEMORY_REGION: slot with the flags from bit 16 on, address, size.
	 * KVM_IRQFD: flags, GSI, descriptor.
	 * KVM_IRQ_LINE: none, interrupt, level.
	 * KVM_ENABLE_CAP: none, capability, first argument.
	 * KVM_CLEAR_DIRTY_LOG: none, first page, number of pages that are cleared.
	 */
	uint32_t group;
	uint64_t attribute;
	uint64_t value; /* of KVM_SET_DEVICE_ATTR: 4 or 8 bytes, as the group has them */
};

struct fake_kvm {
	size_t count;
	struct fake_call calls[FAKE_MAX_CALLS];
	/* Fails the call of this index with `fail_with`; SIZE_MAX: none. */
	size_t fail_at;
	/* Fails every call of this request; 0: none. */
	unsigned long fail_request;
	int fail_with; /* a positive errno value */
	uint64_t attribute_value; /* of each device attribute that is read */
	int extensions; /* KVM_CHECK_EXTENSION returns this, except for the IPA size and the number of vCPUs */
	/* Replaces KVM_RUN; NULL: sleeps until immediate_exit, then returns -EINTR. */
	int (*run)(int vcpu_fd, struct kvm_run *run);
};

/* A global variable, as kvm_call() has no other way to find the fake. */
extern struct fake_kvm fake_kvm;

/* Clears the recorded calls and a test's settings. */
void fake_kvm_reset(void);

/* Return the index of the first matching call at or after `from`, or SIZE_MAX. */
size_t fake_find(size_t from, unsigned long request);
size_t fake_find_attribute(size_t from, int fd, uint32_t group, uint64_t attribute);

#endif
