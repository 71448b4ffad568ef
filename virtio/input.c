/* SPDX-License-Identifier: MIT */
/*
 * The input device, VIRTIO 1.2 section 5.8: a keyboard with two keys, by which the host requests the guest to
 * power off or to restart. Events wait for buffers of the driver, in the order of the presses.
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"
#include "virtio/virtio.h"

enum { EVENT_QUEUE, STATUS_QUEUE, QUEUE_COUNT };

#define BUS_VIRTUAL 6
#define NAME "lkvm power buttons"
#define SERIAL "lkvm"
#define CHAINS_AT_ONCE 256
#define EVENTS_A_PRESS 4u
#define MAX_EVENTS (16u * EVENTS_A_PRESS)

static const uint16_t keys[] = { KEY_POWER, KEY_RESTART };

struct input_state {
	uint8_t select; /* selects what the configuration shows */
	uint8_t subselect;
	uint8_t padding[2];
	uint32_t head, count; /* of the ring of waiting events */
	uint32_t values[MAX_EVENTS];
	uint16_t types[MAX_EVENTS];
	uint16_t codes[MAX_EVENTS];
};

static const struct state_field input_fields[] = {
	STATE_FIELD(struct input_state, select, STATE_RUNTIME, VIRTIO_INPUT_CFG_UNSET),
	STATE_FIELD(struct input_state, subselect, STATE_RUNTIME, 0),
	STATE_ARRAY(struct input_state, padding, STATE_PADDING, 0),
	STATE_FIELD(struct input_state, head, STATE_RUNTIME, 0),
	STATE_FIELD(struct input_state, count, STATE_RUNTIME, 0),
	STATE_ARRAY(struct input_state, values, STATE_RUNTIME, 0),
	STATE_ARRAY(struct input_state, types, STATE_RUNTIME, 0),
	STATE_ARRAY(struct input_state, codes, STATE_RUNTIME, 0),
};

static const struct state_table input_state_table = STATE_TABLE(struct input_state, "input", 1, input_fields);

struct input {
	struct virtio_device device; /* first: free() of the device frees this */
	struct virtqueue_chain chain;

	/* The selection belongs to the config functions, which run one at a time; the events are under the lock. */
	struct input_state state;
	pthread_mutex_t lock;
	bool listening; /* a driver runs */
};

static struct input *input_of(struct virtio_device *device)
{
	return (struct input *)device;
}

static void select_text(struct virtio_input_config *config, const char *text)
{
	config->size = (uint8_t)strlen(text);
	memcpy(config->u.string, text, config->size);
}

/* Fills in what is selected. Size 0: there is nothing (5.8.5). */
static void describe(const struct input_state *state, struct virtio_input_config *config)
{
	*config = (struct virtio_input_config){ .select = state->select, .subsel = state->subselect };

	if (state->select == VIRTIO_INPUT_CFG_EV_BITS && state->subselect == EV_KEY) {
		for (unsigned i = 0; i < COUNT(keys); i++) {
			unsigned byte = keys[i] / 8;

			config->u.bitmap[byte] |= (uint8_t)(1u << keys[i] % 8);
			if (config->size <= byte)
				config->size = (uint8_t)(byte + 1);
		}
	}
	if (state->subselect != 0)
		return;
	if (state->select == VIRTIO_INPUT_CFG_ID_NAME)
		select_text(config, NAME);
	if (state->select == VIRTIO_INPUT_CFG_ID_SERIAL)
		select_text(config, SERIAL);
	if (state->select == VIRTIO_INPUT_CFG_ID_DEVIDS) {
		config->u.ids = (struct virtio_input_devids){
			.bustype = BUS_VIRTUAL,
			.vendor = 0x1af4, /* as in PCI configuration space */
			.version = 1,
		};
		config->size = sizeof(config->u.ids);
	}
}

static void input_config_read(struct virtio_device *device, unsigned offset, unsigned size, void *to)
{
	struct virtio_input_config config;

	describe(&input_of(device)->state, &config);
	memcpy(to, (const uint8_t *)&config + offset, size);
}

static void input_config_write(struct virtio_device *device, unsigned offset, unsigned size, const void *from)
{
	struct input_state *state = &input_of(device)->state;
	const uint8_t *bytes = from;

	for (unsigned i = 0; i < size; i++) {
		if (offset + i == offsetof(struct virtio_input_config, select))
			state->select = bytes[i];
		if (offset + i == offsetof(struct virtio_input_config, subsel))
			state->subselect = bytes[i];
	}
}

/* As virtqueue_pop(). A broken queue breaks the device. */
static int pop_chain(struct input *input, struct virtqueue *queue)
{
	int taken = virtqueue_pop(queue, &input->chain);

	if (taken < 0)
		virtio_needs_reset(&input->device, queue->reason);
	return taken;
}

/* Moves one event into the chain. Returns the bytes written. */
static uint32_t give_event(struct input *input)
{
	struct input_state *state = &input->state;
	struct virtio_input_event event;

	pthread_mutex_lock(&input->lock);
	event = (struct virtio_input_event){
		.type = state->types[state->head],
		.code = state->codes[state->head],
		.value = state->values[state->head],
	};
	state->head = (state->head + 1) % MAX_EVENTS;
	state->count--;
	pthread_mutex_unlock(&input->lock);
	return (uint32_t)virtqueue_write(&input->chain, 0, &event, sizeof(event));
}

