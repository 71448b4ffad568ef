/* SPDX-License-Identifier: MIT */
/* virtio/entropy.c: fills buffers, and huge ones in part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

#include "fake/driver.h"
#include "fake/kvm.h"

#define SIZE 8
#define DATA (FAKE_RAM_BASE + 0x100000)

struct fixture {
	struct fake_machine machine;
	struct fake_function function;
	struct fake_queue ring;
	struct virtio_device *device;
};

static int setup(void **state)
{
	static struct fixture f;
	struct error error;

	memset(&f, 0, sizeof(f));
	fake_kvm_reset();
	fake_machine_open(&f.machine, true);
	f.device = virtio_entropy_open(&f.machine.vm, &f.machine.pci, &error);
	assert_non_null(f.device);
	virtio_resume(f.device);
	fake_probe(&f.function, &f.machine, 0);
	fake_queue_init(&f.ring, &f.machine.vm.ram, FAKE_RAM_BASE, SIZE);
	fake_negotiate(&f.function, 0);
	fake_set_queue(&f.function, 0, &f.ring, 1);
	fake_driver_ok(&f.function);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_close(f->device);
	free(f->device);
	fake_machine_close(&f->machine);
	return 0;
}

static uint32_t ask(struct fixture *f)
{
	uint32_t written = UINT32_MAX;

	fake_offer(&f->ring, 0);
	fake_notify(&f->function, 0);
	assert_true(fake_wait_used(&f->ring) && fake_take(&f->ring, NULL, &written));
	return written;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void entropy_fills_each_buffer(void **state)
{
	struct fixture *f = *state;
	const uint8_t *data = ram_at(&f->machine.vm.ram, DATA, 0x1000);

	fake_descriptor(&f->ring, 0, DATA, 64, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	fake_descriptor(&f->ring, 1, DATA + 0x100, 64, VRING_DESC_F_WRITE, 0);
	assert_int_equal(ask(f), 128);
	assert_false(is_zero(data, 64));
	assert_false(is_zero(data + 0x100, 64));
	assert_true(is_zero(data + 64, 0x100 - 64));
	assert_true(is_zero(data + 0x140, 0x100));
	assert_memory_not_equal(data, data + 0x100, 64);
}

static void entropy_fills_part_of_huge_buffer_and_none_of_empty(void **state)
{
	struct fixture *f = *state;
	const uint8_t *data = ram_at(&f->machine.vm.ram, DATA, 0x200000);

	fake_descriptor(&f->ring, 0, DATA, 0x200000, VRING_DESC_F_WRITE, 0);
	assert_int_equal(ask(f), 65536);
	assert_true(is_zero(data + 65536, 0x200000 - 65536));
	fake_descriptor(&f->ring, 0, DATA, 0, VRING_DESC_F_WRITE, 0);
	assert_int_equal(ask(f), 0);
	fake_descriptor(&f->ring, 0, DATA, 64, 0, 0); /* read-only for the device */
	assert_int_equal(ask(f), 0);
}

static void device_needs_reset_when_the_ring_is_broken(void **state)
{
	struct fixture *f = *state;

	fake_offer(&f->ring, SIZE);
	fake_notify(&f->function, 0);
	assert_true(fake_wait_status(&f->function, VIRTIO_STATUS_NEEDS_RESET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(entropy_fills_each_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(entropy_fills_part_of_huge_buffer_and_none_of_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(device_needs_reset_when_the_ring_is_broken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
