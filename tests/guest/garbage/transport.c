/* SPDX-License-Identifier: MIT */
/*
 * The registers of a virtio device: negotiation out of order, queues that do not exist, and any value in any field.
 */
#include "garbage/garbage.h"

/* Offsets in the PCI configuration access capability. */
enum { ACCESS_BAR = 4, ACCESS_OFFSET = 8, ACCESS_LENGTH = 12, ACCESS_DATA = 16 };

static void check_negotiation(struct virtio *device)
{
	const char *name = virtio_name(device);

	for (unsigned bit = 0; bit < 64; bit++)
		if (!(device->offered >> bit & 1))
			CHECK(!virtio_negotiate(device, 1ull << bit),
			      "%s takes feature %u, which it does not offer", name, bit);

	/* Without VERSION_1; the driver continues without FEATURES_OK. */
	virtio_reset(device);
	write8(device->common + COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write8(device->common + COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	CHECK(!(virtio_status(device) & STATUS_FEATURES_OK), "%s does without VERSION_1", name);
	write8(device->common + COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
	CHECK(virtio_wait_broken(device), "%s starts without FEATURES_OK", name);
	virtio_start(device);
	CHECK(virtio_status(device) & STATUS_NEEDS_RESET, "%s forgets that it needs a reset", name);

	/* Only a reset clears a status bit, and features are fixed after FEATURES_OK. */
	CHECK(virtio_negotiate(device, 0), "%s does not negotiate again", name);
	write32(device->common + COMMON_DRIVER_FEATURE_SELECT, 0);
	write32(device->common + COMMON_DRIVER_FEATURE, ~0u);
	write32(device->common + COMMON_DEVICE_FEATURE_SELECT, 7);
	CHECK(read32(device->common + COMMON_DEVICE_FEATURE) == 0, "%s has features beyond 64", name);
	virtio_start(device);
	CHECK(!(virtio_status(device) & STATUS_NEEDS_RESET), "%s took features after FEATURES_OK", name);
}

static void check_queues(struct virtio *device)
{
	static const uint16_t sizes[] = { 0, 3, 5, 0x7fff, 0x8000, 0xffff };
	uint64_t common = device->common;
	const char *name = virtio_name(device);
	struct queue queue;
	uint16_t maximum;

	CHECK(virtio_negotiate(device, 0), "%s refuses VERSION_1 alone", name);
	for (uint32_t none = device->queues; none < 0x10000; none = none < 100 ? none + 1 : none + 4099) {
		queue_select(device, (uint16_t)none);
		CHECK(!read16(common + COMMON_QUEUE_SIZE), "%s has a queue %u of %u", name, none,
		      device->queues);
		write16(common + COMMON_QUEUE_ENABLE, 1);
		write64(common + COMMON_QUEUE_DESCRIPTORS, ~0ull);
		CHECK(!read16(common + COMMON_QUEUE_ENABLE), "%s enables queue %u", name, none);
	}

	scratch_reset();
	CHECK(queue_prepare(device, &queue, 0), "%s has no queue", name);
	maximum = queue.size;
	for (unsigned i = 0; i < COUNT(sizes); i++) {
		uint16_t size;

		write16(common + COMMON_QUEUE_SIZE, sizes[i]);
		size = read16(common + COMMON_QUEUE_SIZE);
		CHECK(size && !(size & (size - 1)), "%s takes a queue of %u", name, size);
	}
	write16(common + COMMON_QUEUE_SIZE, maximum);

	/* An enabled queue is fixed. */
	queue_enable(&queue);
	write16(common + COMMON_QUEUE_SIZE, 2);
	write64(common + COMMON_QUEUE_DESCRIPTORS, ~0ull);
	write64(common + COMMON_QUEUE_DRIVER, 1);
	write64(common + COMMON_QUEUE_DEVICE, BOARD_GICD);
	write16(common + COMMON_QUEUE_ENABLE, 0);
	CHECK(read16(common + COMMON_QUEUE_SIZE) == maximum && read16(common + COMMON_QUEUE_ENABLE) == 1 &&
		      read64(common + COMMON_QUEUE_DESCRIPTORS) == (uint64_t)queue.descriptors &&
		      read64(common + COMMON_QUEUE_DEVICE) == (uint64_t)queue.used,
	      "%s changes an enabled queue", name);
	virtio_start(device);
	write64(common + COMMON_QUEUE_DRIVER, 1);
	CHECK(read64(common + COMMON_QUEUE_DRIVER) == (uint64_t)queue.available, "%s changes a running queue",
	      name);
	CHECK(!(virtio_status(device) & STATUS_NEEDS_RESET), "%s breaks by being reprogrammed", name);

	/* Doorbells of queues that do not exist, in invalid sizes. */
	for (uint64_t offset = 0; offset < 0x1000; offset += 61)
		for (enum probe_kind kind = PROBE_READ8; kind <= PROBE_WRITE64; kind++)
			probe(kind, device->doorbells + offset, offset * 0x10001);
	CHECK(!(virtio_status(device) & STATUS_NEEDS_RESET), "%s breaks by a doorbell without news", name);
}

/* The capability that accesses registers through configuration space, without a BAR (4.1.4.9). */
static void check_access(struct garbage *garbage, struct virtio *device)
{
	struct random *random = &garbage->random;
	uint64_t capability = device->function.config + device->access;
	const struct pci_bar *bars = device->function.bars;
	unsigned bar = 0;

	CHECK(device->access, "%s has no PCI configuration access", virtio_name(device));
	virtio_reset(device);
	while (device->common - bars[bar].address >= bars[bar].size)
		bar++;
	write8(capability + ACCESS_BAR, (uint8_t)bar);
	write32(capability + ACCESS_OFFSET, (uint32_t)(device->common - bars[bar].address) + COMMON_QUEUES);
	write32(capability + ACCESS_LENGTH, 2);
	CHECK(read16(capability + ACCESS_DATA) == device->queues, "%s: configuration access says 0x%x",
	      virtio_name(device), read16(capability + ACCESS_DATA));
	for (uint64_t i = 0; i < garbage->rounds / 2; i++) {
		if (random_below(random, 2))
			write8(capability + ACCESS_BAR, (uint8_t)random_below(random, 8));
		write32(capability + ACCESS_OFFSET, (uint32_t)random_awkward(random));
		write32(capability + ACCESS_LENGTH, (uint32_t)random_below(random, 9));
		probe(random_below(random, PROBE_DESCRIBED),
		      capability + ACCESS_DATA + random_below(random, 6) - 2,
		      random_next(random) & 0xfbfbfbfbfbfbfbfb);
	}
}

/* Writes any value to any field, in any order. Only the rings have harmless addresses. */
static void disturb(struct random *random, struct virtio *device, uint8_t *memory, uint64_t size)
{
	static const uint8_t fields[] = {
		COMMON_DEVICE_FEATURE_SELECT, COMMON_DRIVER_FEATURE_SELECT, COMMON_DRIVER_FEATURE,
		COMMON_CONFIG_VECTOR,         COMMON_QUEUE_SELECT,          COMMON_QUEUE_SIZE,
		COMMON_QUEUE_VECTOR,          COMMON_QUEUE_ENABLE,          COMMON_GENERATION,
		COMMON_QUEUE_NOTIFY,
	};
	uint64_t common = device->common;

	switch (random_below(random, 8)) {
	case 0:
		write8(common + COMMON_STATUS, (uint8_t)(1u << random_below(random, 8)));
		break;
	case 1:
		write8(common + COMMON_STATUS, (uint8_t)(random_next(random) | STATUS_DRIVER));
		break;
	case 2:
		queue_select(device, (uint16_t)random_below(random, device->queues));
		write16(common + COMMON_QUEUE_ENABLE, 1);
		break;
	case 3:
		write64(common + COMMON_QUEUE_DESCRIPTORS + 8 * random_below(random, 3),
			some_address(random, memory, size) & ~(random_below(random, 16) ? 15ull : 0));
		break;
	case 4:
		write32(device->doorbells +
				device->doorbell_stride * random_below(random, device->queues + 1),
			(uint32_t)random_awkward(random));
		break;
	case 5:
		if (device->config)
			probe(random_below(random, PROBE_DESCRIBED),
			      device->config + random_below(random, device->config_size + 8),
			      random_awkward(random));
		break;
	case 6:
		if (random_below(random, 8) == 0)
			virtio_negotiate(device, random_next(random) & random_next(random));
		break;
	default:
		probe(random_below(random, 2) ? PROBE_WRITE16 : PROBE_WRITE32,
		      common + fields[random_below(random, COUNT(fields))], random_awkward(random));
	}
}

void case_transport(struct garbage *garbage)
{
	uint8_t *memory;

	for (unsigned i = 0; i < garbage->count; i++) {
		struct virtio *device = &garbage->devices[i];

		check_negotiation(device);
		check_queues(device);
		check_access(garbage, device);
		scratch_reset();
		memory = scratch(0x10000, 16);
		virtio_reset(device);
		for (uint64_t round = 0; round < garbage->rounds * 2; round++)
			disturb(&garbage->random, device, memory, 0x10000);
		virtio_reset(device);
	}
}
