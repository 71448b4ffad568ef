/* SPDX-License-Identifier: MIT */
/*
 * Configuration space and BARs: sizes, moves, overlaps and disables them, while the other vCPU accesses their registers.
 */
#include "garbage/garbage.h"

static struct garbage *under_attack;

/* The second vCPU: accesses registers at their initial addresses, where now there may be anything. */
static void hammer(void)
{
	struct random *random = &second_random;

	while (!second_must_stop()) {
		const struct virtio *device =
			&under_attack->devices[random_below(random, under_attack->count)];
		uint64_t where[] = {
			device->common + (random_below(random, COMMON_SIZE) & ~3ull),
			device->isr,
			device->doorbells,
			device->config ? device->config : device->isr,
			device->function.table,
			device->function.pending,
		};
		uint64_t address = where[random_below(random, COUNT(where))];

		if (address)
			probe(random_below(random, PROBE_DESCRIBED), address,
			      random_next(random) & 0xfbfbfbfbfbfbfbfb);
	}
}

/* Returns the BAR that has the device's registers. */
static unsigned register_bar(const struct virtio *device)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &device->function.bars[i];

		if (bar->size && device->common - bar->address < bar->size)
			return i;
	}
	fail("%s has no registers", virtio_name(device));
}

static bool answers(const struct virtio *device)
{
	return read16(device->common + COMMON_QUEUES) == device->queues;
}

static void move(struct virtio *device, uint64_t address)
{
	pci_move_bar(&device->function, register_bar(device), address);
	virtio_locate(device);
}

static void check_moves(struct virtio *device, struct virtio *other)
{
	const uint64_t free = BOARD_PCI32 + BOARD_PCI32_SIZE / 2;
	uint64_t home = device->function.bars[register_bar(device)].address;
	uint64_t common = device->common;
	const char *name = virtio_name(device);
	uint32_t *word;

	pci_command(&device->function, 0);
	CHECK(read16(common + COMMON_QUEUES) == 0xffff, "%s answers with memory disabled", name);
	pci_command(&device->function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(answers(device), "%s does not answer with memory enabled again", name);

	move(device, free);
	CHECK(answers(device), "%s does not answer where it was moved", name);
	CHECK(read16(common + COMMON_QUEUES) == 0xffff, "%s answers where it was moved from", name);

	/*
	 * A BAR does not hide RAM or the UART, and is not mapped
	 * outside of the bridge's windows.
	 */
	word = scratch(0x10000, 0x10000);
	*word = 0x600d;
	move(device, (uint64_t)word);
	CHECK(*(volatile uint32_t *)word == 0x600d, "a BAR hides RAM");
	move(device, BOARD_UART);
	CHECK(read8(BOARD_UART + 5) & 0x20, "a BAR hides the UART");
	move(device, BOARD_GICD - 0x10000);
	move(device, 0);
	CHECK(read16(device->common + COMMON_QUEUES) == 0xffff, "%s answers at 0", name);
	move(device, home);
	CHECK(answers(device), "%s does not answer at home", name);

	if (!other)
		return;
	/* Two BARs at one address, and then apart again: both work as before. */
	move(device, other->function.bars[register_bar(other)].address);
	CHECK(answers(other), "%s lost its place to %s", virtio_name(other), name);
	move(device, home);
	CHECK(answers(device) && answers(other), "two BARs do not come apart");

	/* The BARs exchange their addresses, so that both are at one address in between. */
	uint64_t others_home = other->function.bars[register_bar(other)].address;

	move(device, others_home);
	move(other, home);
	CHECK(answers(device) && answers(other), "%s and %s cannot change places", name, virtio_name(other));
	move(other, others_home);
	move(device, home);
	CHECK(answers(device) && answers(other), "%s and %s cannot change back", name, virtio_name(other));
}

/* Makes one write to a function's configuration, plausible or not. */
static void disturb(struct garbage *garbage)
{
	struct random *random = &garbage->random;
	const struct virtio *device = &garbage->devices[random_below(random, garbage->count)];
	const struct virtio *other = &garbage->devices[random_below(random, garbage->count)];
	uint64_t config = device->function.config;
	unsigned bar = (unsigned)random_below(random, PCI_BARS);

	switch (random_below(random, 6)) {
	case 0: /* sizing, without disabling decoding */
		write32(config + PCI_BAR0 + 4 * bar, ~0u);
		break;
	case 1:
		write32(config + PCI_BAR0 + 4 * bar, (uint32_t)random_awkward(random));
		break;
	case 2:
		write64(config + PCI_BAR0 + 4 * (bar & ~1u),
			some_address(random, (void *)BOARD_PCI32, 0x200000));
		break;
	case 3: /* to the address of another one */
		write32(config + PCI_BAR0 + 4 * bar,
			(uint32_t)other->function.bars[random_below(random, PCI_BARS)].address);
		break;
	case 4:
		write16(config + PCI_COMMAND, (uint16_t)random_next(random));
		break;
	default:
		probe(PROBE_WRITE8 + random_below(random, 4), config + random_below(random, 4096),
		      random_awkward(random));
	}
}

void case_bars(struct garbage *garbage)
{
	if (!garbage->count)
		return;
	for (unsigned i = 0; i < garbage->count; i++) {
		struct virtio *other =
			garbage->count > 1 ? &garbage->devices[(i + 1) % garbage->count] : NULL;

		scratch_reset();
		check_moves(&garbage->devices[i], other);
	}
	under_attack = garbage;
	second_start(hammer);
	for (uint64_t i = 0; i < garbage->rounds * 5; i++)
		disturb(garbage);
	second_wait();
}
