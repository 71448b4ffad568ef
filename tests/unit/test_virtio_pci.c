/* SPDX-License-Identifier: MIT */
/* virtio/pci.c: the registers, with accesses of a correct driver and of a hostile one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "fake/echo.h"
#include "util/bits.h"

static void state_table_is_complete_for_virtio(void **state)
{
	(void)state;
	assert_true(state_table_is_complete(&virtio_state_table));
}

static void identity_and_capabilities_are_those_of_virtio_1(void **state)
{
	struct echo *echo = *state;

	assert_int_equal(fake_config_read(&echo->function, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(fake_config_read(&echo->function, PCI_DEVICE_ID, 2), 0x1044);
	assert_true(fake_config_read(&echo->function, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(fake_config_read(&echo->function, PCI_REVISION_ID, 1), 1);
	assert_true(echo->function.common && echo->function.notify && echo->function.isr && echo->function.config);
	assert_true(echo->function.access && echo->function.msix);
	assert_int_equal(echo->function.notify_multiplier, 4);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_NUMQ, 2), ECHO_QUEUES);
}

static void features_are_negotiated_once(void **state)
{
	struct echo *echo = *state;

	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_DF, 4), 3u << 28);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_DF, 4), 1 | ECHO_FEATURE >> 32);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_DF, 4), 0);

	fake_negotiate(&echo->function, ECHO_FEATURE);
	assert_int_equal(fake_status(&echo->function), 11);
	fake_driver_ok(&echo->function);
	assert_int_equal(fake_status(&echo->function), 15);
	assert_int_equal(echo->device.features, VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_INDIRECT |
						    VIRTIO_FEATURE_EVENT_INDEX);
	/* Features cannot change any more. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_GF, 4, ~0u);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_GF, 4), 1);
}

static void features_are_refused_when_the_driver_is_wrong(void **state)
{
	struct echo *echo = *state;

	/* A legacy driver. */
	fake_negotiate(&echo->function, VIRTIO_FEATURE_VERSION_1);
	assert_int_equal(fake_status(&echo->function), VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);

	/* A driver that accepts features that were not offered. */
	fake_negotiate(&echo->function, VIRTIO_FEATURE_VERSION_1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_GF, 4, 3);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	assert_int_equal(fake_status(&echo->function), 3);

	/* A driver that continues without FEATURES_OK. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 7);
	assert_true(fake_status(&echo->function) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(echo->starts, 0);
	assert_false(echo->device.running);
}

static void queue_registers_refuse_bad_values(void **state)
{
	struct echo *echo = *state;
	const uint16_t bad_sizes[] = { 0, 3, 2 * ECHO_SIZE, 0xffff };

	fake_negotiate(&echo->function, 0);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	for (unsigned i = 0; i < 4; i++) {
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2, bad_sizes[i]);
		assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);
	}
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);

	/* A vector that does not exist is not accepted. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2, ECHO_QUEUES);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2), ECHO_QUEUES);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2, ECHO_QUEUES + 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2, 99);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);

	/* 64-bit registers in one access, and in two. */
	fake_write(&echo->function, echo->function.common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x123456789abcdef0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x9abcdef0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x12345678);
	assert_true(fake_read(&echo->function, echo->function.common + VIRTIO_PCI_COMMON_Q_DESCLO, 8) ==
		    0x123456789abcdef0);
	/* Wrong sizes do nothing. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 2, 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 2), 0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x9abcdef0);

	/* An enabled queue is fixed until reset. */
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x9abcdef0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);

	/* Queues that do not exist. */
	for (unsigned i = ECHO_QUEUES; i < 0x10000; i += 0x3ffd) {
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		fake_set_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
		assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(fake_common(&echo->function, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	}
}

static void device_config_is_accessed_within_its_size(void **state)
{
	struct echo *echo = *state;

	memcpy(echo->config, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(fake_read(&echo->function, echo->function.config + 2, 2), 0x0403);
	assert_true(fake_read(&echo->function, echo->function.config, 8) == 0x0807060504030201);
	assert_int_equal(fake_read(&echo->function, echo->function.config + 6, 4), 0); /* partly outside */
	assert_int_equal(fake_read(&echo->function, echo->function.config + 8, 1), 0);
	fake_write(&echo->function, echo->function.config + 7, 1, 0xaa);
	fake_write(&echo->function, echo->function.config + 7, 2, 0xbbbb);
	fake_write(&echo->function, echo->function.config + 0xff8, 8, ~0ull);
	assert_int_equal(echo->config[7], 0xaa);
}

static void config_access_capability_reaches_the_bar(void **state)
{
	struct echo *echo = *state;
	unsigned data = echo->function.access + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	const struct {
		uint8_t bar;
		uint32_t offset, size;
	} nonsense[] = { { 0, 0, 4 }, { 5, 0, 4 }, { 4, 0, 0 }, { 4, 0, 3 }, { 4, 0, 8 }, { 4, 2, 4 }, { 4, 0x4000, 4 },
			 { 4, 0xfffffffc, 4 }, { 4, 0xffffffff, 1 }, { 255, 0, 1 } };

	fake_set_window(&echo->function, 4, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(fake_config_read(&echo->function, data, 2), ECHO_QUEUES);
	fake_set_window(&echo->function, 4, VIRTIO_PCI_COMMON_STATUS, 1);
	fake_config_write(&echo->function, data, 1, 1);
	assert_int_equal(fake_status(&echo->function), 1);
	fake_config_write(&echo->function, data, 1, 0); /* a reset through it parks the worker */
	assert_int_equal(fake_status(&echo->function), 0);
	fake_set_window(&echo->function, 4, 0x2004, 4);
	fake_config_write(&echo->function, data, 4, 0x11223344);
	assert_int_equal(echo->config[7], 0x11);

	for (size_t i = 0; i < COUNT(nonsense); i++) {
		fake_set_window(&echo->function, nonsense[i].bar, nonsense[i].offset, nonsense[i].size);
		fake_config_write(&echo->function, data, 4, 0xffffffff);
		fake_config_read(&echo->function, data, 4);
	}
	assert_int_equal(fake_status(&echo->function), 0);
}

/* Accesses every register in every size with many values, while the device runs. The sanitizers report errors. */
static void registers_survive_garbage(void **state)
{
	struct echo *echo = *state;
	const uint64_t values[] = { 0, 1, 0x7fff, 0xffff, 0x80000000, 0xffffffffffffffff };

	for (unsigned value = 0; value < 6; value++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			for (unsigned offset = 0; offset < 0x4000; offset += offset % 0x1000 < 0x48 ? 1 : 0xfb8) {
				fake_read(&echo->function, echo->function.common + offset, size);
				fake_write(&echo->function, echo->function.common + offset, size, values[value]);
			}
		}
		echo_run_driver(echo);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, echo_setup, echo_teardown)
	const struct CMUnitTest tests[] = {
		TEST(state_table_is_complete_for_virtio),
		TEST(identity_and_capabilities_are_those_of_virtio_1),
		TEST(features_are_negotiated_once),
		TEST(features_are_refused_when_the_driver_is_wrong),
		TEST(queue_registers_refuse_bad_values),
		TEST(device_config_is_accessed_within_its_size),
		TEST(config_access_capability_reaches_the_bar),
		TEST(registers_survive_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
