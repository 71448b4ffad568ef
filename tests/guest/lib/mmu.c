/* SPDX-License-Identifier: MIT */
/* Builds the page tables: RAM as normal memory, all else as Device memory. */
#include "lib/mmu.h"

#include "lib/board.h"
#include "lib/parameters.h"
#include "lib/runtime.h"

#define ENTRIES 512u
#define BLOCK_SHIFT 30 /* a block of level 1 */
#define TABLE_SHIFT 39 /* what a table of level 1 covers */

/*
 * Descriptors (Arm ARM, D8.3): bits 1:0 of a table and of
 * a block; access flag, inner shareable, attribute index.
 */
#define TABLE 3ull
#define BLOCK 1ull
#define ACCESSED (1ull << 10)
#define SHAREABLE (3ull << 8)
#define NORMAL (0ull << 2)
#define DEVICE (1ull << 2)

uint64_t mmu_root[ENTRIES] __attribute__((aligned(4096)));
static uint64_t tables[8][ENTRIES] __attribute__((aligned(4096)));
static unsigned used;

static bool is_ram(uint64_t address)
{
	uint64_t block = 1ull << BLOCK_SHIFT;

	return address + block > BOARD_RAM && address < BOARD_RAM + ram_size;
}

void mmu_map(uint64_t address)
{
	uint64_t index = address >> TABLE_SHIFT;

	if (index >= ENTRIES || mmu_root[index] || used == COUNT(tables))
		return;
	for (uint64_t i = 0; i < ENTRIES; i++) {
		uint64_t block = (index << TABLE_SHIFT) + (i << BLOCK_SHIFT);

		tables[used][i] = block | BLOCK | ACCESSED | SHAREABLE | (is_ram(block) ? NORMAL : DEVICE);
	}
	barrier();
	mmu_root[index] = (uint64_t)tables[used] | TABLE;
	used++;
	barrier();
	__asm__ volatile("isb");
}

void mmu_build(void)
{
	mmu_map(0);
	mmu_map(1ull << TABLE_SHIFT);
}
