/* SPDX-License-Identifier: MIT */
/* virtio/balloon.c: which pages inflating and reporting free, the target size, and statistics. */
#include <linux/virtio_balloon.h>
#include <unistd.h>

#include "util/bits.h"
#include "virtio_rig.h"

enum { INFLATE, DEFLATE, STATS, REPORTING };

#define PAGE 4096u

static int setup(void **state)
{
	struct rig *rig = rig_open();
	struct error error;

	rig->device = virtio_balloon_open(&rig->machine.vm, &rig->machine.pci, &error);
	assert_non_null(rig->device);
	rig_start(rig, 0);
	memset(rig->machine.vm.ram.host + 0x200000, 0xaa, 0x100000); /* the range that the tests discard */
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_close(*state);
	return 0;
}

static bool is_gone(struct rig *rig, uint64_t page)
{
	const uint8_t *bytes = rig_at(rig, page * PAGE);

	for (unsigned i = 1; i < PAGE; i++)
		assert_int_equal(bytes[i], bytes[0]);
	return bytes[0] == 0;
}

#define FIRST_PAGE ((FAKE_RAM_BASE + 0x200000) / PAGE)

static void give_pages(struct rig *rig, uint16_t queue, const uint32_t *pages, unsigned count)
{
	uint32_t size = count * (uint32_t)sizeof(pages[0]);
	uint64_t address = rig_memory(rig, size);

	memcpy(rig_at(rig, address), pages, size);
	fake_descriptor(&rig->queues[queue], 0, address, size, 0, 0);
	fake_offer(&rig->queues[queue], 0);
	fake_notify(&rig->function, queue);
	assert_int_equal(rig_take(rig, queue, 0), 0);
}

static void inflate_frees_exactly_its_pages(void **state)
{
	struct rig *rig = *state;
	const uint32_t pages[] = {
		FIRST_PAGE + 1, FIRST_PAGE + 2, FIRST_PAGE + 3, /* adjacent */
		FIRST_PAGE + 9, FIRST_PAGE + 8,
		0, 0x7ffff, 0xffffffff, (FAKE_RAM_BASE + FAKE_RAM_SIZE) / PAGE, /* not RAM */
		FIRST_PAGE + 20,
	};
	const bool gone[] = { 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };

	if (sysconf(_SC_PAGESIZE) != PAGE)
		skip();
	give_pages(rig, INFLATE, pages, COUNT(pages));
	for (unsigned i = 0; i < sizeof(gone); i++)
		assert_int_equal(is_gone(rig, FIRST_PAGE + i), gone[i]);
}

static void inflate_frees_host_pages_only_whole(void **state)
{
	struct rig *rig = *state;
	uint32_t count = (uint32_t)sysconf(_SC_PAGESIZE) / PAGE;
	uint32_t pages[64];

	assert_true(count < 32);
	for (uint32_t i = 0; i < 2 * count; i++)
		pages[i] = (uint32_t)FIRST_PAGE + i;
	give_pages(rig, INFLATE, pages, 2 * count);
	for (uint32_t i = 0; i < 3 * count; i++)
		assert_int_equal(is_gone(rig, FIRST_PAGE + i), i < 2 * count);
}

static void deflate_is_answered(void **state)
{
	const uint32_t page = FIRST_PAGE;

	give_pages(*state, DEFLATE, &page, 1);
	assert_false(is_gone(*state, FIRST_PAGE));
}

static void reported_memory_is_freed_by_whole_pages(void **state)
{
	struct rig *rig = *state;
	uint64_t at = FIRST_PAGE * PAGE;
	uint64_t host_page = (uint64_t)sysconf(_SC_PAGESIZE);

	fake_descriptor(&rig->queues[REPORTING], 0, at + 16, (uint32_t)(3 * host_page), VRING_DESC_F_WRITE, 0);
	fake_offer(&rig->queues[REPORTING], 0);
	fake_notify(&rig->function, REPORTING);
	assert_int_equal(rig_take(rig, REPORTING, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(is_gone(rig, FIRST_PAGE + i * host_page / PAGE), i == 1 || i == 2);
}

static void reporting_uses_queue_2_without_stats(void **state)
{
	struct rig *rig = *state;

	rig_reset(rig);
	rig_start(rig, 1ull << VIRTIO_BALLOON_F_STATS_VQ);
	fake_descriptor(&rig->queues[2], 0, FIRST_PAGE * PAGE, 65536, VRING_DESC_F_WRITE, 0);
	fake_offer(&rig->queues[2], 0);
	fake_notify(&rig->function, 2);
	rig_take(rig, 2, 0);
	assert_true(is_gone(rig, FIRST_PAGE));
}

static bool stat_says(struct rig *rig, const char *text)
{
	struct report report;
	bool found;

	report_open(&report, true);
	virtio_stat(rig->device, &report);
	found = strstr(report_text(&report), text);
	report_close(&report);
	return found;
}

static void target_is_bounded_and_kept_after_reset(void **state)
{
	struct rig *rig = *state;

	virtio_balloon_set(rig->device, 0x123000);
	assert_int_equal(fake_read(&rig->function, rig->function.config, 4), 0x123);
	virtio_balloon_set(rig->device, UINT64_MAX);
	assert_int_equal(fake_read(&rig->function, rig->function.config, 4), FAKE_RAM_SIZE / PAGE);

	fake_write(&rig->function, rig->function.config, 4, 0x77); /* read-only for the driver */
	fake_write(&rig->function, rig->function.config + 4, 4, 0x10);
	assert_true(stat_says(rig, "\"target\": 4194304"));
	assert_true(stat_says(rig, "\"actual\": 65536"));

	/* The target stays for the next driver. */
	rig_reset(rig);
	assert_int_equal(fake_read(&rig->function, rig->function.config, 8), FAKE_RAM_SIZE / PAGE);
}

static void stats_are_kept_and_renewed(void **state)
{
	struct rig *rig = *state;
	struct virtio_balloon_stat *told;
	uint64_t address = rig_memory(rig, 3 * sizeof(*told));

	told = rig_at(rig, address);
	told[0] = (struct virtio_balloon_stat){ .tag = VIRTIO_BALLOON_S_MEMFREE, .val = 4096 };
	told[1] = (struct virtio_balloon_stat){ .tag = 999, .val = 1 };
	told[2] = (struct virtio_balloon_stat){ .tag = VIRTIO_BALLOON_S_MAJFLT, .val = 7 };
	fake_descriptor(&rig->queues[STATS], 0, address, 3 * sizeof(*told), 0, 0);
	fake_offer(&rig->queues[STATS], 0);
	fake_notify(&rig->function, STATS);
	assert_true(rig_is_unused(rig, STATS)); /* the device keeps the buffer until statistics are requested */

	assert_true(rig_wait_until(stat_says(rig, "\"free\": 4096")));
	rig_take(rig, STATS, 0); /* the request returned it */
	told[0].val = 8192;
	fake_offer(&rig->queues[STATS], 0);
	fake_notify(&rig->function, STATS);
	assert_true(rig_wait_until(stat_says(rig, "\"free\": 8192")));
	assert_true(stat_says(rig, "\"major_faults\": 7"));

	rig_reset(rig);
	assert_false(stat_says(rig, "\"free\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inflate_frees_exactly_its_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(inflate_frees_host_pages_only_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(deflate_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(reported_memory_is_freed_by_whole_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(reporting_uses_queue_2_without_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(target_is_bounded_and_kept_after_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(stats_are_kept_and_renewed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