static unsigned waiting(struct input *input)
{
	unsigned count;

	pthread_mutex_lock(&input->lock);
	count = input->state.count;
	pthread_mutex_unlock(&input->lock);
	return count;
}

/* Returns true if it stopped only for fairness, as does drop_status(). */
static bool give_events(struct input *input)
{
	struct virtqueue *queue = &input->device.queues[EVENT_QUEUE];
	unsigned turn;

	/* New buffers matter only while events wait for them. */
	virtqueue_quiet(queue);
	for (turn = 0; turn < CHAINS_AT_ONCE && waiting(input) > 0; turn++) {
		int taken = pop_chain(input, queue);

		if (taken < 0 || (taken == 0 && !virtqueue_listen(queue)))
			break;
		if (taken > 0)
			virtqueue_push(queue, input->chain.head, give_event(input));
	}
	virtio_interrupt(&input->device, queue);
	return turn == CHAINS_AT_ONCE;
}

/* Discards status events for LEDs and sounds, which the device does not have. */
static bool drop_status(struct input *input)
{
	struct virtqueue *queue = &input->device.queues[STATUS_QUEUE];
	unsigned turn;

	for (turn = 0; turn < CHAINS_AT_ONCE; turn++) {
		int taken = pop_chain(input, queue);

		if (taken < 0 || (taken == 0 && !virtqueue_listen(queue)))
			break;
		if (taken > 0)
			virtqueue_push(queue, input->chain.head, 0);
	}
	virtio_interrupt(&input->device, queue);
	return turn == CHAINS_AT_ONCE;
}

static void input_process(struct virtio_device *device)
{
	struct input *input = input_of(device);
	bool more = give_events(input);

	more |= drop_status(input);
	if (more)
		worker_kick(&device->worker);
}

bool virtio_input_press(struct virtio_device *device, uint16_t key)
{
	const struct virtio_input_event press[EVENTS_A_PRESS] = {
		{ .type = EV_KEY, .code = key, .value = 1 },
		{ .type = EV_SYN, .code = SYN_REPORT },
		{ .type = EV_KEY, .code = key, .value = 0 },
		{ .type = EV_SYN, .code = SYN_REPORT },
	};
	struct input *input = input_of(device);
	struct input_state *state = &input->state;
	bool taken;

	pthread_mutex_lock(&input->lock);
	/* A driver that has not read the last 16 presses does not get this one. */
	taken = input->listening && state->count + EVENTS_A_PRESS <= MAX_EVENTS;
	for (unsigned i = 0; taken && i < EVENTS_A_PRESS; i++, state->count++) {
		unsigned at = (state->head + state->count) % MAX_EVENTS;

		state->types[at] = press[i].type;
		state->codes[at] = press[i].code;
		state->values[at] = press[i].value;
	}
	pthread_mutex_unlock(&input->lock);
	if (taken)
		worker_kick(&device->worker);
	return taken;
}

static void set_listening(struct input *input, bool listening)
{
	pthread_mutex_lock(&input->lock);
	input->listening = listening;
	pthread_mutex_unlock(&input->lock);
}

static void input_start(struct virtio_device *device)
{
	set_listening(input_of(device), true);
}

static void input_stop(struct virtio_device *device)
{
	set_listening(input_of(device), false);
	state_reset(&input_state_table, &input_of(device)->state);
}

static int input_restored(struct virtio_device *device, struct error *error)
{
	const struct input_state *state = &input_of(device)->state;

	if (state->head >= MAX_EVENTS || state->count > MAX_EVENTS)
		return error_set(error, EINVAL, "its events are impossible");
	return 0;
}

static void input_stat(struct virtio_device *device, struct report *report)
{
	struct input *input = input_of(device);

	pthread_mutex_lock(&input->lock);
	report_bool(report, "listening", input->listening);
	report_number(report, "events_waiting", input->state.count);
	pthread_mutex_unlock(&input->lock);
}

static void input_close(struct virtio_device *device)
{
	pthread_mutex_destroy(&input_of(device)->lock);
}

static const struct virtio_ops input_ops = {
	.name = "input",
	.id = VIRTIO_INPUT,
	.class_code = 0x090000, /* input device controller, keyboard */
	.config_read = input_config_read,
	.config_write = input_config_write,
	.start = input_start,
	.stop = input_stop,
	.process = input_process,
	.stat = input_stat,
	.state_table = &input_state_table,
	.state_offset = offsetof(struct input, state),
	.restored = input_restored,
	.close = input_close,
};

struct virtio_device *virtio_input_open(struct vm *vm, struct pci_bus *pci, struct error *error)
{
	const struct virtio_setup setup = {
		.ops = &input_ops,
		.queue_count = QUEUE_COUNT,
		.queue_size = 64, /* Linux fills all of it at once */
		.config_size = sizeof(struct virtio_input_config),
		.watch_fd = -1,
	};
	struct input *input = calloc(1, sizeof(*input));

	if (!input) {
		error_system(error, ENOMEM, "virtio-input");
		return NULL;
	}
	pthread_mutex_init(&input->lock, NULL);
	if (virtio_open(&input->device, &setup, vm, pci, error) < 0) {
		input_close(&input->device);
		free(input);
		return NULL;
	}
	return &input->device;
}
