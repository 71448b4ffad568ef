/* SPDX-License-Identifier: MIT */
/* The virtio device that returns each request, and its fixture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>
#include <linux/virtio_pci.h>

#include "fake/echo.h"
#include "fake/kvm.h"

#define DATA (FAKE_RAM_BASE + 0x100000)

static struct echo *of(struct virtio_device *device)
{
	return (struct echo *)device;
}

static void do_process(struct virtio_device *device)
{
	struct virtqueue_chain chain;

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		struct virtqueue *queue = &device->queues[i];

		do {
			int taken;

			while ((taken = virtqueue_pop(queue, &chain)) > 0) {
				atomic_fetch_add(&of(device)->requests, 1);
				virtqueue_push(queue, chain.head, 0);
				virtio_interrupt(device, queue);
			}
			if (taken < 0) {
				virtio_needs_reset(device, queue->reason);
				return;
			}
		} while (virtqueue_listen(queue));
	}
}

static void do_start(struct virtio_device *device)
{
	atomic_fetch_add(&of(device)->starts, 1);
}

static void do_stop(struct virtio_device *device)
{
	atomic_fetch_add(&of(device)->stops, 1);
}

static void do_pause(struct virtio_device *device)
{
	atomic_fetch_add(&of(device)->pauses, 1);
}

static void do_resume(struct virtio_device *device)
{
	atomic_fetch_add(&of(device)->resumes, 1);
}

static void do_close(struct virtio_device *device)
{
	atomic_fetch_add(&of(device)->closes, 1);
}

static void do_config_read(struct virtio_device *device, unsigned offset, unsigned size, void *to)
{
	assert_in_range(offset + size, 1, sizeof(of(device)->config));
	memcpy(to, of(device)->config + offset, size);
}

static void do_config_write(struct virtio_device *device, unsigned offset, unsigned size, const void *from)
{
	assert_in_range(offset + size, 1, sizeof(of(device)->config));
	memcpy(of(device)->config + offset, from, size);
}

static const struct virtio_ops ops = {
	.name = "test",
	.id = VIRTIO_ENTROPY,
	.class_code = 0xff0000,
	.config_read = do_config_read,
	.config_write = do_config_write,
	.start = do_start,
	.stop = do_stop,
	.process = do_process,
	.pause = do_pause,
	.resume = do_resume,
	.close = do_close,
};

static void count_complaints(void *context, enum log_level level, const char *line)
{
	(void)level;
	assert_non_null(strstr(line, "virtio-test3"));
	(*(unsigned *)context)++;
}

void echo_clear_rings(struct echo *echo)
{
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		fake_queue_init(&echo->rings[i], &echo->machine.vm.ram, ECHO_RINGS(i), ECHO_SIZE);
}

static struct echo *open_fixture(bool has_msi)
{
	static struct echo echo;
	static struct log log;
	static const struct virtio_setup description = {
		.ops = &ops,
		.index = 3,
		.features = ECHO_FEATURE,
		.queue_count = ECHO_QUEUES,
		.queue_size = ECHO_SIZE,
		.config_size = 8,
		.watch_fd = -1,
	};
	struct error error;

	memset(&echo, 0, sizeof(echo));
	fake_kvm_reset();
	fake_machine_open(&echo.machine, has_msi);
	log = (struct log){ .level = LOG_LEVEL_WARNING, .write = count_complaints, .context = &echo.complaints };
	echo.machine.vm.log = &log;
	if (virtio_open(&echo.device, &description, &echo.machine.vm, &echo.machine.pci, &error) < 0)
		fail_msg("%s", error.text);
	virtio_resume(&echo.device);
	fake_probe(&echo.function, &echo.machine, 0);
	echo_clear_rings(&echo);
	return &echo;
}

int echo_setup(void **state)
{
	*state = open_fixture(true);
	return 0;
}

int echo_setup_line(void **state)
{
	*state = open_fixture(false);
	return 0;
}

int echo_teardown(void **state)
{
	struct echo *echo = *state;

	virtio_close(&echo->device);
	assert_int_equal(echo->closes, 1);
	virtio_close(&echo->device);
	assert_int_equal(echo->closes, 1);
	fake_machine_close(&echo->machine);
	return 0;
}

void echo_run_driver(struct echo *echo)
{
	if (echo->function.msix)
		fake_enable_msix(&echo->function);
	fake_negotiate(&echo->function, 0);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (uint16_t i = 0; i < ECHO_QUEUES; i++)
		fake_set_queue(&echo->function, i, &echo->rings[i], i + 1);
	fake_driver_ok(&echo->function);
}

void echo_offer(struct echo *echo, unsigned queue)
{
	fake_descriptor(&echo->rings[queue], 0, DATA, 16, 0, 0);
	fake_offer(&echo->rings[queue], 0);
}

/* All MSI-X vectors are masked, so the eventfd is not attached to KVM and keeps the signal. */
bool echo_signalled(struct echo *echo, unsigned vector)
{
	int fd = echo->device.pci.vectors[vector].event_fd;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	/* The device signals after it writes the used entry, so a test may call this before the signal. */
	return poll(&poll_fd, 1, 1000) == 1 && eventfd_read(fd, &count) == 0;
}

bool echo_quiet(struct echo *echo, unsigned vector)
{
	struct pollfd poll_fd = { .fd = echo->device.pci.vectors[vector].event_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 20) == 0;
}
