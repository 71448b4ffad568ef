/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller, which KVM emulates. No access by a guest may end the VMM or make it hang.
 */
#include "garbage/garbage.h"

#define LPI (FIRST_LPI + 64)

/* Writes anywhere in the distributor, the redistributors and the ITS, in the sizes that they accept. */
static void disturb(struct random *random)
{
	static const struct {
		uint64_t base, size;
	} frames[] = {
		{ BOARD_GICD, 0x1000 },
		{ BOARD_GICD + 0x6000, 0x1000 },
		{ BOARD_GICR, 0x100 },
		{ GICR_SGI, 0x1000 },
		{ BOARD_GICR + BOARD_GICR_STRIDE, 0x100 },
		{ BOARD_ITS, 0x200 },
		{ BOARD_ITS + 0x10000, 0x100 },
	};
	unsigned frame = (unsigned)random_below(random, COUNT(frames));
	uint64_t address = frames[frame].base + (random_below(random, frames[frame].size) & ~3ull);

	if (random_below(random, 4))
		probe(random_below(random, 3) ? PROBE_WRITE32 : PROBE_WRITE64, address,
		      random_awkward(random));
	else
		probe(PROBE_READ8 + random_below(random, 4), address, 0);
}

static void hammer(void)
{
	while (!second_must_stop())
		disturb(&second_random);
}

void case_gic(struct garbage *garbage)
{
	second_start(hammer);
	for (uint64_t i = 0; i < garbage->rounds * 10; i++)
		disturb(&garbage->random);
	second_wait();
	gic_open();
}

/* Enables and disables its own redistributor and the ITS, while the other vCPU sends commands. */
static void switch_on_and_off(void)
{
	struct random *random = &second_random;

	while (!second_must_stop()) {
		switch (random_below(random, 8)) {
		case 0:
			write32(GITS_CTLR, (uint32_t)random_below(random, 2));
			break;
		case 1:
			write32(BOARD_GICR + BOARD_GICR_STRIDE, (uint32_t)random_below(random, 2));
			break;
		case 2:
			write64(GITS_CBASER, read64(GITS_CBASER) ^ random_below(random, 2) << 63);
			break;
		case 3:
			write64(GITS_BASER(random_below(random, 2)),
				random_next(random) & random_next(random));
			break;
		case 4:
			write64(GITS_CWRITER, random_below(random, 128) * 32);
			break;
		default:
			delay_microseconds(100);
			write32(GITS_CTLR, 1);
		}
	}
}

/* Sends a valid command, whose fields are mostly small enough to be valid, too. */
static void command(struct random *random)
{
	static const uint8_t opcodes[] = {
		ITS_MOVI, ITS_INT, ITS_CLEAR,  ITS_SYNC,   ITS_MAPD,    ITS_MAPC, ITS_MAPTI,
		ITS_MAPI, ITS_INV, ITS_INVALL, ITS_MOVALL, ITS_DISCARD, 0,        0xff,
	};
	uint64_t device = random_below(random, 16) ? random_below(random, 8) << 3 : random_awkward(random);
	uint64_t event = random_below(random, 16) ? random_below(random, 40) : random_awkward(random);
	uint64_t lpi =
		random_below(random, 16) ? FIRST_LPI - 1 + random_below(random, 200) : random_awkward(random);
	uint64_t table =
		some_address(random, (void *)(BOARD_RAM + ram_size / 2), 0x10000) & 0xfffffffffff00ull;
	uint64_t valid = random_below(random, 3) ? 1ull << 63 : 0;
	uint64_t opcode = opcodes[random_below(random, COUNT(opcodes))];
	uint64_t second = opcode == ITS_MAPD ? random_below(random, 32) : (lpi << 32 | (event & 0xffffffff));
	uint64_t third = opcode == ITS_MAPD ? valid | table | random_below(random, 32) :
					      valid | random_below(random, 3) << 16 | random_below(random, 3);

	if (random_below(random, 16) == 0)
		third = random_next(random);
	its_post(device << 32 | opcode, second, third, random_below(random, 3) << 16);
}

void case_its(struct garbage *garbage)
{
	struct random *random = &garbage->random;

	if (!its_present())
		return;
	for (unsigned with_second = 0; with_second < 2; with_second++) {
		gic_open();
		CHECK(lpi_open(), "LPIs do not go on");
		CHECK(its_open(), "the ITS does not go on");
		if (with_second)
			second_start(switch_on_and_off);
		for (uint64_t i = 0; i < garbage->rounds * 2; i++) {
			command(random);
			if (random_below(random, 4) == 0)
				write32(GITS_TRANSLATER, (uint32_t)random_below(random, 64));
			if (random_below(random, 8) == 0)
				interrupt_take();
		}
		second_wait();
	}
	gic_open();
	CHECK(lpi_open(), "LPIs do not go on again");
	CHECK(its_open(), "the ITS does not go on again");
	if (!garbage->entropy || !garbage->entropy->function.vectors)
		return;
	CHECK(its_map(garbage->entropy->function.slot << 3, LPI), "the ITS takes no mappings");
	check_message(garbage, "after");
}
