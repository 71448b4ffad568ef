/* SPDX-License-Identifier: MIT */
/* virtio/restore.c: a device continues from another one's state, and refuses states that no guest can cause. */
#include <linux/input-event-codes.h>
#include <linux/pci_regs.h>
#include <linux/virtio_input.h>

#include "fake/kvm.h"
#include "restore_rig.h"
#include "util/bits.h"

enum { EVENTS, STATUS };

#define ISR_QUEUE 1 /* VIRTIO 1.2, section 4.1.4.5 */

static struct virtio_device *open_input(struct rig *rig)
{
	struct error error;

	rig->device = virtio_input_open(&rig->machine.vm, &rig->machine.pci, &error);
	assert_non_null(rig->device);
	return rig->device;
}

/* Opens a paused device with MSI-X and a running driver. A key was pressed that the driver has not been notified of. */
static struct rig *open_running(void)
{
	struct rig *rig = rig_open();

	open_input(rig);
	rig->msix = true;
	rig_start(rig, 0);
	assert_true(virtio_input_press(rig->device, KEY_POWER));
	virtio_pause(rig->device);
	return rig;
}

/* Moves the guest's RAM and device to another machine, which is not resumed. */
static struct rig *move(struct rig *from)
{
	struct rig *to = rig_open();
	struct saved saved;

	open_input(to);
	save_device(&saved, from->device);
	memcpy(to->machine.vm.ram.host, from->machine.vm.ram.host, FAKE_RAM_SIZE);
	load_device(&saved, to->device);
	saved_free(&saved);
	to->function = from->function;
	to->function.machine = &to->machine;
	memcpy(to->queues, from->queues, sizeof(to->queues));
	for (unsigned i = 0; i < to->device->queue_count; i++)
		to->queues[i].ram = &to->machine.vm.ram;
	to->free = from->free;
	rig_close(from);
	return to;
}

static void expect_event(struct rig *rig, uint16_t index, uint64_t address, uint16_t type, uint16_t code)
{
	const struct virtio_input_event *event = rig_at(rig, address);

	assert_int_equal(rig_take(rig, EVENTS, index), sizeof(*event));
	assert_int_equal(event->type, type);
	assert_int_equal(event->code, code);
}

static void device_continues_when_it_was_running(void **state)
{
	struct rig *rig = move(open_running());
	struct error error;
	uint64_t at[2];

	(void)state;
	if (virtio_restored(rig->device, &error) < 0)
		fail_msg("%s", error.text);
	assert_true(rig->device->running);
	assert_true(rig->device->features & VIRTIO_FEATURE_VERSION_1);
	virtio_resume(rig->device);
	for (uint16_t i = 0; i < 2; i++)
		at[i] = rig_offer(rig, EVENTS, i, 8, VRING_DESC_F_WRITE);
	expect_event(rig, 0, at[0], EV_KEY, KEY_POWER);
	expect_event(rig, 1, at[1], EV_SYN, SYN_REPORT);
	assert_true(virtio_input_press(rig->device, KEY_RESTART)); /* the driver runs */
	rig_close(rig);
}

/* A driver that has not set DRIVER_OK does so after the restore. */
static void device_stays_stopped_when_it_was_not_running(void **state)
{
	struct rig *rig = rig_open();
	struct error error;

	(void)state;
	open_input(rig);
	virtio_resume(rig->device);
	fake_probe(&rig->function, &rig->machine, rig->device->pci.slot);
	fake_negotiate(&rig->function, 0);
	virtio_pause(rig->device);
	rig = move(rig);
	assert_int_equal(virtio_restored(rig->device, &error), 0);
	assert_false(rig->device->running);
	virtio_resume(rig->device);
	assert_int_equal(fake_status(&rig->function) & VIRTIO_STATUS_FEATURES_OK, VIRTIO_STATUS_FEATURES_OK);
	fake_driver_ok(&rig->function);
	assert_true(rig->device->running);
	rig_close(rig);
}

static void device_stays_broken_when_it_needed_reset(void **state)
{
	struct rig *rig = open_running();
	struct error error;

	(void)state;
	rig->device->state.status |= VIRTIO_STATUS_NEEDS_RESET;
	rig = move(rig);
	assert_int_equal(virtio_restored(rig->device, &error), 0);
	assert_false(rig->device->running);
	virtio_resume(rig->device);
	rig_reset(rig);
	rig_start(rig, 0);
	assert_true(rig->device->running);
	rig_close(rig);
}

