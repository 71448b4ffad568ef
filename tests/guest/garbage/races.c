/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs use one device. One makes requests while the other resets the device, or rewrites the rings.
 */
#include "garbage/garbage.h"

#define BUFFER 4096u

static struct virtio *victim;
static struct queue queue;
static uint8_t *buffer;

static void reset_now_and_then(void)
{
	while (!second_must_stop()) {
		delay_microseconds((unsigned)random_below(&second_random, 300));
		write8(victim->common + COMMON_STATUS, 0);
	}
}

/* Changes the rings as fast as possible, without barriers and doorbells. */
static void rewrite_rings(void)
{
	struct random *random = &second_random;

	while (!second_must_stop()) {
		volatile struct descriptor *descriptor = &queue.descriptors[random_below(random, queue.size)];

		switch (random_below(random, 8)) {
		case 0:
			descriptor->address = (uint64_t)buffer + random_below(random, BUFFER - 600);
			break;
		case 1:
			descriptor->address = some_address(random, buffer, BUFFER - 600);
			break;
		case 2:
			descriptor->length = (uint32_t)random_below(random, 600);
			break;
		case 3:
			descriptor->length = random_below(random, 8) ? 1 : 0xffffffff;
			break;
		case 4:
			descriptor->flags = (uint16_t)random_below(random, 4);
			break;
		case 5:
			descriptor->next =
				(uint16_t)random_below(random, queue.size + (random_below(random, 32) == 0));
			break;
		case 6:
			*(volatile uint16_t *)&queue.available->heads[random_below(random, queue.size)] =
				(uint16_t)random_below(random, queue.size + (random_below(random, 32) == 0));
			break;
		default:
			*(volatile uint16_t *)&queue.available->index += (uint16_t)random_below(random, 3);
		}
	}
}

/* Allocates the buffer before the rings, so that its address stays the same when they are allocated again. */
static void make_buffer(void)
{
	scratch_reset();
	buffer = scratch(BUFFER, BUFFER);
	memset(buffer, victim->type == VIRTIO_BLOCK ? 0 : ' ', BUFFER);
}

static bool start(uint64_t features)
{
	make_buffer();
	if (!virtio_negotiate(victim, features) || !queue_prepare(victim, &queue, served_queue(victim)))
		return false;
	queue_enable(&queue);
	virtio_start(victim);
	return true;
}

/* A reset may come between any two of these steps, so each of them may fail. */
static void work_while_reset(struct garbage *garbage)
{
	second_start(reset_now_and_then);
	for (uint64_t round = 0; round < garbage->rounds / 4; round++) {
		static const uint8_t steps[] = {
			STATUS_ACKNOWLEDGE,
			STATUS_DRIVER,
			STATUS_FEATURES_OK,
			STATUS_DRIVER_OK,
		};
		uint8_t status = 0;

		make_buffer();
		for (unsigned i = 0; i < COUNT(steps); i++) {
			if (steps[i] == STATUS_FEATURES_OK) {
				write32(victim->common + COMMON_DRIVER_FEATURE_SELECT, 1);
				write32(victim->common + COMMON_DRIVER_FEATURE, FEATURE_VERSION_1 >> 32);
			}
			if (steps[i] == STATUS_DRIVER_OK &&
			    queue_prepare(victim, &queue, served_queue(victim)))
				queue_enable(&queue);
			status |= steps[i];
			write8(victim->common + COMMON_STATUS, status);
		}
		for (uint16_t i = 0; i < 8; i++) {
			queue_describe(&queue, (uint16_t)(2 * i), (uint64_t)buffer, 16, DESCRIPTOR_NEXT,
				       (uint16_t)(2 * i + 1));
			queue_describe(&queue, (uint16_t)(2 * i + 1), (uint64_t)buffer + 16, 513,
				       DESCRIPTOR_WRITE, 0);
			queue_submit(&queue, (uint16_t)(2 * i));
		}
	}
	second_wait();
	virtio_reset(victim);
}

static void work_while_rewritten(struct garbage *garbage)
{
	uint64_t features = FEATURE_INDIRECT | FEATURE_EVENT_INDEX;

	for (uint64_t round = 0; round < garbage->rounds / 100 + 1; round++) {
		if (!start(random_next(&garbage->random) & features) || !second_start(rewrite_rings))
			return;
		for (unsigned i = 0; i < 30 && !(virtio_status(victim) & STATUS_NEEDS_RESET); i++)
			queue_ring(&queue);
		second_wait();
	}
	virtio_reset(victim);
}

void case_races(struct garbage *garbage)
{
	for (unsigned i = 0; i < garbage->count; i++) {
		victim = &garbage->devices[i];
		CHECK(start(0), "%s does not start", virtio_name(victim));
		/* Needs the other vCPU. */
		work_while_reset(garbage);
		work_while_rewritten(garbage);
	}
}
