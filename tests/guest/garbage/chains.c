/* SPDX-License-Identifier: MIT */
/* Invalid descriptor chains (VIRTIO 1.2, 2.7.4 to 2.7.6), one by one and then at random. */
#include "garbage/garbage.h"

#define BUFFER 4096u

/* A running queue, and memory for buffers and indirect tables. */
struct victim {
	struct queue queue;
	uint8_t *buffer;
	struct descriptor *table;
};

static uint64_t at(const void *memory)
{
	return (uint64_t)memory;
}

static void describe(struct victim *victim, uint16_t number, uint64_t address, uint32_t length,
		     uint16_t flags, uint16_t next)
{
	queue_describe(&victim->queue, number, address, length, flags, next);
}

static void indirect(struct victim *victim, uint64_t address, uint32_t length, uint16_t flags)
{
	describe(victim, 0, address, length, DESCRIPTOR_INDIRECT | flags, 1);
	describe(victim, 1, at(victim->buffer), 16, DESCRIPTOR_WRITE, 0);
}

static void index_ahead(struct victim *victim)
{
	victim->queue.available->index = (uint16_t)(victim->queue.available->index + victim->queue.size + 1);
}

static void index_behind(struct victim *victim)
{
	victim->queue.available->index = (uint16_t)(victim->queue.available->index - 1);
}

static void head_beyond(struct victim *victim)
{
	queue_submit(&victim->queue, victim->queue.size);
}

static void head_far_beyond(struct victim *victim)
{
	queue_submit(&victim->queue, 0xffff);
}

static void next_beyond(struct victim *victim)
{
	describe(victim, 0, at(victim->buffer), 16, DESCRIPTOR_NEXT, victim->queue.size);
	queue_submit(&victim->queue, 0);
}

static void loop_of_one(struct victim *victim)
{
	describe(victim, 0, at(victim->buffer), 16, DESCRIPTOR_NEXT, 0);
	queue_submit(&victim->queue, 0);
}

static void loop_of_two(struct victim *victim)
{
	describe(victim, 0, at(victim->buffer), 0, DESCRIPTOR_NEXT, 1);
	describe(victim, 1, at(victim->buffer), 0, DESCRIPTOR_NEXT, 0);
	queue_submit(&victim->queue, 0);
}

static void buffer_at(struct victim *victim, uint64_t address, uint32_t length)
{
	describe(victim, 0, address, length, 0, 0);
	queue_submit(&victim->queue, 0);
}

static void buffer_below_ram(struct victim *victim)
{
	buffer_at(victim, BOARD_RAM - 1, 2);
}

static void buffer_beyond_ram(struct victim *victim)
{
	buffer_at(victim, BOARD_RAM + ram_size - 1, 2);
}

static void buffer_that_wraps(struct victim *victim)
{
	buffer_at(victim, ~0ull - 15, 0xffffffff);
}

static void buffer_longer_than_ram(struct victim *victim)
{
	buffer_at(victim, at(victim->buffer), 0xffffffff);
}

static void buffer_in_device(struct victim *victim)
{
	buffer_at(victim, victim->queue.device->common, 16);
}