/* Without MSI-X, the line is high until the driver reads the ISR. */
static void line_is_driven_by_the_restored_isr(void **state)
{
	(void)state;
	for (unsigned level = 0; level < 2; level++) {
		struct rig *rig = rig_open();
		struct error error;

		open_input(rig);
		rig_start(rig, 0);
		virtio_pause(rig->device);
		rig->device->state.interrupt_status = level ? ISR_QUEUE : 0;
		rig = move(rig);
		assert_false(rig->device->pci.line);
		assert_int_equal(virtio_restored(rig->device, &error), 0);
		assert_int_equal(rig->device->pci.line, level);
		rig_close(rig);
	}
}

/* Expects that a state with this change is refused, with the device's name and `words` in the error. */
static void expect_refusal(void (*change)(struct virtio_device *device), const char *words)
{
	struct rig *rig = move(open_running());
	struct error error = { 0 };

	change(rig->device);
	assert_int_equal(virtio_restored(rig->device, &error), -1);
	if (strncmp(error.text, "virtio-input0: ", 15) != 0 || !strstr(error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	assert_false(rig->device->running);
	rig_close(rig);
}

static void accept_what_was_not_offered(struct virtio_device *device)
{
	device->state.accepted |= 1ull << 50;
}

static void accept_no_version(struct virtio_device *device)
{
	device->state.accepted &= ~VIRTIO_FEATURE_VERSION_1;
}

static void enable_twice(struct virtio_device *device)
{
	device->queues[1].state.enabled = 2;
}

static void take_a_vector_that_is_not(struct virtio_device *device)
{
	device->queues[1].state.vector = (uint16_t)device->pci.identity.vectors;
}

static void configure_a_vector_that_is_not(struct virtio_device *device)
{
	device->state.config_vector = (uint16_t)device->pci.identity.vectors;
}

static void have_no_entries(struct virtio_device *device)
{
	device->queues[0].state.size = 0;
}

static void have_three_entries(struct virtio_device *device)
{
	device->queues[0].state.size = 3;
}

static void have_too_many_entries(struct virtio_device *device)
{
	device->queues[1].state.size = (uint16_t)(2 * device->queues[1].state.maximum);
}

static void misalign(struct virtio_device *device)
{
	device->queues[0].state.descriptors += 8;
}

static void leave_ram(struct virtio_device *device)
{
	device->queues[1].state.device = FAKE_RAM_BASE + FAKE_RAM_SIZE - 16;
}

static void be_another_device(struct virtio_device *device)
{
	device->pci.state.config[PCI_DEVICE_ID] ^= 1;
}

static void have_another_capability(struct virtio_device *device)
{
	device->pci.state.config[device->pci.msix_capability + PCI_MSIX_FLAGS] ^= 1; /* the number of vectors */
}

static void restore_refuses_impossible_states(void **state)
{
	(void)state;
	expect_refusal(accept_what_was_not_offered, "never offered");
	expect_refusal(accept_no_version, "never offered");
	expect_refusal(enable_twice, "queue 1 is impossible");
	expect_refusal(take_a_vector_that_is_not, "queue 1 is impossible");
	expect_refusal(configure_a_vector_that_is_not, "vector");
	expect_refusal(have_no_entries, "queue 0: ");
	expect_refusal(have_three_entries, "queue 0: ");
	expect_refusal(have_too_many_entries, "queue 1: ");
	expect_refusal(misalign, "queue 0: a ring is misaligned");
	expect_refusal(leave_ram, "queue 1: a ring lies outside RAM");
	expect_refusal(be_another_device, "another kind of device");
	expect_refusal(have_another_capability, "another kind of device");
}

/* A device has these sections, and a restore needs each of them. */
static void restore_names_a_missing_section(void **state)
{
	static const char *const names[] = {
		"virtio-input0/pci", "virtio-input0", "virtio-input0/queue0", "virtio-input0/queue1", "virtio-input0/device",
	};
	struct rig *rig = open_running();
	struct saved saved;

	(void)state;
	save_device(&saved, rig->device);
	saved.visitor.visit = saved_load;
	assert_int_equal(saved.sections.count, COUNT(names));
	for (size_t i = 0; i < saved.sections.count; i++) {
		struct error error;

		assert_string_equal(saved.sections.items[i].name, names[i]);
		saved.sections.items[i].name[0] = 'V';
		assert_int_equal(virtio_visit(rig->device, &saved.visitor, &error), -1);
		assert_non_null(strstr(error.text, names[i]));
		saved.sections.items[i].name[0] = 'v';
	}
	saved_free(&saved);
	rig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_continues_when_it_was_running),
		cmocka_unit_test(device_stays_stopped_when_it_was_not_running),
		cmocka_unit_test(device_stays_broken_when_it_needed_reset),
		cmocka_unit_test(line_is_driven_by_the_restored_isr),
		cmocka_unit_test(restore_refuses_impossible_states),
		cmocka_unit_test(restore_names_a_missing_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
