/* SPDX-License-Identifier: MIT */
/* virtio/console.c: output to a slow terminal, bounded input, and saved input. */
#include <pthread.h>

#include "hw/terminal.h"
#include "virtio_rig.h"

enum { RECEIVE, TRANSMIT };

/* Replaces hw/terminal.c with a terminal that accepts as much as a test allows. */
static struct fake_terminal {
	pthread_mutex_t lock;
	struct terminal_device device;
	size_t room, length;
	bool starved;
	unsigned wanted;
	char text[65536];
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

size_t terminal_write(struct terminal *terminal, const uint8_t *bytes, size_t count)
{
	(void)terminal;
	pthread_mutex_lock(&fake.lock);
	fake.starved = count > fake.room;
	if (count > fake.room)
		count = fake.room;
	memcpy(fake.text + fake.length, bytes, count);
	fake.length += count;
	fake.room -= count;
	pthread_mutex_unlock(&fake.lock);
	return count;
}

void terminal_attach(struct terminal *terminal, const struct terminal_device *device)
{
	(void)terminal;
	fake.device = *device;
}

void terminal_input_wanted(struct terminal *terminal)
{
	(void)terminal;
	pthread_mutex_lock(&fake.lock);
	fake.wanted++;
	pthread_mutex_unlock(&fake.lock);
}

static void give_room(size_t room)
{
	pthread_mutex_lock(&fake.lock);
	fake.room = room;
	fake.starved = false;
	pthread_mutex_unlock(&fake.lock);
	fake.device.writable(fake.device.owner);
}

static size_t written(void)
{
	size_t length;

	pthread_mutex_lock(&fake.lock);
	length = fake.length;
	pthread_mutex_unlock(&fake.lock);
	return length;
}

static unsigned times_wanted(void)
{
	unsigned wanted;

	pthread_mutex_lock(&fake.lock);
	wanted = fake.wanted;
	pthread_mutex_unlock(&fake.lock);
	return wanted;
}

static int setup(void **state)
{
	struct rig *rig = rig_open();
	struct error error;

	fake.room = sizeof(fake.text);
	fake.length = 0;
	fake.starved = false;
	fake.wanted = 0;
	rig->device = virtio_console_open(&rig->machine.vm, &rig->machine.pci, NULL, &error);
	assert_non_null(rig->device);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_close(*state);
	assert_null(fake.device.receive);
	return 0;
}

/* Offers a chain of two buffers of `count` bytes each, with ascending values from `first` on. */
static void say(struct rig *rig, uint16_t index, uint32_t count, uint8_t first)
{
	struct fake_queue *queue = &rig->queues[TRANSMIT];

	for (uint16_t i = 0; i < 2; i++) {
		uint64_t address = rig_memory(rig, count);
		uint8_t *bytes = rig_at(rig, address);

		for (uint32_t j = 0; j < count; j++)
			bytes[j] = first++;
		fake_descriptor(queue, (uint16_t)(index + i), address, count, i ? 0 : VRING_DESC_F_NEXT,
				(uint16_t)(index + 1));
	}
	fake_offer(queue, index);
	fake_notify(&rig->function, TRANSMIT);
}

static void output_keeps_its_order_when_the_terminal_is_full(void **state)
{
	struct rig *rig = *state;

	rig_start(rig, 0);
	fake.room = 10;
	say(rig, 0, 8, 0);  /* 0..15 */
	say(rig, 2, 8, 16); /* 16..31 */
	assert_true(rig_is_unused(rig, TRANSMIT));
	give_room(3);
	assert_true(rig_is_unused(rig, TRANSMIT));
	give_room(4);
	assert_int_equal(rig_take(rig, TRANSMIT, 0), 0);
	assert_true(rig_is_unused(rig, TRANSMIT));
	give_room(100);
	assert_int_equal(rig_take(rig, TRANSMIT, 2), 0);
	assert_int_equal(fake.length, 32);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(fake.text[i], i);
}

static void output_is_complete_after_a_pause(void **state)
{
	struct rig *rig = *state;

	rig_start(rig, 0);
	fake.room = 5;
	say(rig, 0, 8, 0);
	assert_true(rig_wait_until(written() == 5));
	virtio_pause(rig->device);
	give_room(100);
	rig_settle();
	assert_int_equal(written(), 5); /* no output while paused */
	virtio_resume(rig->device);
	rig_take(rig, TRANSMIT, 0);
	assert_int_equal(fake.length, 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(fake.text[i], i);
}

static size_t type(const char *text, size_t length)
{
	return fake.device.receive(fake.device.owner, (const uint8_t *)text, length);
}

static void input_waits_for_driver_and_buffers(void **state)
{
	struct rig *rig = *state;
	uint64_t first, second;

	assert_int_equal(type("hello, ", 7), 7);
	rig_start(rig, 0);
	assert_int_equal(type("world", 5), 5);
	rig_settle();
	first = rig_offer(rig, RECEIVE, 0, 8, VRING_DESC_F_WRITE);
	second = rig_offer(rig, RECEIVE, 1, 8, VRING_DESC_F_WRITE);
	assert_int_equal(rig_take(rig, RECEIVE, 0), 8);
	assert_int_equal(rig_take(rig, RECEIVE, 1), 4);
	assert_memory_equal(rig_at(rig, first), "hello, w", 8);
	assert_memory_equal(rig_at(rig, second), "orld", 4);
}

static void input_is_bounded_and_requested_again(void **state)
{
	struct rig *rig = *state;
	static char many[5000];
	uint64_t at;

	for (unsigned i = 0; i < sizeof(many); i++)
		many[i] = (char)(i % 251);
	rig_start(rig, 0);
	assert_int_equal(type(many, sizeof(many)), 4096);
	assert_int_equal(type(many, 1), 0);
	rig_settle();
	assert_int_equal(fake.wanted, 0);
	at = rig_offer(rig, RECEIVE, 0, 4000, VRING_DESC_F_WRITE);
	assert_int_equal(rig_take(rig, RECEIVE, 0), 4000);
	assert_memory_equal(rig_at(rig, at), many, 4000);
	assert_true(rig_wait_until(times_wanted() == 1));
	/* The input wraps around the end of the ring. */
	assert_int_equal(type(many + 4096, 904), 904);
	at = rig_offer(rig, RECEIVE, 1, 2000, VRING_DESC_F_WRITE);
	assert_int_equal(rig_take(rig, RECEIVE, 1), 1000);
	assert_memory_equal(rig_at(rig, at), many + 4000, 1000);
}

static void device_needs_reset_when_a_buffer_is_outside_of_ram(void **state)
{
	struct rig *rig = *state;

	rig_start(rig, 0);
	fake_descriptor(&rig->queues[TRANSMIT], 0, FAKE_RAM_BASE - 8, 16, 0, 0);
	fake_offer(&rig->queues[TRANSMIT], 0);
	fake_notify(&rig->function, TRANSMIT);
	assert_true(fake_wait_status(&rig->function, VIRTIO_STATUS_NEEDS_RESET));
	assert_int_equal(fake.length, 0);
}

struct saved_input {
	uint32_t head, count;
	const char *text; /* at byte 4094 of the ring, across its end */
};

/* Loads saved input into the device. Returns the result of virtio_restored(). */
static int restore(struct rig *rig, const struct saved_input *saved, struct error *error)
{
	const struct virtio_ops *ops = rig->device->ops;
	struct byte_buffer buffer = { 0 };
	uint8_t input[4096] = { 0 };

	for (size_t i = 0; saved->text && saved->text[i]; i++)
		input[(4094 + i) % sizeof(input)] = (uint8_t)saved->text[i];
	field_add_number(&buffer, "written", 0);
	field_add(&buffer, "head", 4, 1, &saved->head);
	field_add(&buffer, "count", 4, 1, &saved->count);
	field_add(&buffer, "input", 1, sizeof(input), input);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(ops->state_table, (char *)rig->device + ops->state_offset, &fields, 1, error), 0);
	byte_buffer_free(&buffer);
	return virtio_restored(rig->device, error);
}

static void saved_input_is_delivered_after_restore(void **state)
{
	const struct saved_input saved = { .head = 4094, .count = 5, .text = "hello" };
	struct rig *rig = *state;
	struct error error;
	uint64_t at;

	assert_int_equal(restore(rig, &saved, &error), 0);
	assert_int_equal(fake.wanted, 1); /* the terminal may hold more */
	rig_start(rig, 0);
	at = rig_offer(rig, RECEIVE, 0, 16, VRING_DESC_F_WRITE);
	assert_int_equal(rig_take(rig, RECEIVE, 0), 5);
	assert_memory_equal(rig_at(rig, at), "hello", 5);
}

static void restore_refuses_impossible_input(void **state)
{
	const struct saved_input full = { .head = 4095, .count = 4096 }, behind = { .head = 4096 };
	const struct saved_input fuller = { .count = 4097 };
	struct rig *rig = *state;
	struct error error = { 0 };

	assert_int_equal(restore(rig, &full, &error), 0);
	assert_int_equal(restore(rig, &behind, &error), -1);
	assert_string_equal(error.text, "virtio-console0: its input is impossible");
	assert_int_equal(restore(rig, &fuller, &error), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(output_keeps_its_order_when_the_terminal_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(output_is_complete_after_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(input_waits_for_driver_and_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(input_is_bounded_and_requested_again, setup, teardown),
		cmocka_unit_test_setup_teardown(device_needs_reset_when_a_buffer_is_outside_of_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(saved_input_is_delivered_after_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(restore_refuses_impossible_input, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
