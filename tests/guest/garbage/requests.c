/* SPDX-License-Identifier: MIT */
/* Requests in valid chains with invalid contents. */
#include "garbage/garbage.h"

#define BUFFER 65536u
#define FEATURE_BLOCK_READ_ONLY (1ull << 5)
#define FEATURE_NET_CONTROL (1ull << 17)

/*
 * Disks
 */

/* With `at_end`, sectors are relative to the end of the disk. */
static const struct {
	const char *name;
	uint32_t type;
	bool at_end;
	uint64_t sector;
	uint32_t size;
	uint8_t answer;
} block_requests[] = {
	{ "read at the end", BLOCK_IN, true, 0, SECTOR, BLOCK_ERROR },
	{ "read over the end", BLOCK_IN, true, ~0ull, 2 * SECTOR, BLOCK_ERROR },
	{ "read far beyond the end", BLOCK_IN, false, ~0ull, SECTOR, BLOCK_ERROR },
	{ "read where bytes overflow to 0", BLOCK_IN, false, 1ull << 55, SECTOR, BLOCK_ERROR },
	{ "read where the end overflows", BLOCK_IN, false, ~0ull - 1, 4 * SECTOR, BLOCK_ERROR },
	{ "read of part of a sector", BLOCK_IN, false, 0, SECTOR - 1, BLOCK_ERROR },
	{ "read of the last sector", BLOCK_IN, true, ~0ull, SECTOR, BLOCK_OK },
	{ "write at the end", BLOCK_OUT, true, 0, SECTOR, BLOCK_ERROR },
	{ "write over the end", BLOCK_OUT, true, ~0ull, 2 * SECTOR, BLOCK_ERROR },
	{ "write far beyond the end", BLOCK_OUT, false, ~0ull, SECTOR, BLOCK_ERROR },
	{ "write where bytes overflow to 0", BLOCK_OUT, false, 1ull << 55, SECTOR, BLOCK_ERROR },
	{ "write of part of a sector", BLOCK_OUT, false, 0, SECTOR + 1, BLOCK_ERROR },
	{ "unknown type", 99, false, 0, SECTOR, BLOCK_UNSUPPORTED },
	{ "type of all ones", ~0u, false, ~0ull, SECTOR, BLOCK_UNSUPPORTED },
	{ "SCSI command", 2, false, 0, SECTOR, BLOCK_UNSUPPORTED },
	{ "identity, cut short", BLOCK_ID, false, 0, 5, BLOCK_OK },
	{ "identity, too much room", BLOCK_ID, false, 0, 4096, BLOCK_OK },
	{ "discard of nothing", BLOCK_DISCARD, false, 0, 0, BLOCK_ERROR },
	{ "discard of half a segment", BLOCK_DISCARD, false, 0, 15, BLOCK_ERROR },
	{ "discard of too many segments", BLOCK_DISCARD, false, 0, BUFFER, BLOCK_ERROR },
	{ "zeroes with too many segments", BLOCK_ZEROES, false, 0, BUFFER, BLOCK_ERROR },
};

struct segment {
	uint64_t sector;
	uint32_t sectors, flags;
};

static const struct {
	const char *name;
	uint32_t type;
	bool at_end;
	struct segment segment;
	uint8_t answer;
} segments[] = {
	{ "discard beyond the end", BLOCK_DISCARD, true, { 0, 1, 0 }, BLOCK_ERROR },
	{ "discard over the end", BLOCK_DISCARD, true, { ~0ull, 2, 0 }, BLOCK_ERROR },
	{ "discard of 2^32 - 1 sectors", BLOCK_DISCARD, false, { 0, ~0u, 0 }, BLOCK_ERROR },
	{ "discard that overflows", BLOCK_DISCARD, false, { ~0ull, 2, 0 }, BLOCK_ERROR },
	{ "discard with unknown flags", BLOCK_DISCARD, false, { 0, 1, 6 }, BLOCK_UNSUPPORTED },
	{ "zeroes beyond the end", BLOCK_ZEROES, true, { 0, 1, 1 }, BLOCK_ERROR },
	{ "zeroes where bytes overflow", BLOCK_ZEROES, false, { 1ull << 55, 1, 0 }, BLOCK_ERROR },
	{ "zeroes with unknown flags", BLOCK_ZEROES, false, { 0, 1, 0x80000000 }, BLOCK_UNSUPPORTED },
	{ "zeroes over 2^32 - 1 sectors", BLOCK_ZEROES, false, { 0, ~0u, 0 }, BLOCK_ERROR },
};

