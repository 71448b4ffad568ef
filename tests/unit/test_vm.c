/* SPDX-License-Identifier: MIT */
/* kvm/vm.c and kvm/vcpu.c: opening with a failure of each call, exits, and parking of vCPUs. */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake/kvm.h"
#include "kvm/vm.h"
#include "util/bits.h"

static unsigned open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static struct vm_config config(uint64_t mib, unsigned vcpus)
{
	return (struct vm_config){ .ram_base = 0x80000000, .ram_size = mib << 20, .vcpu_count = vcpus };
}

static int reset_fake(void **state)
{
	(void)state;
	fake_kvm_reset();
	return 0;
}

static void address_bits_follow_the_memory(void **state)
{
	static const struct {
		uint64_t mib;
		unsigned bits;
	} cases[] = { { 256, 40 }, { 510 << 10, 40 }, { (510 << 10) + 1, 41 }, { 1 << 20, 42 }, { 8 << 20, 44 } };
	struct error error;
	struct vm vm;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct vm_config wanted = config(cases[i].mib, 1);

#ifdef __SANITIZE_THREAD__
		if (cases[i].mib > 1 << 20)
			continue; /* the sanitizer's address space is too small */
#endif

		fake_kvm.count = 0;
		assert_int_equal(vm_open(&vm, &wanted, &error), 0);
		assert_int_equal(vm.address_bits, cases[i].bits);
		assert_int_equal(fake_kvm.calls[fake_find(0, KVM_CREATE_VM)].argument, cases[i].bits);
		vm_close(&vm);
	}

	struct vm_config beyond = config((16 << 20) - 2047, 1); /* one MiB above 44 bits */

	assert_int_equal(vm_open(&vm, &beyond, &error), -1);
	assert_non_null(strstr(error.text, "MiB"));
}

static void vm_open_leaves_nothing_when_any_call_fails(void **state)
{
	struct vm_config wanted = config(2, 3);
	unsigned fds = open_fds();
	struct error error;
	struct vm vm;
	size_t calls;

	(void)state;
	assert_int_equal(vm_open(&vm, &wanted, &error), 0);
	calls = fake_kvm.count;
	vm_close(&vm);
	assert_int_equal(open_fds(), fds);

	unsigned failures = 0;

	for (size_t i = 0; i < calls; i++) {
		fake_kvm_reset();
		fake_kvm.fail_at = i;
		fake_kvm.fail_with = EMFILE;
		if (vm_open(&vm, &wanted, &error) == 0)
			vm_close(&vm); /* the failure was only a missing capability */
		else
			failures++;
		assert_int_equal(open_fds(), fds);
	}
	assert_true(failures >= 6); /* VM, memory, three vCPUs, their size */
}

/* Another thread may still load RAM, so the caller must close it. */
static void ram_stays_open_when_opening_fails(void **state)
{
	struct vm_config wanted = config(2, 1);
	struct error error;
	struct ram ram;
	size_t create;
	struct vm vm;

	(void)state;
	assert_int_equal(vm_open(&vm, &wanted, &error), 0);
	vm_close(&vm);
	assert_int_equal(ram_open(&ram, wanted.ram_base, wanted.ram_size, &error), 0);
	wanted.ram = ram;
	create = fake_find(0, KVM_CREATE_VM);
	fake_kvm_reset();
	fake_kvm.fail_at = create;
	fake_kvm.fail_with = EMFILE;
	assert_int_equal(vm_open(&vm, &wanted, &error), -1);
	assert_int_equal(msync(ram.host, ram.size, MS_ASYNC), 0); /* would be ENOMEM if it were unmapped */
	ram_close(&ram);
}

static void memory_beside_ram_has_its_own_slot(void **state)
{
	struct vm_config wanted = config(2, 1);
	struct ram page = { .base = 0x1000000, .size = 0x10000 };
	struct error error;
	struct vm vm;
	size_t call;

	(void)state;
	assert_int_equal(vm_open(&vm, &wanted, &error), 0);
	call = fake_find(0, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[call].group, 0);
	assert_int_equal(fake_kvm.calls[call].attribute, wanted.ram_base);
	assert_int_equal(fake_kvm.calls[call].value, wanted.ram_size);
	assert_int_equal(vm_add_memory(&vm, &page, true, &error), 0);
	call = fake_find(call + 1, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[call].group, KVM_MEM_READONLY << 16 | 1);
	assert_int_equal(fake_kvm.calls[call].attribute, page.base);
	assert_int_equal(fake_kvm.calls[call].value, page.size);
	vm_close(&vm);
}

static atomic_uint entries;

static int enter_and_access(int vcpu_fd, struct kvm_run *run)
{
	(void)vcpu_fd;
	atomic_fetch_add(&entries, 1);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0x1000;
	run->mmio.len = 4;
	run->mmio.is_write = 0;
	return 0;
}

static void vcpus_stay_outside_kvm_run_while_parked(void **state)
{
	struct vm_config wanted = config(2, 4);
	struct error error;
	struct vm vm;

	(void)state;
	fake_kvm.run = enter_and_access;
	assert_int_equal(vm_open(&vm, &wanted, &error), 0);
	assert_int_equal(vcpus_start(&vm, &error), 0);
	assert_int_equal(atomic_load(&entries), 0); /* vCPUs start parked */
	for (unsigned round = 0; round < 200; round++) {
		unsigned before;

		vcpus_resume(&vm);
		if (round % 2)
			usleep(500);
		vcpus_pause(&vm);
		assert_int_equal(vm.parked, 4);
		before = atomic_load(&entries);
		usleep(100);
		assert_int_equal(atomic_load(&entries), before);
	}
	assert_true(atomic_load(&entries) > 0);
	assert_true(vm.vcpus[0].counters.unmapped > 0);
	vm_close(&vm);
}

static int shut_down(int vcpu_fd, struct kvm_run *run)
{
	(void)vcpu_fd;
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
	return 0;
}

static int fail_to_run(int vcpu_fd, struct kvm_run *run)
{
	(void)vcpu_fd;
	(void)run;
	return -EFAULT;
}

static struct vm_event first_event(int (*run)(int, struct kvm_run *))
{
	struct vm_config wanted = config(2, 2);
	struct vm_event event;
	struct error error;
	struct vm vm;

	fake_kvm.run = run;
	assert_int_equal(vm_open(&vm, &wanted, &error), 0);
	assert_int_equal(vcpus_start(&vm, &error), 0);
	vcpus_resume(&vm);

	struct pollfd poll_fd = { .fd = vm.event_fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, 10000), 1);
	event = vm_event_pop(&vm);
	vcpus_pause(&vm); /* a vCPU whose run function returns parks, too */
	vm_close(&vm);
	return event;
}

static void exits_become_events(void **state)
{
	struct vm_event event;

	(void)state;
	assert_int_equal(first_event(shut_down).kind, VM_EVENT_POWER_OFF);
	event = first_event(fail_to_run);
	assert_int_equal(event.kind, VM_EVENT_FAILURE);
	assert_non_null(strstr(event.error.text, "KVM_RUN"));
	assert_int_equal(event.error.code, EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(address_bits_follow_the_memory, reset_fake),
		cmocka_unit_test_setup(vm_open_leaves_nothing_when_any_call_fails, reset_fake),
		cmocka_unit_test_setup(ram_stays_open_when_opening_fails, reset_fake),
		cmocka_unit_test_setup(memory_beside_ram_has_its_own_slot, reset_fake),
		cmocka_unit_test_setup(vcpus_stay_outside_kvm_run_while_parked, reset_fake),
		cmocka_unit_test_setup(exits_become_events, reset_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
