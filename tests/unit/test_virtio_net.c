/* SPDX-License-Identifier: MIT */
/*
 * virtio/net.c with a backend that replies: this program itself, run in place of passt. It sends each frame back, or performs
 * the order in the frame's first byte.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/io.h"
#include "virtio/net.h"
#include "restore_rig.h"
#include "open_fds.h"

enum { RECEIVE, TRANSMIT };

enum order {
	ECHO = 'e',
	LEAVE = 'x',
	SLEEP = 's',   /* for a moment, without reading frames */
	SEND = 'n',    /* a frame with the length in the following four bytes */
	NONSENSE = 'g' /* an impossible length */
};

#define FD 3

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 256);
}

static void say(const uint8_t *frame, uint32_t length)
{
	const uint8_t prefix[] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
				   (uint8_t)length };

	write_full(FD, prefix, sizeof(prefix));
	write_full(FD, frame, length);
}

static int run_peer(void)
{
	static uint8_t frame[70000];
	uint8_t prefix[4];
	uint32_t length;

	for (;;) {
		if (read_full(FD, prefix, sizeof(prefix)) != sizeof(prefix))
			return 0;
		length = (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 | prefix[3];
		if (length == 0 || length > sizeof(frame) || read_full(FD, frame, length) != (ssize_t)length)
			return 1;
		if (length == 60 && frame[12] == 0x88 && frame[13] == 0xb5) /* lkvm's probe for passt's start */
			continue;
		switch (frame[0]) {
		case ECHO:
			say(frame, length);
			break;
		case SLEEP:
			usleep(200000);
			break;
		case SEND:
			memcpy(&length, frame + 1, sizeof(length));
			for (uint32_t i = 0; i < length; i++)
				frame[i] = pattern(i);
			say(frame, length);
			break;
		case NONSENSE:
			memset(prefix, 0xff, sizeof(prefix));
			write_full(FD, prefix, sizeof(prefix));
			break;
		default:
			return 0;
		}
	}
}

/* Runs the peer as the option of passt demands. */
static int run_odd_peer(const char *option)
{
	if (!strcmp(option, "--slow")) {
		usleep(300000);
		return run_peer();
	}
	fputs("no route\n", stderr);
	if (!strcmp(option, "--hang-up")) {
		close(FD);
		pause();
	}
	return 9;
}

static struct virtio_net_config user_config(void)
{
	return (struct virtio_net_config){
		.mode = NET_USER,
		.passt = "/proc/self/exe",
		.tap_fd = -1,
		.queues = 1,
		.mac = { 2, 0, 0, 0, 0, 9 },
	};
}

static int setup(void **state)
{
	const struct virtio_net_config config = user_config();
	struct rig *rig = rig_open();
	struct error error;

	rig->device = virtio_net_open(&rig->machine.vm, &rig->machine.pci, 0, &config, &error);
	assert_non_null(rig->device);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_close(*state);
	return 0;
}

/* Sends a frame of `length` bytes that begins with `order`. Header and frame are in three buffers. */
static void send_frame(struct rig *rig, uint16_t index, enum order order, uint32_t length)
{
	struct fake_queue *queue = &rig->queues[TRANSMIT];
	uint64_t header = rig_memory(rig, NET_HEADER), frame = rig_memory(rig, length);
	uint8_t *bytes = rig_at(rig, frame);

	memset(rig_at(rig, header), 0, NET_HEADER);
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = pattern(i);
	bytes[0] = (uint8_t)order;
	fake_descriptor(queue, index, header, NET_HEADER, VRING_DESC_F_NEXT, (uint16_t)(index + 1));
	fake_descriptor(queue, (uint16_t)(index + 1), frame, 1, VRING_DESC_F_NEXT, (uint16_t)(index + 2));
	fake_descriptor(queue, (uint16_t)(index + 2), frame + 1, length - 1, 0, 0);
	fake_offer(queue, index);
	fake_notify(&rig->function, TRANSMIT);
}

/* Makes the peer send a frame of `length` bytes. */
static void request_frame(struct rig *rig, uint32_t length)
{
	struct fake_queue *queue = &rig->queues[TRANSMIT];
	uint64_t packet = rig_memory(rig, NET_HEADER + 64);
	uint8_t *bytes = rig_at(rig, packet);

	memset(bytes, 0, NET_HEADER + 64);
	bytes[NET_HEADER] = SEND;
	memcpy(bytes + NET_HEADER + 1, &length, sizeof(length));
	fake_descriptor(queue, 60, packet, NET_HEADER + 64, 0, 0);
	fake_offer(queue, 60);
	fake_notify(&rig->function, TRANSMIT);
	rig_take(rig, TRANSMIT, 60);
}

/* Checks a packet in `count` buffers of `size` bytes at `at`. */
static void expect_packet(struct rig *rig, const uint64_t *at, uint16_t first, uint16_t count, uint32_t size,
			  uint32_t length, uint8_t first_byte)
{
	static const uint8_t header[NET_HEADER_BUFFERS];
	uint32_t total = NET_HEADER + length;
	uint16_t buffers;

	for (uint16_t i = 0; i < count; i++) {
		uint32_t part = total - i * size < size ? total - i * size : size;
		const uint8_t *bytes = rig_at(rig, at[i]);

		assert_int_equal(rig_take(rig, RECEIVE, (uint16_t)(first + i)), part);
		for (uint32_t j = i ? 0 : NET_HEADER; j < part; j++) {
			size_t k = i * size + j - NET_HEADER;

			assert_int_equal(bytes[j], k ? pattern(k) : first_byte);
		}
	}
	assert_memory_equal(rig_at(rig, at[0]), header, sizeof(header));
	memcpy(&buffers, (uint8_t *)rig_at(rig, at[0]) + NET_HEADER_BUFFERS, sizeof(buffers));
	assert_int_equal(buffers, count);
}

static void offer_buffers(struct rig *rig, uint64_t *at, uint16_t first, uint16_t count, uint32_t size)
{
	for (uint16_t i = 0; i < count; i++)
		at[i] = rig_offer(rig, RECEIVE, (uint16_t)(first + i), size, VRING_DESC_F_WRITE);
}

/* Makes the device hold a frame for which the driver has no buffers. */
static void make_held(struct rig *rig, uint32_t length)
{
	const size_t *held = &net_of(rig->device)->pairs[0].held;

	request_frame(rig, length);
	assert_true(rig_wait_until(__atomic_load_n(held, __ATOMIC_RELAXED) == NET_HEADER + length));
}

static void config_has_mac_address_and_link_state(void **state)
{
	struct rig *rig = *state;
	const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };

	rig_start(rig, 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(fake_read(&rig->function, rig->function.config + i, 1), mac[i]);
	assert_int_equal(fake_read(&rig->function, rig->function.config + 6, 2), 1); /* link up */
	assert_int_equal(rig->device->pci.identity.vectors, 2);
	assert_true(state_table_is_complete(&net_state_table));
}

/* A machine that is restored from another's state can have another MAC address. A driver that starts later reads it. */
static void mac_address_changes_when_it_is_replaced_by_a_restore(void **state)
{
	struct virtio_net_config config = user_config();
	struct rig *from = *state, *to = rig_open();
	struct saved saved;
	struct error error;

	memcpy(config.new_mac, (uint8_t[]){ 2, 0, 0, 0, 0, 10 }, sizeof(config.new_mac));
	to->device = virtio_net_open(&to->machine.vm, &to->machine.pci, 0, &config, &error);
	assert_non_null(to->device);
	save_device(&saved, from->device);
	load_device(&saved, to->device);
	saved_free(&saved);
	assert_int_equal(net_of(to->device)->state.mac[5], 9);
	assert_int_equal(virtio_restored(to->device, &error), 0);
	fake_probe(&to->function, &to->machine, to->device->pci.slot);
	assert_int_equal(fake_read(&to->function, to->function.config + 5, 1), 10);
	/* The new generation makes a driver that is reading the configuration read it again. */
	assert_int_equal(to->device->state.generation, from->device->state.generation + 1);
	virtio_net_describe(to->device, &config);
	assert_int_equal(config.mac[5], 10);
	rig_close(to);
}

static void frame_is_sent_and_received(void **state)
{
	struct rig *rig = *state;
	uint64_t at;

	rig_start(rig, 0);
	offer_buffers(rig, &at, 0, 1, 1526);
	send_frame(rig, 0, ECHO, 100);
	rig_take(rig, TRANSMIT, 0);
	expect_packet(rig, &at, 0, 1, 1526, 100, ECHO);
}

static void frame_fills_many_buffers_when_it_is_large(void **state)
{
	struct rig *rig = *state;
	uint64_t at[50];

	rig_start(rig, 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		offer_buffers(rig, at, 0, 50, 1526);
		send_frame(rig, 0, ECHO, 65535);
		rig_take(rig, TRANSMIT, 0);
		expect_packet(rig, at, 0, 43, 1526, 65535, ECHO);
		/* The device takes buffers for another frame, and returns most of them. */
		for (uint16_t i = 43; i < 50; i++) {
			send_frame(rig, 0, ECHO, 60);
			rig_take(rig, TRANSMIT, 0);
			expect_packet(rig, at + i, i, 1, 1526, 60, ECHO);
		}
	}
}

static void frame_waits_for_buffers(void **state)
{
	struct rig *rig = *state;
	uint64_t at[4];

	rig_start(rig, 0);
	offer_buffers(rig, at, 0, 2, 1526);
	make_held(rig, 5000);
	assert_true(rig_is_unused(rig, RECEIVE));
	offer_buffers(rig, at + 2, 2, 1, 1526);
	assert_true(rig_is_unused(rig, RECEIVE));
	offer_buffers(rig, at + 3, 3, 1, 1526);
	expect_packet(rig, at, 0, 4, 1526, 5000, pattern(0));
}

static void worker_sleeps_while_a_frame_waits(void **state)
{
	struct rig *rig = *state;
	unsigned long kicks;
	uint64_t at[2];

	rig_start(rig, 0);
	offer_buffers(rig, at, 0, 2, 1526);
	make_held(rig, 5000);
	rig_settle();
	kicks = atomic_load(&rig->device->counters.kicks);
	rig_settle();
	assert_int_equal(atomic_load(&rig->device->counters.kicks), kicks);
}

static void frame_is_dropped_when_it_can_never_fit(void **state)
{
	struct rig *rig = *state;
	uint64_t at[2];

	rig_start(rig, NET_F_MRG_RXBUF);
	offer_buffers(rig, at, 0, 2, 200);
	request_frame(rig, 189);
	assert_true(rig_is_unused(rig, RECEIVE));
	request_frame(rig, 188);
	expect_packet(rig, at, 0, 1, 200, 188, pattern(0));
}

static void frames_wait_while_the_peer_does_not_read(void **state)
{
	struct rig *rig = *state;
	uint64_t at[20];

	rig_start(rig, 0);
	offer_buffers(rig, at, 0, 20, 60100);
	send_frame(rig, 60, SLEEP, 60);
	/* More data than a socket can hold. All of it is returned, in order. */
	for (uint16_t i = 0; i < 20; i++)
		send_frame(rig, (uint16_t)(3 * i), ECHO, 60000u - i);
	rig_take(rig, TRANSMIT, 60);
	for (uint16_t i = 0; i < 20; i++) {
		rig_take(rig, TRANSMIT, (uint16_t)(3 * i));
		expect_packet(rig, at + i, i, 1, 60100, 60000u - i, ECHO);
	}
}

static void expect_link_down(struct rig *rig)
{
	assert_true(rig_wait_until(fake_read(&rig->function, rig->function.config + 6, 2) == 0));
	/* Packets are lost, but requests complete. */
	send_frame(rig, 0, ECHO, 60);
	rig_take(rig, TRANSMIT, 0);
	send_frame(rig, 3, ECHO, 60);
	rig_take(rig, TRANSMIT, 3);
	assert_true(rig_is_unused(rig, RECEIVE));
	assert_false(rig->device->worker.watching);
}

static void link_goes_down_when_the_peer_leaves(void **state)
{
	struct rig *rig = *state;
	uint64_t at;

	rig_start(rig, 0);
	offer_buffers(rig, &at, 0, 1, 1526);
	send_frame(rig, 0, LEAVE, 60);
	rig_take(rig, TRANSMIT, 0);
	expect_link_down(rig);
}

static void link_goes_down_when_the_peer_sends_nonsense(void **state)
{
	struct rig *rig = *state;
	uint64_t at;

	rig_start(rig, 0);
	offer_buffers(rig, &at, 0, 1, 1526);
	send_frame(rig, 0, NONSENSE, 60);
	rig_take(rig, TRANSMIT, 0);
	expect_link_down(rig);
}

static void frames_are_kept_during_a_pause(void **state)
{
	struct rig *rig = *state;
	uint64_t at;

	rig_start(rig, 0);
	virtio_pause(rig->device);
	at = rig_offer(rig, RECEIVE, 0, 1526, VRING_DESC_F_WRITE);
	send_frame(rig, 0, ECHO, 100);
	assert_true(rig_is_unused(rig, TRANSMIT));
	virtio_resume(rig->device);
	rig_take(rig, TRANSMIT, 0);
	expect_packet(rig, &at, 0, 1, 1526, 100, ECHO);
}

static void reset_drops_frame_that_waits(void **state)
{
	struct rig *rig = *state;
	uint64_t at[4];

	rig_start(rig, 0);
	offer_buffers(rig, at, 0, 2, 1526);
	make_held(rig, 5000);
	rig_reset(rig);
	rig_start(rig, 0);
	offer_buffers(rig, at, 0, 4, 1526);
	send_frame(rig, 0, ECHO, 60);
	rig_take(rig, TRANSMIT, 0);
	expect_packet(rig, at, 0, 1, 1526, 60, ECHO);
}

/* Offers a chain of one buffer that no driver may offer. */
static void expect_needs_reset(struct rig *rig, uint16_t queue, uint32_t size, uint16_t flags)
{
	rig_start(rig, 0);
	rig_offer(rig, queue, 0, size, flags);
	assert_true(fake_wait_status(&rig->function, VIRTIO_STATUS_NEEDS_RESET));
	assert_true(rig_wait_until(!atomic_load(&rig->device->worker.watching)));
	assert_true(rig_is_unused(rig, queue));
	rig_reset(rig);
}

static void device_needs_reset_when_a_packet_is_malformed(void **state)
{
	struct rig *rig = *state;

	expect_needs_reset(rig, TRANSMIT, NET_HEADER - 1, 0);
	expect_needs_reset(rig, TRANSMIT, 100, VRING_DESC_F_WRITE);
	expect_needs_reset(rig, RECEIVE, NET_HEADER - 1, VRING_DESC_F_WRITE);
	expect_needs_reset(rig, RECEIVE, 100, 0);
}

static void packet_is_dropped_when_it_is_huge(void **state)
{
	struct rig *rig = *state;
	struct fake_queue *queue = &rig->queues[TRANSMIT];

	rig_start(rig, 0);
	/* The same megabyte 50 times. */
	for (uint16_t i = 0; i < 50; i++)
		fake_descriptor(queue, i, FAKE_RAM_BASE, 0x100000, i < 49 ? VRING_DESC_F_NEXT : 0,
				(uint16_t)(i + 1));
	fake_offer(queue, 0);
	fake_notify(&rig->function, TRANSMIT);
	rig_take(rig, TRANSMIT, 0);
	assert_false(fake_status(&rig->function) & VIRTIO_STATUS_NEEDS_RESET);
}

static void expect_refusal(struct virtio_net_config config, const char *text)
{
	struct rig *rig = rig_open();
	struct error error;

	assert_null(virtio_net_open(&rig->machine.vm, &rig->machine.pci, 0, &config, &error));
	assert_non_null(strstr(error.text, text));
	rig_close(rig);
}

static void net_open_names_options_that_do_not_fit(void **state)
{
	struct virtio_net_config config = user_config();

	(void)state;
	config.passt = "/nonexistent/passt";
	expect_refusal(config, "package passt");
	config = user_config();
	config.queues = 2;
	expect_refusal(config, "one queue pair");
	config.queues = 9;
	expect_refusal(config, "1 to 8");
	config = user_config();
	config.vhost_required = true;
	expect_refusal(config, "tap only");
	config = (struct virtio_net_config){ .mode = NET_TAP, .tap_fd = STDOUT_FILENO, .queues = 1 };
	expect_refusal(config, "is not a tap");
}

static void user_network_open_fails_when_passt_fails_at_start(void **state)
{
	struct virtio_net_config config = user_config();
	unsigned fds = count_open_fds();

	(void)state;
	config.passt = "/bin/true";
	expect_refusal(config, "/bin/true ended with status 0 at its start");
	config.passt = "/bin/false";
	expect_refusal(config, "/bin/false ended with status 1");
	config = user_config();
	config.passt_options = "--fail";
	expect_refusal(config, "/proc/self/exe ended with status 9: no route");
	config.passt_options = "--hang-up";
	expect_refusal(config, "/proc/self/exe closed its connection at its start: no route");
	assert_int_equal(count_open_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, also no zombie */
}

static void user_network_open_waits_for_passt_that_starts_slowly(void **state)
{
	struct virtio_net_config config = user_config();
	struct rig *rig = rig_open();
	struct error error;

	(void)state;
	config.passt_options = "--slow";
	rig->device = virtio_net_open(&rig->machine.vm, &rig->machine.pci, 0, &config, &error);
	assert_non_null(rig->device);
	rig_close(rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(config_has_mac_address_and_link_state, setup, teardown),
		cmocka_unit_test_setup_teardown(mac_address_changes_when_it_is_replaced_by_a_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(frame_is_sent_and_received, setup, teardown),
		cmocka_unit_test_setup_teardown(frame_fills_many_buffers_when_it_is_large, setup, teardown),
		cmocka_unit_test_setup_teardown(frame_waits_for_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(worker_sleeps_while_a_frame_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(frame_is_dropped_when_it_can_never_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_wait_while_the_peer_does_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(link_goes_down_when_the_peer_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(link_goes_down_when_the_peer_sends_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_are_kept_during_a_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_drops_frame_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(device_needs_reset_when_a_packet_is_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(packet_is_dropped_when_it_is_huge, setup, teardown),
		cmocka_unit_test(net_open_names_options_that_do_not_fit),
		cmocka_unit_test(user_network_open_fails_when_passt_fails_at_start),
		cmocka_unit_test(user_network_open_waits_for_passt_that_starts_slowly),
	};

	if (argc == 5 && !strcmp(argv[3], "--fd"))
		_exit(run_peer());
	if (argc == 6 && !strcmp(argv[3], "--fd"))
		_exit(run_odd_peer(argv[5]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
