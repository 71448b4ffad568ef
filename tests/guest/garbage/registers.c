/* SPDX-License-Identifier: MIT */
/* Every kind of access to all addresses outside of RAM. */
#include "garbage/garbage.h"

struct region {
	uint64_t base, size;
};

static const struct region fixed_regions[] = {
	{ 0, 0x1000 },
	{ BOARD_UART - 8, 0x1010 },
	{ BOARD_RTC, 0x1000 },
	{ BOARD_GPIO, 0x1000 },
	{ BOARD_GICR, 2 * BOARD_GICR_STRIDE },
	{ BOARD_ITS, 0x20000 },
	{ BOARD_GICD, 0x10000 },
	{ BOARD_ECAM, BOARD_ECAM_SIZE },
	{ BOARD_PCI32 - 16, 0x10000 },
	{ BOARD_PCI32 + BOARD_PCI32_SIZE - 0x1000, 0x1000 },
	{ BOARD_RAM - 0x1000, 0xff9 },
	{ 0xfffffff0, 0x20 },
	{ (1ull << 40) - 0x1000, 0x2000 },
};

/*
 * The UART's data register gets only blanks. No virtio device
 * gets DRIVER_OK, as its rings could be anywhere.
 */
static uint64_t harmless(uint64_t address, uint64_t value)
{
	if (address >= BOARD_UART - 8 && address <= BOARD_UART)
		return 0x2020202020202020;
	return value & 0xfbfbfbfbfbfbfbfb;
}

static struct region some_region(struct garbage *garbage)
{
	struct random *random = &garbage->random;

	if (garbage->count && random_below(random, 3) == 0) {
		const struct virtio *device = &garbage->devices[random_below(random, garbage->count)];
		const struct pci_bar *bar = &device->function.bars[random_below(random, PCI_BARS)];

		if (bar->size)
			return (struct region){ bar->address, bar->size };
		return (struct region){ device->function.config, 0x1000 };
	}
	if (random_below(random, 16) == 0)
		return (struct region){ BOARD_RAM + ram_size - 4, 0x100 };
	return fixed_regions[random_below(random, COUNT(fixed_regions))];
}

/* An access that the processor does not describe to the VMM has only one effect: an abort in the guest. */
static void check_undescribed(void)
{
	static const enum probe_kind kinds[] = { PROBE_LDP, PROBE_STP, PROBE_LDR_POST, PROBE_LDR_Q,
						 PROBE_STR_Q };

	for (unsigned i = 0; i < COUNT(kinds); i++) {
		uint64_t before = probe_faults();

		probe(kinds[i], BOARD_RTC, 0);
		CHECK(probe_faults() == before + 1, "undescribed access %u: no abort", kinds[i]);
	}
}

/* Slots without a device, and functions that no device has, read as all ones. */
static void check_empty_slots(struct garbage *garbage)
{
	for (unsigned slot = 0; slot < BOARD_SLOTS; slot++) {
		bool found = false;

		for (unsigned i = 0; i < garbage->count; i++)
			found |= garbage->devices[i].function.slot == slot;
		for (unsigned function = found; function < 8; function++) {
			uint64_t config = pci_config(slot, function);

			CHECK(read32(config) == ~0u, "0x%x in function %u of empty slot %u", read32(config),
			      function, slot);
			write32(config + PCI_COMMAND, ~0u);
			write32(config + PCI_BAR0, ~0u);
		}
	}
}

/* The generation reads as memory does, and writes do not change it. It is not executed, as that may not fault. */
static void check_generation(struct random *random)
{
	uint64_t before = probe_faults(), first = read64(BOARD_GENERATION), second = read64(BOARD_GENERATION + 8);

	probe(PROBE_LDP, BOARD_GENERATION, 0);
	CHECK(probe_faults() == before, "the generation cannot be read in pairs");
	for (enum probe_kind kind = 0; kind < PROBE_EXECUTE; kind++) {
		probe(kind, BOARD_GENERATION, ~first);
		probe(kind, BOARD_GENERATION + random_below(random, BOARD_GENERATION_SIZE), random_awkward(random));
		probe(kind, BOARD_GENERATION + BOARD_GENERATION_SIZE - 4, ~first);
		CHECK(read64(BOARD_GENERATION) == first && read64(BOARD_GENERATION + 8) == second,
		      "access %u changed the generation", kind);
	}
}

void case_registers(struct garbage *garbage)
{
	struct random *random = &garbage->random;

	check_undescribed();
	check_empty_slots(garbage);
	check_generation(random);
	for (uint64_t i = 0; i < garbage->rounds * 10; i++) {
		struct region region = some_region(garbage);
		uint64_t address = region.base + random_below(random, region.size);
		enum probe_kind kind =
			random_below(random, random_below(random, 4) ? PROBE_DESCRIBED : PROBE_KINDS);

		if (random_below(random, 2))
			address &= ~7ull;
		if (address < region.base)
			address = region.base;
		probe(kind, address, harmless(address, random_awkward(random)));
	}
	gic_open();
}
