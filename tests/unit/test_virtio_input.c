/* SPDX-License-Identifier: MIT */
/* virtio/input.c: the description of the device, key presses and saved events. */
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>

#include "virtio_rig.h"

enum { EVENTS, STATUS };

static int setup(void **state)
{
	struct rig *rig = rig_open();
	struct error error;

	rig->device = virtio_input_open(&rig->machine.vm, &rig->machine.pci, &error);
	assert_non_null(rig->device);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_close(*state);
	return 0;
}

static struct virtio_input_config ask(struct rig *rig, uint8_t select, uint8_t subselect)
{
	struct virtio_input_config config;
	uint8_t *bytes = (uint8_t *)&config;

	fake_write(&rig->function, rig->function.config, 1, select);
	fake_write(&rig->function, rig->function.config + 1, 1, subselect);
	for (unsigned i = 0; i < sizeof(config); i++)
		bytes[i] = (uint8_t)fake_read(&rig->function, rig->function.config + i, 1);
	return config;
}

static void config_describes_name_and_keys(void **state)
{
	struct rig *rig = *state;
	struct virtio_input_config config;

	rig_start(rig, 0);
	config = ask(rig, VIRTIO_INPUT_CFG_ID_NAME, 0);
	assert_int_equal(config.size, strlen("lkvm power buttons"));
	assert_memory_equal(config.u.string, "lkvm power buttons", config.size);
	assert_int_equal(ask(rig, VIRTIO_INPUT_CFG_ID_DEVIDS, 0).size, 8);

	config = ask(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY);
	assert_int_equal(config.size, KEY_RESTART / 8 + 1);
	for (unsigned bit = 0; bit < 8 * sizeof(config.u.bitmap); bit++) {
		bool set = config.u.bitmap[bit / 8] & 1u << bit % 8;

		assert_int_equal(set, bit == KEY_POWER || bit == KEY_RESTART);
	}

	assert_int_equal(ask(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_REL).size, 0);
	assert_int_equal(ask(rig, VIRTIO_INPUT_CFG_ID_NAME, 1).size, 0);
	assert_int_equal(ask(rig, 0xff, 0xff).size, 0);
}

static void expect_event(struct rig *rig, uint16_t index, uint64_t address, uint16_t type, uint16_t code, uint32_t value)
{
	const struct virtio_input_event *event = rig_at(rig, address);

	assert_int_equal(rig_take(rig, EVENTS, index), sizeof(*event));
	assert_int_equal(event->type, type);
	assert_int_equal(event->code, code);
	assert_int_equal(event->value, value);
}

static void key_press_waits_for_buffers(void **state)
{
	struct rig *rig = *state;
	uint64_t at[4];

	rig_start(rig, 0);
	assert_true(virtio_input_press(rig->device, KEY_RESTART));
	rig_settle();
	for (uint16_t i = 0; i < 4; i++)
		at[i] = rig_offer(rig, EVENTS, i, 8, VRING_DESC_F_WRITE);
	expect_event(rig, 0, at[0], EV_KEY, KEY_RESTART, 1);
	expect_event(rig, 1, at[1], EV_SYN, SYN_REPORT, 0);
	expect_event(rig, 2, at[2], EV_KEY, KEY_RESTART, 0);
	expect_event(rig, 3, at[3], EV_SYN, SYN_REPORT, 0);
}

static void key_presses_are_bounded(void **state)
{
	struct rig *rig = *state;
	unsigned taken = 0;

	rig_start(rig, 0);
	while (taken < 1000 && virtio_input_press(rig->device, KEY_POWER))
		taken++;
	assert_int_equal(taken, 16);
}

static void key_press_fails_when_no_driver_listens(void **state)
{
	struct rig *rig = *state;

	assert_false(virtio_input_press(rig->device, KEY_POWER));
	rig_start(rig, 0);
	assert_true(virtio_input_press(rig->device, KEY_POWER));
	rig_reset(rig); /* a reset discards events that the driver did not read */
	assert_false(virtio_input_press(rig->device, KEY_POWER));
	rig_start(rig, 0);
	rig_offer(rig, EVENTS, 0, 8, VRING_DESC_F_WRITE);
	assert_true(rig_is_unused(rig, EVENTS));
}

static void status_buffer_is_returned(void **state)
{
	struct rig *rig = *state;

	rig_start(rig, 0);
	rig_offer(rig, STATUS, 0, 8, 0);
	assert_int_equal(rig_take(rig, STATUS, 0), 0);
}

/* Loads a saved `head` and `count` of waiting events into the device. Returns the result of virtio_restored(). */
static int restore(struct rig *rig, uint32_t head, uint32_t count, struct error *error)
{
	const struct virtio_ops *ops = rig->device->ops;
	struct byte_buffer buffer = { 0 };

	for (uint32_t i = 0; i < ops->state_table->count; i++) {
		const struct state_field *field = &ops->state_table->fields[i];

		if (!strcmp(field->name, "head") || !strcmp(field->name, "count"))
			field_add(&buffer, field->name, 4, 1, !strcmp(field->name, "head") ? &head : &count);
		else if (field->kind != STATE_PADDING)
			field_add(&buffer, field->name, field->size, field->count, NULL);
	}
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(ops->state_table, (char *)rig->device + ops->state_offset, &fields, 1, error), 0);
	byte_buffer_free(&buffer);
	return virtio_restored(rig->device, error);
}

static void restore_refuses_impossible_events(void **state)
{
	struct rig *rig = *state;
	struct error error = { 0 };

	assert_int_equal(restore(rig, 63, 64, &error), 0);
	assert_int_equal(restore(rig, 64, 0, &error), -1);
	assert_string_equal(error.text, "virtio-input0: its events are impossible");
	assert_int_equal(restore(rig, 0, 65, &error), -1);
	assert_int_equal(restore(rig, UINT32_MAX, UINT32_MAX, &error), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(config_describes_name_and_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(key_press_waits_for_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(key_presses_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(key_press_fails_when_no_driver_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(status_buffer_is_returned, setup, teardown),
		cmocka_unit_test_setup_teardown(restore_refuses_impossible_events, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
