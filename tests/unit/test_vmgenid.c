/* SPDX-License-Identifier: MIT */
/* hw/vmgenid.c: the generation id in RAM, when it changes, and the interrupt for a change. */
#include "unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "fake/kvm.h"
#include "hw/vmgenid.h"

#define BASE 0x1030000ull
#define LINE 3

static struct vm vm;
static struct vmgenid vmgenid;

static int open_one(void **state)
{
	struct error error;

	(void)state;
	fake_kvm_reset();
	vm = (struct vm){ .fd = -1, .slots = 1 };
	assert_int_equal(interrupts_open(&vm.interrupts, -1, &error), 0);
	return vmgenid_open(&vmgenid, &vm, LINE, BASE, &error);
}

static int close_it(void **state)
{
	(void)state;
	vmgenid_close(&vmgenid);
	interrupts_close(&vm.interrupts);
	return 0;
}

static void generation_is_read_only_memory_of_the_guest(void **state)
{
	static const uint64_t zero[2];
	const struct fake_call *slot = &fake_kvm.calls[fake_find(0, KVM_SET_USER_MEMORY_REGION)];

	(void)state;
	assert_int_equal(slot->group, KVM_MEM_READONLY << 16 | 1);
	assert_int_equal(slot->attribute, BASE);
	assert_int_equal(slot->value, VMGENID_SIZE);
	assert_int_equal(vm.slots, 2);
	assert_memory_equal(vmgenid.page.host, vmgenid.state.id, sizeof(vmgenid.state.id));
	assert_memory_not_equal(vmgenid.page.host, zero, sizeof(zero));
	assert_int_equal(fake_find(0, KVM_IRQ_LINE), SIZE_MAX);
}

static void generation_changes_with_interrupt_after_restore(void **state)
{
	const struct vmgenid_state saved = vmgenid.state;
	struct error error;
	size_t up, down;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct vmgenid_state before = vmgenid.state = saved;

		fake_kvm.count = 0;
		assert_int_equal(vmgenid_restored(&vmgenid, true, &error), 0);
		/* Until the machine resumes, the generation is the saved one. */
		assert_memory_equal(vmgenid.page.host, before.id, sizeof(before.id));
		assert_int_equal(fake_find(0, KVM_IRQ_LINE), SIZE_MAX);
		vmgenid_resume(&vmgenid);
		assert_memory_not_equal(vmgenid.state.id, before.id, sizeof(before.id));
		assert_memory_equal(vmgenid.page.host, vmgenid.state.id, sizeof(vmgenid.state.id));
		up = fake_find(0, KVM_IRQ_LINE);
		assert_int_not_equal(up, SIZE_MAX);
		down = fake_find(up + 1, KVM_IRQ_LINE);
		assert_int_not_equal(down, SIZE_MAX);
		assert_int_equal(fake_kvm.calls[up].attribute & 0xffff, 32 + LINE);
		assert_int_equal(fake_kvm.calls[up].value, 1);
		assert_int_equal(fake_kvm.calls[down].value, 0);
		assert_int_equal(fake_find(down + 1, KVM_IRQ_LINE), SIZE_MAX);
		fake_kvm.count = 0;
		vmgenid_resume(&vmgenid); /* has no effect the second time */
		assert_int_equal(fake_find(0, KVM_IRQ_LINE), SIZE_MAX);
	}
}

/* After a reset there is no interrupt, as its edge would wait for the driver of the next kernel. */
static void generation_changes_without_interrupt_after_reset(void **state)
{
	const struct vmgenid_state before = vmgenid.state;
	struct error error;

	(void)state;
	assert_int_equal(vmgenid_restored(&vmgenid, true, &error), 0);
	vmgenid_reset(&vmgenid);
	vmgenid_resume(&vmgenid);
	assert_memory_not_equal(vmgenid.page.host, before.id, sizeof(before.id));
	assert_int_equal(fake_find(0, KVM_IRQ_LINE), SIZE_MAX);
}

static void generation_changes_silently_when_the_driver_does_not_listen(void **state)
{
	const struct vmgenid_state before = vmgenid.state;
	struct error error;

	(void)state;
	assert_int_equal(vmgenid_restored(&vmgenid, false, &error), 0);
	vmgenid_resume(&vmgenid);
	assert_memory_not_equal(vmgenid.page.host, before.id, sizeof(before.id));
	assert_int_equal(fake_find(0, KVM_IRQ_LINE), SIZE_MAX);
}

static void vmgenid_open_fails_when_kvm_has_no_slot(void **state)
{
	struct vmgenid other;
	struct error error;

	(void)state;
	fake_kvm.fail_request = KVM_SET_USER_MEMORY_REGION;
	fake_kvm.fail_with = EINVAL;
	assert_int_equal(vmgenid_open(&other, &vm, LINE, BASE, &error), -1);
	assert_non_null(strstr(error.text, "generation: KVM_SET_USER_MEMORY_REGION"));
	assert_int_equal(vm.slots, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_one, close_it)
	const struct CMUnitTest tests[] = {
		CASE(generation_is_read_only_memory_of_the_guest),
		CASE(generation_changes_with_interrupt_after_restore),
		CASE(generation_changes_without_interrupt_after_reset),
		CASE(generation_changes_silently_when_the_driver_does_not_listen),
		CASE(vmgenid_open_fails_when_kvm_has_no_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
