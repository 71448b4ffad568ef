/* SPDX-License-Identifier: MIT */
/* kvm/dirty_log.c: the order of the KVM calls, and that logging is off after any failure. */
#include "unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "fake/kvm.h"
#include "kvm/dirty_log.h"
#include "kvm/vm.h"

#define BLOCK (2u << 20)
#define BLOCKS 4u
#define LOGS ((uint32_t)KVM_MEM_LOG_DIRTY_PAGES << 16) /* in `group`, where the fake records a slot's flags */

static struct vm vm;

/* `splits`: the host can split blocks. */
static void open_vm(bool splits)
{
	const struct vm_config config = { .ram_base = 0x80000000, .ram_size = BLOCKS * BLOCK, .vcpu_count = 1 };
	struct error error;

	fake_kvm_reset();
	fake_kvm.extensions = splits ? BLOCK : 0;
	assert_int_equal(vm_open(&vm, &config, &error), 0);
}

static int close_vm(void **state)
{
	(void)state;
	vm_close(&vm);
	return 0;
}

static void next_slot_is(size_t *at, uint32_t flags)
{
	*at = fake_find(*at, KVM_SET_USER_MEMORY_REGION);
	assert_int_not_equal(*at, SIZE_MAX);
	assert_int_equal(fake_kvm.calls[(*at)++].group, flags);
}

/* Clearing one page of a block splits it. Then a new log replaces this one, and has no cleared pages. */
static void dirty_log_splits_blocks_before_it_starts(void **state)
{
	struct dirty_log log;
	struct error error;
	size_t at, memory;

	(void)state;
	open_vm(true);
	memory = fake_find(0, KVM_SET_USER_MEMORY_REGION);
	for (at = fake_find(0, KVM_ENABLE_CAP); fake_kvm.calls[at].value != BLOCK; at = fake_find(at + 1, KVM_ENABLE_CAP))
		assert_true(at < memory);
	assert_true(at < memory); /* KVM accepts it only before memory is added */

	at = fake_kvm.count;
	assert_int_equal(dirty_log_open(&log, &vm, &error), 0);
	assert_true(log.is_exact);
	next_slot_is(&at, LOGS);
	at = fake_find(at, KVM_CLEAR_DIRTY_LOG);
	assert_int_not_equal(at, SIZE_MAX);
	assert_int_equal(fake_kvm.calls[at].value, BLOCKS);

	at = fake_kvm.count;
	assert_int_equal(dirty_log_start(&log, &error), 0);
	next_slot_is(&at, 0);
	next_slot_is(&at, LOGS);
	assert_int_equal(fake_find(at, KVM_CLEAR_DIRTY_LOG), SIZE_MAX);
	dirty_log_close(&log);
	next_slot_is(&at, 0);
}

static void dirty_log_is_not_exact_when_blocks_cannot_be_split(void **state)
{
	struct dirty_log log;
	struct error error;

	(void)state;
	open_vm(false);
	assert_int_equal(dirty_log_open(&log, &vm, &error), 0);
	assert_false(log.is_exact);
	assert_int_equal(fake_find(0, KVM_CLEAR_DIRTY_LOG), SIZE_MAX);
	assert_int_equal(dirty_log_start(&log, &error), 0);
	dirty_log_close(&log);
}

static int begin(struct dirty_log *log, struct error *error)
{
	if (dirty_log_open(log, &vm, error) < 0)
		return -1;
	if (dirty_log_start(log, error) == 0)
		return 0;
	dirty_log_close(log);
	return -1;
}

/* After any failure, the last call turns logging off. */
static void dirty_log_is_off_when_any_call_fails(void **state)
{
	unsigned failures = 0;
	struct dirty_log log;
	struct error error;
	size_t before, calls;

	(void)state;
	open_vm(true);
	before = fake_kvm.count;
	assert_int_equal(begin(&log, &error), 0);
	dirty_log_close(&log);
	calls = fake_kvm.count - before;
	vm_close(&vm);
	for (size_t i = 0; i < calls; i++) {
		size_t last;

		open_vm(true);
		fake_kvm.fail_at = fake_kvm.count + i;
		fake_kvm.fail_with = EFAULT;
		if (begin(&log, &error) == 0)
			dirty_log_close(&log);
		else
			failures++;
		assert_null(log.vm);
		for (last = fake_kvm.count - 1; fake_kvm.calls[last].request != KVM_SET_USER_MEMORY_REGION;)
			last--;
		assert_int_equal(fake_kvm.calls[last].group, 0);
		if (i + 1 < calls)
			vm_close(&vm);
	}
	assert_int_equal(failures, 4); /* the way of clearing, the first log, splitting, the second log */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(dirty_log_splits_blocks_before_it_starts, close_vm),
		cmocka_unit_test_teardown(dirty_log_is_not_exact_when_blocks_cannot_be_split, close_vm),
		cmocka_unit_test_teardown(dirty_log_is_off_when_any_call_fails, close_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
