/* SPDX-License-Identifier: MIT */
/*
 * The console device, VIRTIO 1.2 section 5.3: one port, no optional features. The main thread receives input,
 * and is notified of space for output. Both only set a flag and kick the worker. Only the worker accesses the
 * guest's queues.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hw/terminal.h"
#include "util/bits.h"
#include "virtio/virtio.h"

enum { RECEIVE_QUEUE, TRANSMIT_QUEUE, QUEUE_COUNT };

#define INPUT_SIZE 4096u
#define WRITE_AT_ONCE 4096u
#define CHAINS_AT_ONCE 256 /* of one queue, before the other */

struct console_state {
	uint64_t written; /* bytes of the next chain to transmit that are written already */
	uint32_t head, count; /* of the ring `input`: from the terminal, not read by the guest yet */
	uint8_t input[INPUT_SIZE];
};

static const struct state_field console_fields[] = {
	STATE_FIELD(struct console_state, written, STATE_RUNTIME, 0),
	STATE_FIELD(struct console_state, head, STATE_RUNTIME, 0),
	STATE_FIELD(struct console_state, count, STATE_RUNTIME, 0),
	STATE_ARRAY(struct console_state, input, STATE_RUNTIME, 0),
};

static const struct state_table console_state_table =
	STATE_TABLE(struct console_state, "console", 1, console_fields);

struct console {
	struct virtio_device device; /* first: free() of the device frees this */
	struct console_state state;
	struct terminal *terminal;
	struct virtqueue_chain chain;

	pthread_mutex_t lock; /* for the input in the state, and the next member */
	bool refused;         /* the terminal has more */
};

static struct console *console_of(struct virtio_device *device)
{
	return (struct console *)device;
}

static int pop_chain(struct console *console, struct virtqueue *queue)
{
	int taken = virtqueue_pop(queue, &console->chain);

	if (taken < 0)
		virtio_needs_reset(&console->device, queue->reason);
	return taken;
}

/* Writes a buffer from byte `from` on. False if the terminal accepts no more now, or the worker must stop. */
static bool write_buffer(struct console *console, const struct iovec *iov, size_t from)
{
	while (from < iov->iov_len) {
		size_t length = MIN(iov->iov_len - from, WRITE_AT_ONCE);
		size_t written;

		if (worker_is_wanted(&console->device.worker))
			return false;
		written = terminal_write(console->terminal, (const uint8_t *)iov->iov_base + from, length);
		console->state.written += written;
		from += written;
		if (written < length)
			return false;
	}
	return true;
}

/*
 * Writes a chain. False if a part is left: the chain stays in the queue, and `written` is the length of what is
 * written.
 */
static bool write_chain(struct console *console)
{
	const struct virtqueue_chain *chain = &console->chain;
	uint64_t skip = console->state.written;

	for (unsigned i = 0; i < chain->readable; i++) {
		uint64_t length = chain->iov[i].iov_len;

		if (skip < length && !write_buffer(console, &chain->iov[i], (size_t)skip))
			return false;
		skip = skip < length ? 0 : skip - length;
	}
	console->state.written = 0;
	return true;
}

/* Returns true if it stopped only for fairness, as does receive(). */
static bool transmit(struct console *console)
{
	struct virtqueue *queue = &console->device.queues[TRANSMIT_QUEUE];
	unsigned turn;

	virtqueue_quiet(queue);
	for (turn = 0; turn < CHAINS_AT_ONCE && !worker_is_wanted(&console->device.worker); turn++) {
		int taken = pop_chain(console, queue);

		if (taken < 0)
			break;
		if (taken == 0) {
			if (virtqueue_listen(queue))
				continue;
			break;
		}
		if (!write_chain(console)) {
			virtqueue_unpop(queue); /* until console_writable() */
			break;
		}
		virtqueue_push(queue, console->chain.head, 0);
	}
	virtio_interrupt(&console->device, queue);
	return turn == CHAINS_AT_ONCE;
}

/* Moves as much input as fits into the chain. Returns the bytes moved. */
static size_t read_input(struct console *console)
{
	size_t given = 0;

	pthread_mutex_lock(&console->lock);
	while (console->state.count > 0) {
		unsigned part = INPUT_SIZE - console->state.head;
		size_t written;

		if (part > console->state.count)
			part = console->state.count;
		written = virtqueue_write(&console->chain, given, console->state.input + console->state.head, part);
		console->state.head = (console->state.head + (unsigned)written) % INPUT_SIZE;
		console->state.count -= (unsigned)written;
		given += written;
		if (written < part)
			break;
	}
	pthread_mutex_unlock(&console->lock);
	return given;
}

