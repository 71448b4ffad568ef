/* SPDX-License-Identifier: MIT */
/* virtio/net.c with a real tap in its own network namespace. Skipped if the host does not allow that. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio/net.h"
#include "virtio_rig.h"

#define NAME "lkvmtest0"
#define EXPERIMENT 0x88b5 /* an EtherType for experiments, which no protocol has */

static bool allowed;

static int enter_namespace(void **state)
{
	int fd;

	(void)state;
	allowed = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (allowed && fd >= 0) {
		struct ifreq request = { .ifr_name = NAME, .ifr_flags = IFF_TAP };

		allowed = ioctl(fd, TUNSETIFF, &request) == 0;
	}
	if (fd < 0)
		allowed = false;
	else
		close(fd);
	return 0;
}

static struct rig *open_tap(struct virtio_net_config config, struct error *error)
{
	struct rig *rig = rig_open();

	config.mode = NET_TAP;
	config.tap = config.tap_fd < 0 ? NAME : NULL;
	rig->device = virtio_net_open(&rig->machine.vm, &rig->machine.pci, 0, &config, error);
	return rig;
}

static struct rig *must_open(unsigned queues, bool vhost)
{
	const struct virtio_net_config config = { .tap_fd = -1, .queues = queues, .vhost_required = vhost };
	struct error error;
	struct rig *rig;

	if (!allowed)
		skip();
	rig = open_tap(config, &error);
	if (!rig->device)
		fail_msg("%s", error.text);
	return rig;
}

/* Opens the host's end: a socket that receives only this EtherType. */
static int open_host(void)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(EXPERIMENT),
		.sll_ifindex = (int)if_nametoindex(NAME),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(EXPERIMENT));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void make_frame(uint8_t *frame, unsigned length, uint8_t tag)
{
	memset(frame, tag, length);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\2\0\0\0\0\7", 6);
	frame[12] = EXPERIMENT >> 8;
	frame[13] = EXPERIMENT & 0xff;
}

/* Skips the host's own traffic: IPv6 sends packets by itself. */
static void expect_from_host(struct rig *rig, unsigned queue, const uint8_t *frame, unsigned length)
{
	for (;;) {
		uint16_t head;
		uint32_t written;
		uint64_t at;
		const uint8_t *bytes;

		assert_true(fake_wait_used(&rig->queues[queue]));
		fake_take(&rig->queues[queue], &head, &written);
		at = FAKE_RAM_BASE + 0x200000 + head * 2048ull;
		bytes = rig_at(rig, at);
		if (bytes[NET_HEADER + 12] != EXPERIMENT >> 8 || bytes[NET_HEADER + 13] != (EXPERIMENT & 0xff))
			continue;
		assert_int_equal(written, NET_HEADER + length);
		assert_memory_equal(bytes + NET_HEADER, frame, length);
		assert_int_equal(bytes[NET_HEADER_BUFFERS], 1);
		return;
	}
}

static void offer_all(struct rig *rig, uint16_t queue)
{
	for (uint16_t i = 0; i < RIG_QUEUE_SIZE; i++) {
		fake_descriptor(&rig->queues[queue], i, FAKE_RAM_BASE + 0x200000 + i * 2048ull, 2048,
				VRING_DESC_F_WRITE, 0);
		fake_offer(&rig->queues[queue], i);
	}
	fake_notify(&rig->function, queue);
}

static void send_from_guest(struct rig *rig, uint16_t queue, const uint8_t *frame, unsigned length)
{
	uint64_t at = rig_memory(rig, NET_HEADER + length);

	memset(rig_at(rig, at), 0, NET_HEADER);
	memcpy((uint8_t *)rig_at(rig, at) + NET_HEADER, frame, length);
	fake_descriptor(&rig->queues[queue], 0, at, NET_HEADER + length, 0, 0);
	fake_offer(&rig->queues[queue], 0);
	fake_notify(&rig->function, queue);
	rig_take(rig, queue, 0);
}

static void exchange(struct rig *rig, int host)
{
	uint8_t frame[200], got[2048];
	struct pollfd polled = { .fd = host, .events = POLLIN };

	make_frame(frame, sizeof(frame), 1);
	send_from_guest(rig, 1, frame, sizeof(frame));
	assert_int_equal(poll(&polled, 1, 3000), 1);
	assert_int_equal(recv(host, got, sizeof(got), 0), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));

	make_frame(frame, sizeof(frame), 2);
	assert_int_equal(send(host, frame, sizeof(frame), 0), sizeof(frame));
	expect_from_host(rig, 0, frame, sizeof(frame));
}