static void check_block_requests(struct virtio *device)
{
	struct queue queue;
	uint64_t capacity;
	uint8_t *data;

	scratch_reset();
	/* Discard and write zeroes may be unsupported unless negotiated, so accept all that is offered. */
	CHECK(virtio_run(device, device->offered & ~(FEATURE_INDIRECT | FEATURE_EVENT_INDEX), &queue, 1),
	      "the disk does not start");
	capacity = block_capacity(device);
	data = scratch(BUFFER, 4096);
	for (unsigned i = 0; i < COUNT(block_requests); i++) {
		uint64_t sector = block_requests[i].sector + (block_requests[i].at_end ? capacity : 0);
		uint8_t answer =
			block_request(&queue, block_requests[i].type, sector, data, block_requests[i].size);

		CHECK(answer == block_requests[i].answer, "%s: status %u, not %u", block_requests[i].name,
		      answer, block_requests[i].answer);
	}
	for (unsigned i = 0; i < COUNT(segments); i++) {
		struct segment *segment = (struct segment *)data;
		uint8_t answer;

		*segment = segments[i].segment;
		if (segments[i].at_end)
			segment->sector += capacity;
		answer = block_request(&queue, segments[i].type, 0, segment, sizeof(*segment));
		CHECK(answer == segments[i].answer, "%s: status %u, not %u", segments[i].name, answer,
		      segments[i].answer);
	}
	CHECK(!(virtio_status(device) & STATUS_NEEDS_RESET),
	      "the disk needs a reset after requests it may refuse");
}

/* Submits chain 0 and returns its status byte. */
static uint8_t submit(struct queue *queue, const volatile uint8_t *status)
{
	queue_submit(queue, 0);
	return queue_wait(queue, 2000) ? *status : (uint8_t)BLOCK_NO_ANSWER;
}

/* A driver may divide a request anywhere (2.7.4.2). This tests many divisions. */
static void check_block_layout(struct virtio *device)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	static uint8_t data[SECTOR + 1], whole[SECTOR];
	struct queue queue;
	uint16_t last;

	scratch_reset();
	CHECK(virtio_run(device, 0, &queue, 1), "the disk does not start");
	CHECK(block_request(&queue, BLOCK_IN, 1, whole, SECTOR) == BLOCK_OK, "plain read");
	header.sector = 1;
	data[SECTOR] = BLOCK_NO_ANSWER;
	for (last = 0; last < 16; last++)
		queue_describe(&queue, last, (uint64_t)&header + last, 1, DESCRIPTOR_NEXT, last + 1);
	for (uint32_t done = 0; done < SECTOR; last++) {
		/* The last piece includes the status byte. */
		uint32_t piece = done + 37 < SECTOR ? 37 : SECTOR + 1 - done;

		queue_describe(&queue, last, (uint64_t)data + done, piece, DESCRIPTOR_NEXT | DESCRIPTOR_WRITE,
			       (uint16_t)(last + 1));
		done += piece;
	}
	queue.descriptors[last - 1].flags = DESCRIPTOR_WRITE;
	CHECK(submit(&queue, &data[SECTOR]) == BLOCK_OK, "a read in small pieces: status %u", data[SECTOR]);
	CHECK(!memcmp(data, whole, SECTOR), "a read in small pieces gives other bytes");

	/* A header that is too short, and a missing header. */
	data[0] = BLOCK_NO_ANSWER;
	queue_describe(&queue, 0, (uint64_t)&header, 15, DESCRIPTOR_NEXT, 1);
	queue_describe(&queue, 1, (uint64_t)data, 1, DESCRIPTOR_WRITE, 0);
	CHECK(submit(&queue, data) != BLOCK_OK, "a header of 15 bytes is good enough");
	virtio_run(device, 0, &queue, 1);
	data[0] = BLOCK_NO_ANSWER;
	queue_describe(&queue, 0, (uint64_t)data, 1, DESCRIPTOR_WRITE, 0);
	CHECK(submit(&queue, data) != BLOCK_OK, "no header is good enough");

	/* There is no room for the status. */
	virtio_run(device, 0, &queue, 1);
	queue_describe(&queue, 0, (uint64_t)&header, 16, 0, 0);
	queue_submit(&queue, 0);
	CHECK(virtio_wait_broken(device), "a request without room for a status is not noticed");
}

