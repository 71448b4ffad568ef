/* SPDX-License-Identifier: MIT */
/* virtio/virtio.c and virtio/notify.c: start, failure, reset and pause of a device, its doorbells and interrupts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "fake/echo.h"
#include "fake/kvm.h"
#include "util/bits.h"

static void device_answers_requests_of_each_queue(void **state)
{
	struct echo *echo = *state;
	uint16_t head;

	echo_run_driver(echo);
	assert_int_equal(echo->starts, 1);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < ECHO_QUEUES; i++) {
			fake_set_used_event(&echo->rings[i], echo->rings[i].seen);
			echo_offer(echo, i);
			fake_notify(&echo->function, (uint16_t)i);
			assert_true(fake_wait_used(&echo->rings[i]));
			assert_true(fake_take(&echo->rings[i], &head, NULL));
			assert_true(echo_signalled(echo, i + 1));
		}
	}
	assert_int_equal(echo->requests, 50 * ECHO_QUEUES);
	assert_int_equal(fake_read(&echo->function, echo->function.isr, 1), 0); /* always 0 with MSI-X */
}

static void request_is_served_when_it_precedes_driver_ok(void **state)
{
	struct echo *echo = *state;

	echo_offer(echo, 0); /* without a notification */
	echo_run_driver(echo);
	assert_true(fake_wait_used(&echo->rings[0]));
}

static void driver_reset_stops_the_device(void **state)
{
	struct echo *echo = *state;
	unsigned stops;

	echo_run_driver(echo);
	stops = echo->stops;
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_status(&echo->function), 0);
	assert_int_equal(echo->stops, stops + 1);
	assert_false(echo->device.running);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);

	/* No more requests are taken, also after a notification. */
	echo_offer(echo, 0);
	fake_notify(&echo->function, 0);
	assert_true(echo_quiet(echo, 1));
	assert_int_equal(echo->requests, 0);

	/* The device works again after a restart. */
	echo_clear_rings(echo);
	echo_offer(echo, 0);
	echo_run_driver(echo);
	assert_true(fake_wait_used(&echo->rings[0]));
}

static void device_needs_reset_when_a_queue_is_bad(void **state)
{
	struct echo *echo = *state;
	struct fake_queue bad = echo->rings[0];

	bad.used = 0xffffffffffffff00;
	fake_enable_msix(&echo->function);
	for (unsigned i = 0; i < 3; i++) {
		fake_negotiate(&echo->function, 0);
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
		fake_set_queue(&echo->function, 0, &bad, 1);
		fake_driver_ok(&echo->function);
		assert_true(fake_status(&echo->function) & VIRTIO_STATUS_NEEDS_RESET);
		assert_true(echo_signalled(echo, 0)); /* the configuration interrupt */
		assert_int_equal(echo->starts, 0);
	}
	assert_int_equal(echo->complaints, 1); /* a guest cannot fill the log */

	echo_run_driver(echo);
	assert_int_equal(fake_status(&echo->function), 15);
	assert_int_equal(echo->starts, 1);
}

static void device_needs_reset_when_a_ring_is_broken(void **state)
{
	struct echo *echo = *state;

	echo_run_driver(echo);
	fake_offer(&echo->rings[1], ECHO_SIZE + 1); /* no such descriptor */
	fake_notify(&echo->function, 1);
	assert_true(fake_wait_status(&echo->function, VIRTIO_STATUS_NEEDS_RESET));
	assert_true(echo_signalled(echo, 0));
	/* The other queue is not served either. */
	echo_offer(echo, 0);
	fake_notify(&echo->function, 0);
	assert_true(echo_quiet(echo, 1));
	assert_int_equal(echo->requests, 0);
	/* Only a reset ends this state. */
	fake_driver_ok(&echo->function);
	fake_notify(&echo->function, 0);
	assert_true(echo_quiet(echo, 1));
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_status(&echo->function), 0);
}