static void tap_passes_packets_both_ways(void **state)
{
	struct rig *rig = must_open(1, false);
	int host = open_host();

	(void)state;
	rig_start(rig, 0);
	offer_all(rig, 0);
	for (unsigned i = 0; i < 10; i++)
		exchange(rig, host);
	assert_int_equal(fake_read(&rig->function, rig->function.config + 10, 2), 1500);
	close(host);
	rig_close(rig);
}

static void remove_interface(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_DELLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_index = (int)if_nametoindex(NAME) },
	};
	char answer[512];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	close(fd);
}

/* Removes the interface. `looking`: the device detects that while receiving, else while sending. */
static void vanish(bool looking)
{
	struct rig *rig = must_open(1, false);
	uint8_t frame[60];

	rig_start(rig, 0);
	if (looking)
		offer_all(rig, 0);
	rig_settle();
	remove_interface();
	make_frame(frame, sizeof(frame), 1);
	if (!looking)
		send_from_guest(rig, 1, frame, sizeof(frame));
	assert_true(rig_wait_until(fake_read(&rig->function, rig->function.config + 6, 2) == 0));
	send_from_guest(rig, 1, frame, sizeof(frame));
	assert_false(rig->device->worker.watching);
	rig_close(rig);
}

static void link_goes_down_when_the_tap_vanishes(void **state)
{
	(void)state;
	vanish(true);
	vanish(false);
}

/* Sends a control request of `length` bytes. Returns the reply. */
static uint8_t control(struct rig *rig, const uint8_t *request, uint32_t length)
{
	struct fake_queue *queue = &rig->queues[4];
	uint64_t at = rig_memory(rig, length), answer = rig_memory(rig, 1);

	memcpy(rig_at(rig, at), request, length);
	*(uint8_t *)rig_at(rig, answer) = 0xee;
	fake_descriptor(queue, 0, at, length, VRING_DESC_F_NEXT, 1);
	fake_descriptor(queue, 1, answer, 1, VRING_DESC_F_WRITE, 0);
	fake_offer(queue, 0);
	fake_notify(&rig->function, 4);
	assert_int_equal(rig_take(rig, 4, 0), 1);
	return *(uint8_t *)rig_at(rig, answer);
}

static void queue_pairs_are_set_by_control_requests(void **state)
{
	struct rig *rig = must_open(2, false);
	const struct net *net = net_of(rig->device);
	int host = open_host();

	(void)state;
	rig_start(rig, 0);
	assert_int_equal(fake_read(&rig->function, rig->function.config + 8, 2), 2);
	assert_int_equal(rig->device->pci.identity.vectors, 6); /* one for each of 5 queues, and one for the configuration */
	offer_all(rig, 0);
	exchange(rig, host);

	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 0, 0 }, 4), 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 3, 0 }, 4), 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 1, 2, 0 }, 4), 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 0, 0, 2, 0 }, 4), 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 2 }, 3), 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 2, 0, 0 }, 5), 1);
	assert_int_equal(net->state.pairs, 1);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 2, 0 }, 4), 0);
	assert_int_equal(net->state.pairs, 2);

	/* The kernel sends replies to the queue that last sent a packet of the flow. */
	for (uint16_t i = 0; i < 2; i++) {
		uint8_t frame[60], got[2048];
		struct pollfd polled = { .fd = host, .events = POLLIN };

		make_frame(frame, sizeof(frame), (uint8_t)(3 + i));
		send_from_guest(rig, (uint16_t)(1 + 2 * i), frame, sizeof(frame));
		assert_int_equal(poll(&polled, 1, 3000), 1);
		recv(host, got, sizeof(got), 0);
		assert_memory_equal(got, frame, sizeof(frame));
	}
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 1, 0 }, 4), 0);
	exchange(rig, host);

	/* A driver without the feature of several pairs has its control queue after the first pair. */
	rig_reset(rig);
	assert_int_equal(net->state.pairs, 1);
	rig_start(rig, NET_F_MQ);
	offer_all(rig, 0);
	exchange(rig, host);
	close(host);
	rig_close(rig);
}

static void device_needs_reset_when_a_control_request_has_no_room(void **state)
{
	struct rig *rig = must_open(2, false);

	(void)state;
	rig_start(rig, 0);
	rig_offer(rig, 4, 0, 4, 0);
	assert_true(fake_wait_status(&rig->function, VIRTIO_STATUS_NEEDS_RESET));
	rig_close(rig);
}

static bool used_by_kernel(struct rig *rig)
{
	struct net *net = net_of(rig->device);

	return net->vhost_on && net->vhosts[0].running;
}

