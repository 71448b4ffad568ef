/* SPDX-License-Identifier: MIT */
/* verify_queues(): sizes, rings, indices, vectors and negotiation of virtqueues, with one fault each. */
#include "test.h"

#include "util/bits.h"
#include "verify_rig.h"

#define RINGS RIG_RINGS(1)

/* Returns a rig, and the queue of the second device, which a test changes. */
static struct inspection_rig *make(struct virtqueue_state **queue)
{
	struct inspection_rig *rig = rig_new();

	*queue = &rig->queues[1];
	return rig;
}

static void expect(struct inspection_rig *rig, const char *part)
{
	rig_expect(rig, verify_queues, "virtio-blk1/queue0", part);
}

static void verify_queues_accepts_sound_queues(void **state)
{
	struct virtqueue_state *queue;
	struct inspection_rig *rig = make(&queue);

	(void)state;
	rig_expect_good(rig, verify_queues);

	/* The driver is ready, but has enabled no queue. */
	rig = make(&queue);
	*queue = (struct virtqueue_state){ .maximum = 256, .size = 256, .vector = 0xffff };
	rig_expect_good(rig, verify_queues);

	/* The driver has not set DRIVER_OK, so the indices are not checked. */
	rig = make(&queue);
	rig->virtio[1].status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	queue->next_used = queue->next_available = 0;
	rig_expect_good(rig, verify_queues);

	/* The device needs a reset, which bad rings may have caused. */
	rig = make(&queue);
	rig->virtio[1].status |= VIRTIO_STATUS_NEEDS_RESET;
	queue->driver = RIG_END;
	rig_expect_good(rig, verify_queues);
}

static void verify_queues_reports_bad_sizes(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 127, 512, 0x8000, 0xffff };
	struct virtqueue_state *queue;
	struct inspection_rig *rig;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		rig = make(&queue);
		queue->size = sizes[i];
		expect(rig, "queue size is not a power of two within the maximum");
	}
	rig = make(&queue);
	queue->size = 1;
	queue->next_used = (uint16_t)(queue->next_available - 1);
	rig_put16(rig, RINGS + RIG_DRIVER + 2, (uint16_t)(queue->next_available + 1));
	rig_put16(rig, RINGS + RIG_DEVICE + 2, queue->next_used);
	rig_expect_good(rig, verify_queues);
}

static void verify_queues_reports_misplaced_rings(void **state)
{
	struct virtqueue_state *queue;
	struct inspection_rig *rig = make(&queue);

	(void)state;
	queue->descriptors += 8;
	expect(rig, "a ring is misaligned");
	rig = make(&queue);
	queue->driver += 1;
	expect(rig, "a ring is misaligned");
	rig = make(&queue);
	queue->device += 2;
	expect(rig, "a ring is misaligned");

	/* One element is outside of RAM. Rings that end with RAM fit. */
	rig = make(&queue);
	queue->descriptors = RIG_END - 16 * 128 + 16;
	expect(rig, "the descriptor ring at 0x800ff810 (2048 bytes) is not completely in RAM; a restore refuses it");
	rig = make(&queue);
	queue->descriptors = RIG_END - 16 * 128;
	rig_expect_good(rig, verify_queues);
	rig = make(&queue);
	queue->driver = RIG_END - 6 - 2 * 128 + 2;
	expect(rig, "the available ring at 0x800ffefc (262 bytes) is not completely in RAM");
	rig = make(&queue);
	queue->device = (RIG_END - 6 - 8 * 128 + 4) & ~3ull;
	expect(rig, "the used ring at 0x800ffbfc (1030 bytes) is not completely in RAM");
	rig = make(&queue);
	queue->device = UINT64_MAX & ~3ull;
	expect(rig, "the used ring");

	/* Before DRIVER_OK, the device refuses to start later. */
	rig = make(&queue);
	rig->virtio[1].status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	queue->descriptors = 0;
	expect(rig, "not completely in RAM; the device would refuse to start");
}