static void config_change_interrupts_the_driver(void **state)
{
	struct echo *echo = *state;
	uint32_t before;

	virtio_config_changed(&echo->device); /* no driver yet: no interrupt */
	assert_true(echo_quiet(echo, 0));
	echo_run_driver(echo);
	before = fake_common(&echo->function, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_config_changed(&echo->device);
	assert_true(echo_signalled(echo, 0));
	assert_int_not_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
}

/* Returns the number of doorbells (ioeventfds) in KVM, and the address of the last call. */
static int doorbells(uint64_t *address)
{
	int held = 0;

	for (size_t i = 0; (i = fake_find(i, KVM_IOEVENTFD)) != SIZE_MAX; i++) {
		held += fake_kvm.calls[i].group & KVM_IOEVENTFD_FLAG_DEASSIGN ? -1 : 1;
		*address = fake_kvm.calls[i].attribute;
	}
	return held;
}

static void doorbells_follow_bar_and_running_queues(void **state)
{
	struct echo *echo = *state;
	uint64_t address, moved = 0x8000100000;

	assert_int_equal(doorbells(&address), 0);
	echo_run_driver(echo);
	assert_int_equal(doorbells(&address), ECHO_QUEUES);
	assert_true(address == echo->function.notify + 4 * (ECHO_QUEUES - 1));

	/* The doorbells move with the BAR. */
	fake_config_write(&echo->function, PCI_BASE_ADDRESS_4, 4, (uint32_t)moved);
	assert_int_equal(doorbells(&address), ECHO_QUEUES);
	assert_true(address == moved + 0x3000 + 4 * (ECHO_QUEUES - 1));
	fake_config_write(&echo->function, PCI_COMMAND, 2, 0);
	assert_int_equal(doorbells(&address), 0);
	fake_probe(&echo->function, &echo->machine, 0);
	assert_int_equal(doorbells(&address), ECHO_QUEUES);

	/* Only running queues have doorbells. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(doorbells(&address), 0);
	fake_negotiate(&echo->function, 0);
	fake_set_queue(&echo->function, 0, &echo->rings[0], 1);
	fake_driver_ok(&echo->function);
	assert_int_equal(doorbells(&address), 1);
	virtio_close(&echo->device);
	assert_int_equal(doorbells(&address), 0);
}

static void doorbells_work_without_ioeventfds(void **state)
{
	struct echo *echo = *state;

	fake_kvm.fail_request = KVM_IOEVENTFD;
	fake_kvm.fail_with = 28;
	echo_run_driver(echo);
	echo_offer(echo, 1);
	fake_write(&echo->function, echo->function.notify + 4, 4, 1); /* not the size of KVM's doorbells */
	assert_true(fake_wait_used(&echo->rings[1]));

	/* Doorbells of no queue, and the rest of the page. */
	for (unsigned offset = 8; offset < 0x1000; offset += 4)
		fake_write(&echo->function, echo->function.notify + offset, 2, 0);
}

static void line_is_raised_without_msix(void **state)
{
	struct echo *echo = *state;
	uint64_t line = 1ull << 32;

	assert_int_equal(echo->function.msix, 0);
	echo_run_driver(echo);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	assert_int_equal(virtio_call_fd(&echo->device, 0), -1);
	echo_offer(echo, 0);
	fake_notify(&echo->function, 0);
	assert_true(fake_wait_used(&echo->rings[0]));
	worker_pause(&echo->device.worker); /* the interrupt comes after the used entry */
	assert_true(echo->machine.vm.interrupts.lines & line);
	virtio_config_changed(&echo->device);
	assert_int_equal(fake_read(&echo->function, echo->function.isr, 1), 3);
	assert_false(echo->machine.vm.interrupts.lines & line);
	assert_int_equal(fake_read(&echo->function, echo->function.isr, 1), 0);

	/* A reset lowers it, too. */
	virtio_config_changed(&echo->device);
	assert_true(echo->machine.vm.interrupts.lines & line);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_false(echo->machine.vm.interrupts.lines & line);
	assert_int_equal(fake_read(&echo->function, echo->function.isr, 1), 0);
}

static void call_fd_is_the_eventfd_of_the_vector(void **state)
{
	struct echo *echo = *state;

	assert_int_equal(virtio_call_fd(&echo->device, 0), -1);
	echo_run_driver(echo);
	assert_int_equal(virtio_call_fd(&echo->device, 1), echo->device.pci.vectors[2].event_fd);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0xffff);
	assert_int_equal(virtio_call_fd(&echo->device, 1), -1);
}

/* Two queues that have used entries at once send one interrupt if they share a vector, and two if not. */
static void interrupt_is_sent_once_when_queues_share_a_vector(void **state)
{
	static const struct {
		bool first, second, shared;
		unsigned interrupts;
	} cases[] = {
		{ false, false, false, 0 }, { true, false, false, 1 },
		{ false, true, false, 1 },  { true, true, false, 2 },
		{ false, false, true, 0 },  { true, false, true, 1 },
		{ false, true, true, 1 },   { true, true, true, 1 },
	};
	struct echo *echo = *state;
	struct virtqueue *queues = echo->device.queues;

	echo_run_driver(echo);
	virtio_pause(&echo->device);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		unsigned long before = atomic_load(&echo->device.counters.interrupts);

		queues[1].state.vector = (uint16_t)(queues[0].state.vector + (cases[i].shared ? 0 : 1));
		for (unsigned queue = 0; queue < 2; queue++) {
			fake_set_used_event(&echo->rings[queue], queues[queue].state.next_used);
			if (queue ? cases[i].second : cases[i].first)
				virtqueue_push(&queues[queue], 0, 0);
		}
		virtio_interrupt_pair(&echo->device, &queues[0], &queues[1]);
		assert_int_equal(atomic_load(&echo->device.counters.interrupts) - before, cases[i].interrupts);
	}
}