static void readable_behind_writable(struct victim *victim)
{
	describe(victim, 0, at(victim->buffer), 16, DESCRIPTOR_NEXT | DESCRIPTOR_WRITE, 1);
	describe(victim, 1, at(victim->buffer), 16, 0, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_and_next(struct victim *victim)
{
	indirect(victim, at(victim->table), 32, DESCRIPTOR_NEXT);
	queue_submit(&victim->queue, 0);
}

static void indirect_empty(struct victim *victim)
{
	indirect(victim, at(victim->table), 0, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_odd(struct victim *victim)
{
	indirect(victim, at(victim->table), 31, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_outside(struct victim *victim)
{
	indirect(victim, BOARD_RAM + ram_size - 16, 32, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_huge(struct victim *victim)
{
	indirect(victim, at(victim->table), 0xfffffff0, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_nested(struct victim *victim)
{
	victim->table[0] = (struct descriptor){ at(victim->table), 32, DESCRIPTOR_INDIRECT, 0 };
	indirect(victim, at(victim->table), 32, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_loop(struct victim *victim)
{
	victim->table[0] = (struct descriptor){ at(victim->buffer), 1, DESCRIPTOR_NEXT, 1 };
	victim->table[1] = (struct descriptor){ at(victim->buffer), 1, DESCRIPTOR_NEXT, 0 };
	indirect(victim, at(victim->table), 32, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_next_beyond(struct victim *victim)
{
	victim->table[0] = (struct descriptor){ at(victim->buffer), 1, DESCRIPTOR_NEXT, 2 };
	indirect(victim, at(victim->table), 32, 0);
	queue_submit(&victim->queue, 0);
}

static void indirect_too_long(struct victim *victim)
{
	for (unsigned i = 0; i < 2 * BUFFER / 16; i++)
		victim->table[i] =
			(struct descriptor){ at(victim->buffer), 0, DESCRIPTOR_NEXT, (uint16_t)(i + 1) };
	indirect(victim, at(victim->table), 2 * BUFFER, 0);
	queue_submit(&victim->queue, 0);
}

static const struct {
	const char *name;
	void (*make)(struct victim *victim);
} mistakes[] = {
	{ "an index too far ahead", index_ahead },
	{ "an index that goes back", index_behind },
	{ "a head just out of range", head_beyond },
	{ "a head far out of range", head_far_beyond },
	{ "a next out of range", next_beyond },
	{ "a loop of one", loop_of_one },
	{ "a loop of two, all empty", loop_of_two },
	{ "a buffer that starts below RAM", buffer_below_ram },
	{ "a buffer that ends beyond RAM", buffer_beyond_ram },
	{ "a buffer that wraps", buffer_that_wraps },
	{ "a buffer longer than RAM", buffer_longer_than_ram },
	{ "a buffer in a device", buffer_in_device },
	{ "a readable buffer behind a writable one", readable_behind_writable },
	{ "an indirect descriptor with a next", indirect_and_next },
	{ "an empty indirect table", indirect_empty },
	{ "half a descriptor in an indirect table", indirect_odd },
	{ "an indirect table outside RAM", indirect_outside },
	{ "an indirect table longer than RAM", indirect_huge },
	{ "an indirect table in an indirect table", indirect_nested },
	{ "a loop in an indirect table", indirect_loop },
	{ "a next out of range in an indirect table", indirect_next_beyond },
	{ "an indirect table longer than a chain may be", indirect_too_long },
};

static void start(struct virtio *device, struct victim *victim, uint64_t features)
{
	scratch_reset();
	CHECK(virtio_negotiate(device, features) &&
		      queue_prepare(device, &victim->queue, served_queue(device)),
	      "%s does not start", virtio_name(device));
	queue_enable(&victim->queue);
	virtio_start(device);
	victim->buffer = scratch(BUFFER, BUFFER);
	victim->table = scratch(2 * BUFFER, BUFFER);
	memset(victim->buffer, device->type == VIRTIO_BLOCK ? 0 : ' ', BUFFER);
}

static void check_mistakes(struct garbage *garbage, struct virtio *device)
{
	struct victim victim;

	for (unsigned i = 0; i < COUNT(mistakes); i++) {
		if (!picked(garbage, device))
			continue;
		start(device, &victim, FEATURE_INDIRECT);
		mistakes[i].make(&victim);
		queue_ring(&victim.queue);
		CHECK(!notices(garbage, device) || virtio_wait_broken(device), "%s does not notice %s",
		      virtio_name(device), mistakes[i].name);
	}
	if (!notices(garbage, device))
		return;

	/* Using a feature that was not negotiated is an error, too. */
	start(device, &victim, 0);
	victim.table[0] = (struct descriptor){ at(victim.buffer), 16, DESCRIPTOR_WRITE, 0 };
	indirect(&victim, at(victim.table), 16, 0);
	queue_submit(&victim.queue, 0);
	CHECK(virtio_wait_broken(device), "%s takes an indirect table that was not agreed upon",
	      virtio_name(device));

	/* A broken device serves no more requests, and keeps its status. */
	describe(&victim, 0, at(victim.buffer), 16, DESCRIPTOR_WRITE, 0);
	queue_submit(&victim.queue, 0);
	CHECK(!queue_wait(&victim.queue, 20), "%s continues although it needs a reset", virtio_name(device));
	CHECK(virtio_status(device) & STATUS_NEEDS_RESET, "%s forgets that it needs a reset",
	      virtio_name(device));
}

/*
 * Chains of random descriptors. Buffers are in victim->buffer,
 * outside of RAM, and sometimes in the rings.
 */
static void scribble(struct random *random, struct virtio *device, struct victim *victim,
		     struct descriptor *table, unsigned count)
{
	struct descriptor *descriptor = &table[random_below(random, count)];
	bool dangerous = device->type == VIRTIO_BALLOON || device->type == VIRTIO_CONSOLE;
	uint64_t spread = random_below(random, 8) || dangerous ? BUFFER : 4 * BUFFER;

	descriptor->address = random_below(random, 8) ? at(victim->buffer) + random_below(random, spread) :
							some_address(random, victim->buffer, BUFFER);
	descriptor->length =
		(uint32_t)(random_below(random, 8) ? random_below(random, spread == BUFFER ? 600 : 5000) :
						     random_awkward(random) & 0x80000fff);
	descriptor->flags =
		(uint16_t)(random_below(random, 4) ? random_below(random, 4) : random_next(random));
	descriptor->next =
		(uint16_t)(random_below(random, 16) ? random_below(random, count) : random_next(random));
	if (descriptor->flags & DESCRIPTOR_INDIRECT && random_below(random, 4)) {
		descriptor->address = at(victim->table);
		descriptor->length = 16 * (uint32_t)random_below(random, 64);
	}
}

static void storm(struct garbage *garbage, struct virtio *device)
{
	struct random *random = &garbage->random;
	struct victim victim;

	start(device, &victim, FEATURE_INDIRECT);
	for (uint64_t round = 0; round < garbage->rounds; round++) {
		struct available_ring *available = victim.queue.available;

		if (virtio_status(device) & STATUS_NEEDS_RESET)
			start(device, &victim,
			      random_next(random) & (FEATURE_INDIRECT | FEATURE_EVENT_INDEX));
		for (unsigned i = 0; i < 6; i++)
			scribble(random, device, &victim, victim.queue.descriptors, victim.queue.size);
		for (unsigned i = 0; i < 3; i++)
			scribble(random, device, &victim, victim.table, 64);
		for (unsigned i = 0; i < 4; i++)
			available->heads[random_below(random, victim.queue.size)] =
				(uint16_t)(random_below(random, 64) ?
						   random_below(random, victim.queue.size) :
						   random_next(random));
		available->flags = (uint16_t)random_below(random, 2);
		available->index = (uint16_t)(available->index + random_below(random, 4));
		if (random_below(random, 64) == 0)
			available->index = (uint16_t)random_next(random);
		queue_ring(&victim.queue);
	}
	virtio_reset(device);
}

void case_chains(struct garbage *garbage)
{
	for (unsigned i = 0; i < garbage->count; i++) {
		check_mistakes(garbage, &garbage->devices[i]);
		storm(garbage, &garbage->devices[i]);
	}
}