static void verify_queues_reports_bad_indices(void **state)
{
	struct virtqueue_state *queue;
	struct inspection_rig *rig = make(&queue);

	(void)state;
	/* 0xfffe + 128: the queue is full. Then one more request. */
	rig_put16(rig, RINGS + RIG_DRIVER + 2, 126);
	rig_expect_good(rig, verify_queues);
	rig = make(&queue);
	rig_put16(rig, RINGS + RIG_DRIVER + 2, 127);
	expect(rig, "the available index at 0x80091002 is 127, 129 ahead of the device's 65534, in a queue of 128");
	rig = make(&queue);
	rig_put16(rig, RINGS + RIG_DEVICE + 2, 0xfffd);
	expect(rig, "the used index at 0x80092002 is 65533, but the device's 65532");
	rig = make(&queue);
	queue->next_used = (uint16_t)(queue->next_available - 129);
	rig_put16(rig, RINGS + RIG_DEVICE + 2, queue->next_used);
	expect(rig, "the device took requests up to 65534 and returned those up to 65405");
}

static void verify_queues_reports_missing_vectors(void **state)
{
	struct virtqueue_state *queue;
	struct inspection_rig *rig = make(&queue);

	(void)state;
	queue->vector = RIG_VECTORS;
	expect(rig, "has MSI-X vector 3 of 3; a restore refuses it");
	rig = make(&queue);
	queue->vector = 0xffff;
	rig_expect_good(rig, verify_queues);
	rig = rig_new();
	rig->virtio[0].config_vector = 0x8000;
	rig_expect(rig, verify_queues, "virtio-blk0", "the configuration has MSI-X vector 32768 of 3");

	/* Without MSI-X there is no vector; a ring of capabilities has no MSI-X either. */
	rig = make(&queue);
	rig->pci[1].config[PCI_STATUS] = 0;
	rig->virtio[1].config_vector = 0xffff;
	expect(rig, "has MSI-X vector 1 of 0");
	rig = make(&queue);
	rig->pci[1].config[RIG_MSIX] = PCI_CAP_ID_VNDR;
	rig->pci[1].config[RIG_MSIX + 1] = RIG_MSIX;
	rig->virtio[1].config_vector = 0xffff;
	expect(rig, "has MSI-X vector 1 of 0");
}

static void verify_queues_reports_bad_negotiation(void **state)
{
	struct virtqueue_state *queue;
	struct inspection_rig *rig = make(&queue);

	(void)state;
	rig->virtio[1].accepted |= VIRTIO_FEATURE_EVENT_INDEX;
	rig_expect(rig, verify_queues, "virtio-blk1", "accepted features 0x120000000 of 0x110000000; a restore refuses it");
	rig = make(&queue);
	rig->virtio[1].accepted = VIRTIO_FEATURE_INDIRECT;
	rig_expect(rig, verify_queues, "virtio-blk1", "accepted features");
	rig = make(&queue);
	rig->virtio[1].accepted = 0;
	rig->virtio[1].status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	rig_expect_good(rig, verify_queues);
	rig = make(&queue);
	queue->enabled = 2;
	expect(rig, "enabled is 2");
}

static void verify_queues_reports_missing_sections(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->leave = "virtio-blk1/queue0";
	rig_expect(rig, verify_queues, "virtio-blk1/queue0", "missing");
	rig = rig_new();
	rig->leave = "virtio-blk1";
	assert_true(rig_verify(rig, verify_queues) > 0);
	assert_string_equal(rig->place, "virtio-blk1");
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_queues_accepts_sound_queues),
		cmocka_unit_test(verify_queues_reports_bad_sizes),
		cmocka_unit_test(verify_queues_reports_misplaced_rings),
		cmocka_unit_test(verify_queues_reports_bad_indices),
		cmocka_unit_test(verify_queues_reports_missing_vectors),
		cmocka_unit_test(verify_queues_reports_bad_negotiation),
		cmocka_unit_test(verify_queues_reports_missing_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