static void vhost_serves_queues_except_during_pauses(void **state)
{
	const struct virtqueue_state *transmit;
	struct rig *rig;
	int host;

	(void)state;
	if (access("/dev/vhost-net", R_OK | W_OK) < 0)
		skip();
	rig = must_open(1, true);
	transmit = &rig->device->queues[1].state;
	host = open_host();
	rig->msix = true;
	rig_start(rig, 0);
	assert_true(used_by_kernel(rig));
	offer_all(rig, 0);
	exchange(rig, host);
	exchange(rig, host);

	/* In a pause, the state of the queues can be saved, and no packet is moved. */
	virtio_pause(rig->device);
	assert_false(used_by_kernel(rig));
	assert_int_equal(transmit->next_available, 2);
	assert_int_equal(transmit->next_used, 2);
	assert_int_equal(rig->device->queues[0].state.next_available, rig->device->queues[0].state.next_used);
	assert_true(rig->device->queues[0].state.next_used >= 2);
	rig_offer(rig, 1, 7, 100, 0);
	assert_true(rig_is_unused(rig, 1));
	virtio_resume(rig->device);
	assert_true(used_by_kernel(rig));
	rig_take(rig, 1, 7);
	exchange(rig, host);

	/* Without MSI-X, lkvm itself serves the queues, from their beginning. */
	rig_reset(rig);
	assert_false(used_by_kernel(rig));
	rig->msix = false;
	fake_config_write(&rig->function, rig->function.msix + 2, 2, 0);
	rig_start(rig, 0);
	assert_false(used_by_kernel(rig));
	offer_all(rig, 0);
	exchange(rig, host);

	rig_reset(rig);
	rig->msix = true;
	rig_start(rig, 0);
	assert_true(used_by_kernel(rig));
	offer_all(rig, 0);
	exchange(rig, host);
	close(host);
	rig_close(rig);
}

static void vhost_serves_each_queue_pair(void **state)
{
	struct rig *rig;
	int host;

	(void)state;
	if (access("/dev/vhost-net", R_OK | W_OK) < 0)
		skip();
	rig = must_open(2, true);
	host = open_host();
	rig->msix = true;
	rig_start(rig, 0);
	offer_all(rig, 0);
	exchange(rig, host);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 2, 0 }, 4), 0);
	assert_true(net_of(rig->device)->vhosts[1].running);
	virtio_pause(rig->device);
	virtio_resume(rig->device);
	assert_int_equal(control(rig, (const uint8_t[]){ 4, 0, 1, 0 }, 4), 0);
	exchange(rig, host);
	close(host);
	rig_close(rig);
}

static void tap_stays_open_when_its_descriptor_was_given(void **state)
{
	struct virtio_net_config config = { .queues = 1 };
	struct ifreq request = { .ifr_name = NAME, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct error error;
	struct rig *rig;
	int host;

	(void)state;
	if (!allowed)
		skip();
	config.tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(config.tap_fd, TUNSETIFF, &request), 0);
	rig = open_tap(config, &error);
	assert_non_null(rig->device);
	host = open_host();
	rig_start(rig, 0);
	offer_all(rig, 0);
	exchange(rig, host);
	close(host);
	rig_close(rig);
	assert_int_equal(ioctl(config.tap_fd, TUNGETIFF, &request), 0); /* the caller still owns it */
	close(config.tap_fd);
}

static void expect_refusal(const struct virtio_net_config *config, const char *text)
{
	struct error error;
	struct rig *rig = open_tap(*config, &error);

	assert_null(rig->device);
	if (!strstr(error.text, text))
		fail_msg("%s", error.text);
	rig_close(rig);
}

static void tap_open_names_the_reason_when_it_fails(void **state)
{
	struct virtio_net_config config = { .tap_fd = -1, .queues = 1, .script = "/bin/false" };
	struct error error;
	struct rig *rig;

	(void)state;
	if (!allowed)
		skip();
	expect_refusal(&config, "/bin/false ended with status 1");
	config.script = "/nonexistent/script";
	expect_refusal(&config, "cannot run /nonexistent/script");
	config.script = "/bin/true";
	rig = open_tap(config, &error);
	assert_non_null(rig->device);
	config.script = NULL;
	expect_refusal(&config, "in use by another program");
	rig_close(rig);

	config.tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* without an interface */
	expect_refusal(&config, "is not a tap");
	close(config.tap_fd);
	config.tap_fd = -1;
	if (access("/dev/vhost-net", F_OK) < 0) {
		config.vhost_required = true;
		expect_refusal(&config, "/dev/vhost-net");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tap_passes_packets_both_ways),
		cmocka_unit_test(link_goes_down_when_the_tap_vanishes),
		cmocka_unit_test(queue_pairs_are_set_by_control_requests),
		cmocka_unit_test(device_needs_reset_when_a_control_request_has_no_room),
		cmocka_unit_test(vhost_serves_queues_except_during_pauses),
		cmocka_unit_test(vhost_serves_each_queue_pair),
		cmocka_unit_test(tap_stays_open_when_its_descriptor_was_given),
		cmocka_unit_test(tap_open_names_the_reason_when_it_fails),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