static bool may_receive(struct console *console)
{
	bool waits;

	pthread_mutex_lock(&console->lock);
	waits = console->state.count > 0;
	pthread_mutex_unlock(&console->lock);
	return waits && !worker_is_wanted(&console->device.worker);
}

static bool receive(struct console *console)
{
	struct virtqueue *queue = &console->device.queues[RECEIVE_QUEUE];
	unsigned turn;

	/* New buffers matter only while input waits for them. */
	virtqueue_quiet(queue);
	for (turn = 0; turn < CHAINS_AT_ONCE && may_receive(console); turn++) {
		int taken = pop_chain(console, queue);

		if (taken < 0)
			break;
		if (taken == 0) {
			if (virtqueue_listen(queue))
				continue;
			break;
		}
		virtqueue_push(queue, console->chain.head, (uint32_t)read_input(console));
	}
	virtio_interrupt(&console->device, queue);
	return turn == CHAINS_AT_ONCE;
}

static void want_input(struct console *console)
{
	bool wanted;

	pthread_mutex_lock(&console->lock);
	wanted = console->refused && console->state.count < INPUT_SIZE;
	if (wanted)
		console->refused = false;
	pthread_mutex_unlock(&console->lock);
	if (wanted)
		terminal_input_wanted(console->terminal);
}

static void console_process(struct virtio_device *device)
{
	struct console *console = console_of(device);
	bool more = transmit(console);

	more |= receive(console);
	want_input(console);
	if (more)
		worker_kick(&device->worker);
}

/* Input from the terminal, on the main thread. Input before the driver starts waits for it. */
static size_t console_receive(void *owner, const uint8_t *bytes, size_t count)
{
	struct console *console = owner;
	size_t taken;

	pthread_mutex_lock(&console->lock);
	for (taken = 0; taken < count && console->state.count < INPUT_SIZE; taken++)
		console->state.input[(console->state.head + console->state.count++) % INPUT_SIZE] = bytes[taken];
	console->refused = taken < count;
	pthread_mutex_unlock(&console->lock);
	if (taken > 0)
		worker_kick(&console->device.worker);
	return taken;
}

static void console_writable(void *owner)
{
	struct console *console = owner;

	worker_kick(&console->device.worker);
}

static void console_stop(struct virtio_device *device)
{
	console_of(device)->state.written = 0; /* the input waits for the next driver */
}

static int console_restored(struct virtio_device *device, struct error *error)
{
	struct console_state *state = &console_of(device)->state;

	if (state->head >= INPUT_SIZE || state->count > INPUT_SIZE)
		return error_set(error, EINVAL, "its input is impossible");
	terminal_input_wanted(console_of(device)->terminal);
	return 0;
}

static void console_close(struct virtio_device *device)
{
	const struct terminal_device none = { 0 };

	terminal_attach(console_of(device)->terminal, &none);
	pthread_mutex_destroy(&console_of(device)->lock);
}

static const struct virtio_ops console_ops = {
	.name = "console",
	.id = VIRTIO_CONSOLE,
	.class_code = 0x078000, /* communication controller, other */
	.process = console_process,
	.stop = console_stop,
	.state_table = &console_state_table,
	.state_offset = offsetof(struct console, state),
	.restored = console_restored,
	.close = console_close,
};

struct virtio_device *virtio_console_open(struct vm *vm, struct pci_bus *pci, struct terminal *terminal,
					  struct error *error)
{
	const struct virtio_setup setup = {
		.ops = &console_ops,
		.queue_count = QUEUE_COUNT,
		.watch_fd = -1,
	};
	struct console *console = calloc(1, sizeof(*console));
	const struct terminal_device end = {
		.receive = console_receive,
		.writable = console_writable,
		.owner = console,
	};

	if (!console) {
		error_system(error, ENOMEM, "virtio-console");
		return NULL;
	}
	console->terminal = terminal;
	pthread_mutex_init(&console->lock, NULL);
	if (virtio_open(&console->device, &setup, vm, pci, error) < 0) {
		pthread_mutex_destroy(&console->lock);
		free(console);
		return NULL;
	}
	terminal_attach(terminal, &end);
	return &console->device;
}
