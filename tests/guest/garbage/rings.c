/* SPDX-License-Identifier: MIT */
/* Rings at invalid addresses: the device sets NEEDS_RESET when it is started, and works after a reset. */
#include "garbage/garbage.h"

static void start_with(struct garbage *garbage, struct virtio *device, const char *what, unsigned field,
		       uint64_t address)
{
	struct queue queue;

	if (!picked(garbage, device))
		return;
	scratch_reset();
	CHECK(virtio_negotiate(device, 0) && queue_prepare(device, &queue, served_queue(device)),
	      "%s does not start", virtio_name(device));
	write64(device->common + field, address);
	queue_enable(&queue);
	virtio_start(device);
	queue_ring(&queue);
	CHECK(!notices(garbage, device) || virtio_wait_broken(device), "%s starts with %s at 0x%lx",
	      virtio_name(device), what, address);
}

static void check_rings(struct garbage *garbage, struct virtio *device)
{
	static const struct {
		const char *name;
		unsigned field, alignment;
	} rings[] = {
		{ "descriptors", COMMON_QUEUE_DESCRIPTORS, 16 },
		{ "an available ring", COMMON_QUEUE_DRIVER, 2 },
		{ "a used ring", COMMON_QUEUE_DEVICE, 4 },
	};
	const uint64_t outside[] = {
		0,
		BOARD_UART,
		BOARD_GICD,
		BOARD_PCI32,
		device->common & ~15ull,
		BOARD_RAM - 16,
		BOARD_RAM + ram_size - 16,
		BOARD_RAM + ram_size,
		BOARD_RAM + ram_size + (1ull << 32),
		1ull << 48,
		1ull << 63,
		~15ull,
	};

	for (unsigned ring = 0; ring < COUNT(rings); ring++) {
		for (unsigned i = 0; i < COUNT(outside); i++)
			start_with(garbage, device, rings[ring].name, rings[ring].field, outside[i]);
		for (unsigned step = 1; step < rings[ring].alignment; step *= 2)
			start_with(garbage, device, "a misaligned ring", rings[ring].field,
				   (uint64_t)scratch(4096, 4096) + step);
	}
}

/*
 * All rings at one address, so the device overwrites what it reads. It may break, but must work after a reset.
 */
static void overlap(struct garbage *garbage, struct virtio *device)
{
	struct random *random = &garbage->random;

	for (uint64_t round = 0; round < garbage->rounds / 20 + 1; round++) {
		struct queue queue;
		uint8_t *memory;

		scratch_reset();
		CHECK(virtio_negotiate(device,
				       random_next(random) & (FEATURE_INDIRECT | FEATURE_EVENT_INDEX)) &&
			      queue_prepare(device, &queue, served_queue(device)),
		      "%s does not start", virtio_name(device));
		memory = scratch(8192, 4096);
		/*
		 * A disk gets the header of a read. Others get bytes
		 * that are harmless as text and as page numbers.
		 */
		memset(memory + 4096, device->type == VIRTIO_BLOCK ? 0 : ' ', 4096);
		for (unsigned i = 0; i < 512; i += 16) {
			struct descriptor *descriptor = (struct descriptor *)(memory + i);

			descriptor->address = (uint64_t)memory + 4096 + random_below(random, 2048);
			descriptor->length = (uint32_t)random_below(random, 1024);
			descriptor->flags = (uint16_t)random_below(random, 4);
			descriptor->next = (uint16_t)random_below(random, 32);
		}
		for (unsigned i = 0; i < 3; i++)
			write64(device->common + COMMON_QUEUE_DESCRIPTORS + 8 * i,
				(uint64_t)memory + 16 * random_below(random, 8));
		queue_enable(&queue);
		virtio_start(device);
		for (unsigned i = 0; i < 4; i++) {
			queue_ring(&queue);
			delay_microseconds(50);
		}
	}
	virtio_reset(device);
}

void case_rings(struct garbage *garbage)
{
	for (unsigned i = 0; i < garbage->count; i++) {
		check_rings(garbage, &garbage->devices[i]);
		overlap(garbage, &garbage->devices[i]);
	}
}