/*
 * Other devices: with any contents of the buffers they do no damage. No result is expected.
 */

/* Runs all queues, and submits chains of one readable and one writable buffer with these contents. */
static void feed(struct garbage *garbage, struct virtio *device, uint64_t features,
		 void (*fill)(struct random *random, uint8_t *data, uint32_t size))
{
	struct random *random = &garbage->random;
	static struct queue queues[16];
	unsigned count = device->queues < COUNT(queues) ? device->queues : COUNT(queues);
	uint8_t *data;

	scratch_reset();
	if (!virtio_run(device, device->offered & features, queues, count))
		fail("%s does not start", virtio_name(device));
	data = scratch(BUFFER, 4096);
	for (uint64_t round = 0; round < garbage->rounds; round++) {
		struct queue *queue = &queues[random_below(random, count)];
		uint16_t head = (uint16_t)random_below(random, queue->size / 2u) * 2;
		uint32_t out = (uint32_t)random_below(random, random_below(random, 16) ? 80 : BUFFER);
		uint32_t in = (uint32_t)random_below(random, 80);

		if (device->type == VIRTIO_CONSOLE)
			out %= 8; /* a person may read it */
		fill(random, data, out < 256 ? out : 256);
		queue_describe(queue, head, (uint64_t)data, out, DESCRIPTOR_NEXT, head + 1);
		queue_describe(queue, head + 1, (uint64_t)data, in, DESCRIPTOR_WRITE, 0);
		queue->available->flags = (uint16_t)random_below(random, 2);
		queue_submit(queue, head);
		if (round % 4 == 0 && (virtio_status(device) & STATUS_NEEDS_RESET) &&
		    !virtio_run(device, device->offered & features, queues, count))
			fail("%s does not start again", virtio_name(device));
		if (round % 32 == 0) {
			scratch_reset();
			virtio_run(device, device->offered & features, queues, count);
			data = scratch(BUFFER, 4096);
		}
	}
	virtio_reset(device);
}

static void fill_words(struct random *random, uint8_t *data, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)(random_below(random, 3) ? random_below(random, 9) : random_next(random));
}

static void fill_text(struct random *random, uint8_t *data, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		data[i] = random_below(random, 2) ? ' ' : '.';
}

/*
 * Page numbers outside of this program: below RAM, above it,
 * half of its last page, and in the scratch memory.
 */
static void fill_pages(struct random *random, uint8_t *data, uint32_t size)
{
	const uint32_t pages[] = {
		0,
		~0u,
		0x7fffffff,
		(BOARD_RAM >> 12) - 1,
		(uint32_t)((BOARD_RAM + ram_size) >> 12),
		BOARD_UART >> 12,
		1u << 28,
		(uint32_t)((uint64_t)data >> 12) + 64,
	};

	for (uint32_t i = 0; i + 4 <= size; i += 4)
		*(uint32_t *)(data + i) = pages[random_below(random, COUNT(pages))];
}

void case_requests(struct garbage *garbage)
{
	const uint64_t all = ~(FEATURE_EVENT_INDEX | FEATURE_BLOCK_READ_ONLY);

	for (unsigned i = 0; i < garbage->count; i++) {
		struct virtio *device = &garbage->devices[i];

		switch (device->type) {
		case VIRTIO_BLOCK:
			if (device == garbage->block) {
				check_block_requests(device);
				check_block_layout(device);
			}
			break;
		case VIRTIO_CONSOLE:
			feed(garbage, device, all, fill_text);
			break;
		case VIRTIO_BALLOON:
			feed(garbage, device, all, fill_pages);
			break;
		case VIRTIO_NET:
			feed(garbage, device, all & ~FEATURE_NET_CONTROL, fill_words);
			feed(garbage, device, all, fill_words);
			break;
		case VIRTIO_ENTROPY:
		case VIRTIO_INPUT:
			feed(garbage, device, all, fill_words);
			break;
		}
	}
}
