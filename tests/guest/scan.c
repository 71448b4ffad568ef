/* SPDX-License-Identifier: MIT */
/*
 * Fills memory with a pattern, and then compares it for ever. For each of the first pages that differ, it prints the address
 * and writes a sector of Z to its disk. Both show that the guest continued with lost memory.
 */
#include "lib/runtime.h"
#include "lib/virtio.h"

#define SCANNED 0x88000000ull
#define SCANNED_SIZE (48u << 20)
#define PAGE 4096u
#define REPORTS 3u
#define PAUSE_MICROSECONDS 2000u

static struct virtio devices[VIRTIO_MAX_DEVICES];
static struct queue queue;
static uint8_t sector[SECTOR];

static void fill(void)
{
	for (uint64_t at = SCANNED; at < SCANNED + SCANNED_SIZE; at += sizeof(uint64_t))
		write64(at, at);
}

void guest_main(void)
{
	unsigned count = virtio_find_all(devices), reports = 0;
	struct virtio *disk = virtio_find(devices, count, VIRTIO_BLOCK);
	bool runs = disk && virtio_run(disk, 0, &queue, 1);

	fill();
	memset(sector, 'Z', sizeof(sector));
	print("scan: ready %u\n", runs);
	for (;; delay_microseconds(PAUSE_MICROSECONDS)) {
		for (uint64_t at = SCANNED; at < SCANNED + SCANNED_SIZE; at += PAGE) {
			uint64_t value = read64(at);

			if (value == at || reports == REPORTS)
				continue;
			reports++;
			print("scan: 0x%lx has 0x%lx\n", at, value);
			if (runs)
				print("scan: wrote to the disk: %u\n", block_request(&queue, BLOCK_OUT, 0, sector, SECTOR));
		}
	}
}
