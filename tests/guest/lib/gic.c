/* SPDX-License-Identifier: MIT */
/* Programs GICv3 and ITS. Arm GIC architecture (IHI 0069), chapters 4, 5 and 12. */
#include "lib/gic.h"

#define VALID (1ull << 63)
#define CACHEABLE (7ull << 59) /* inner, of GITS_CBASER and GITS_BASER<n> */
#define SHAREABLE (1ull << 10)
#define PAGE_64K (2ull << 8)
#define LPI_BITS 16u
#define EVENT_BITS 5u
#define COMMANDS (4096u / 32u)
#define GICR_LPIS_ON 1u

/*
 * The last two are the LPIs' configuration bytes and pending
 * bits. Static, as the GIC may access them at any time.
 */
static uint8_t device_table[65536] __attribute__((aligned(65536)));
static uint8_t collection_table[65536] __attribute__((aligned(65536)));
static uint64_t commands[COMMANDS][4] __attribute__((aligned(65536)));
static uint8_t configuration[65536] __attribute__((aligned(65536)));
static uint8_t pending[65536] __attribute__((aligned(65536)));
static uint8_t translations[BOARD_SLOTS][1u << EVENT_BITS][8] __attribute__((aligned(256)));

void gic_open(void)
{
	icc_write(ICC_SRE, 7);
	for (uint64_t word = 0; word < BOARD_INTERRUPTS / 32; word++) {
		uint64_t base = word ? BOARD_GICD + 4 * word : GICR_SGI;

		write32(base + 0x180, ~0u); /* ICENABLER */
		write32(base + 0x280, ~0u); /* ICPENDR */
		write32(base + 0x380, ~0u); /* ICACTIVER */
		write32(base + 0x80, ~0u);  /* IGROUPR: all in group 1 */
	}
	write32(GICD_CTLR, 0x12); /* EnableGrp1, ARE */
	icc_write(ICC_CTLR, 0);
	icc_write(ICC_BPR1, 0);
	icc_write(ICC_PMR, 0xff);
	icc_write(ICC_IGRPEN1, 1);
	for (unsigned i = 0; i < BOARD_INTERRUPTS && interrupt_take() != NO_INTERRUPT; i++)
		;
}

bool lpi_open(void)
{
	uint64_t end = milliseconds() + 1000;

	memset(configuration, 0xa1, sizeof(configuration)); /* enabled, priority 0xa0 */
	memset(pending, 0, sizeof(pending));
	barrier();
	write32(GICR_CTLR, 0);
	while ((read32(GICR_CTLR) & GICR_LPIS_ON) && milliseconds() < end)
		;
	write64(GICR_PROPBASER, (uint64_t)configuration | SHAREABLE | 7ull << 7 | (LPI_BITS - 1));
	write64(GICR_PENDBASER, (uint64_t)pending | SHAREABLE | 7ull << 7);
	write32(GICR_CTLR, GICR_LPIS_ON);
	return read32(GICR_CTLR) & GICR_LPIS_ON;
}

bool its_present(void)
{
	/* PIDR2 has the architecture's version. Without an ITS it reads as all ones. */
	return probe(PROBE_READ32, BOARD_ITS + 0xffe8, 0) >> 4 == 3;
}

void its_post(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t slot = read64(GITS_CWRITER) / sizeof(commands[0]) % COMMANDS;
	uint64_t *command = commands[slot];

	command[0] = a;
	command[1] = b;
	command[2] = c;
	command[3] = d;
	barrier();
	write64(GITS_CWRITER, (slot + 1) % COMMANDS * sizeof(commands[0]));
}

bool its_command(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t end = milliseconds() + 1000;

	its_post(a, b, c, d);
	while (read64(GITS_CREADR) != read64(GITS_CWRITER))
		if (milliseconds() > end)
			return false;
	return true;
}

bool its_open(void)
{
	write32(GITS_CTLR, 0);
	for (unsigned i = 0; i < 2; i++)
		write64(GITS_BASER(i), 0); /* the ITS drops its mappings */
	memset(device_table, 0, sizeof(device_table));
	memset(collection_table, 0, sizeof(collection_table));
	memset(translations, 0, sizeof(translations));
	barrier();
	write64(GITS_BASER(0), VALID | CACHEABLE | (uint64_t)device_table | SHAREABLE | PAGE_64K);
	write64(GITS_BASER(1), VALID | CACHEABLE | (uint64_t)collection_table | SHAREABLE | PAGE_64K);
	write64(GITS_CBASER, VALID | CACHEABLE | (uint64_t)commands | SHAREABLE);
	write64(GITS_CWRITER, 0);
	write32(GITS_CTLR, 1);
	return (read32(GITS_CTLR) & 1) && its_command(ITS_MAPC, 0, VALID, 0) &&
	       its_command(ITS_SYNC, 0, 0, 0);
}

bool its_map(uint32_t device, uint32_t first_lpi)
{
	uint64_t table = (uint64_t)translations[device >> 3 & (BOARD_SLOTS - 1)];

	if (!its_command((uint64_t)device << 32 | ITS_MAPD, EVENT_BITS - 1, VALID | table, 0))
		return false;
	for (uint32_t event = 0; event < 1u << EVENT_BITS; event++)
		if (!its_command((uint64_t)device << 32 | ITS_MAPTI,
				 (uint64_t)(first_lpi + event) << 32 | event, 0, 0))
			return false;
	return its_command(ITS_INVALL, 0, 0, 0) && its_command(ITS_SYNC, 0, 0, 0);
}

uint32_t interrupt_take(void)
{
	uint32_t interrupt = (uint32_t)icc_read(ICC_IAR1);

	barrier();
	if (interrupt < 1020 || interrupt >= FIRST_LPI)
		icc_write(ICC_EOIR1, interrupt);
	return interrupt;
}

bool interrupt_wait(uint32_t interrupt, unsigned limit)
{
	uint64_t end = milliseconds() + limit;

	do {
		if (interrupt_take() == interrupt)
			return true;
	} while (milliseconds() < end);
	return false;
}

bool interrupt_hold(uint32_t interrupt, unsigned limit)
{
	uint64_t end = milliseconds() + limit;
	uint32_t taken;

	while ((taken = (uint32_t)icc_read(ICC_IAR1)) != interrupt) {
		if (taken != NO_INTERRUPT)
			icc_write(ICC_EOIR1, taken);
		if (milliseconds() >= end)
			return false;
	}
	barrier();
	return true;
}

uint32_t line_on(unsigned slot)
{
	uint32_t line = 32 + 32 + slot;
	uint64_t kinds = BOARD_GICD + 0xc00 + 4 * (line / 16);

	write32(kinds, read32(kinds) & ~(2u << 2 * (line % 16)));
	write32(BOARD_GICD + 0x100 + 4 * (line / 32), 1u << line % 32);
	return line;
}

void line_off(uint32_t line)
{
	write32(BOARD_GICD + 0x180 + 4 * (line / 32), 1u << line % 32);
}