static void device_serves_nothing_while_paused(void **state)
{
	struct echo *echo = *state;

	virtio_pause(&echo->device); /* the device does not run yet */
	virtio_resume(&echo->device);
	assert_int_equal(echo->pauses + echo->resumes, 0);

	echo_run_driver(echo);
	virtio_pause(&echo->device);
	virtio_pause(&echo->device);
	assert_int_equal(echo->pauses, 1);
	echo_offer(echo, 0);
	fake_notify(&echo->function, 0);
	assert_true(echo_quiet(echo, 1));
	assert_int_equal(echo->requests, 0);
	virtio_resume(&echo->device);
	assert_int_equal(echo->resumes, 1);
	assert_true(fake_wait_used(&echo->rings[0]));
}

static void vm_reset_stops_the_device(void **state)
{
	struct echo *echo = *state;
	uint64_t ignored;

	echo_run_driver(echo);
	virtio_pause(&echo->device);
	virtio_reset(&echo->device);
	assert_false(echo->device.running);
	assert_int_equal(doorbells(&ignored), 0);
	assert_int_equal(fake_config_read(&echo->function, PCI_COMMAND, 2), 0);
	assert_true(worker_is_wanted(&echo->device.worker)); /* still parked */
	virtio_resume(&echo->device);
	assert_int_equal(echo->resumes, 0);

	fake_probe(&echo->function, &echo->machine, 0);
	echo_clear_rings(echo);
	echo_offer(echo, 1);
	echo_run_driver(echo);
	assert_true(fake_wait_used(&echo->rings[1]));
}

/* One vCPU starts the device repeatedly, while another does everything that could disturb it. */
static void *disturb(void *argument)
{
	struct echo *echo = argument;
	unsigned data = echo->function.access + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

	for (unsigned i = 0; i < 300; i++) {
		fake_set_window(&echo->function, 4, VIRTIO_PCI_COMMON_STATUS, 1);
		if (i % 4 == 0)
			fake_config_write(&echo->function, data, 1, 0);
		fake_config_read(&echo->function, data, 1);
		fake_config_write(&echo->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		fake_config_write(&echo->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
		if (echo->function.msix)
			fake_enable_msix(&echo->function);
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2, i % 3);
		fake_read(&echo->function, echo->function.isr, 1);
		fake_notify(&echo->function, 0);
	}
	return NULL;
}

static void device_works_after_resets_by_two_vcpus(void **state)
{
	struct echo *echo = *state;
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, disturb, echo), 0);
	for (unsigned i = 0; i < 300; i++) {
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		echo_run_driver(echo);
		echo_offer(echo, 0);
		fake_notify(&echo->function, 0);
		virtio_config_changed(&echo->device);
	}
	pthread_join(other, NULL);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_status(&echo->function), 0);

	echo_clear_rings(echo);
	echo_offer(echo, 1);
	echo_run_driver(echo);
	assert_true(fake_wait_used(&echo->rings[1]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, echo_setup, echo_teardown)
	const struct CMUnitTest tests[] = {
		TEST(device_answers_requests_of_each_queue),
		TEST(request_is_served_when_it_precedes_driver_ok),
		TEST(driver_reset_stops_the_device),
		TEST(device_needs_reset_when_a_queue_is_bad),
		TEST(device_needs_reset_when_a_ring_is_broken),
		TEST(config_change_interrupts_the_driver),
		TEST(doorbells_follow_bar_and_running_queues),
		TEST(doorbells_work_without_ioeventfds),
		cmocka_unit_test_setup_teardown(line_is_raised_without_msix, echo_setup_line, echo_teardown),
		TEST(call_fd_is_the_eventfd_of_the_vector),
		TEST(interrupt_is_sent_once_when_queues_share_a_vector),
		TEST(device_serves_nothing_while_paused),
		TEST(vm_reset_stops_the_device),
		TEST(device_works_after_resets_by_two_vcpus),
		cmocka_unit_test_setup_teardown(device_works_after_resets_by_two_vcpus, echo_setup_line, echo_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
