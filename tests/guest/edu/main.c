/* SPDX-License-Identifier: MIT */
/*
 * Drives QEMU's edu device (docs/specs/edu.rst in QEMU) as a passed-through device: registers, DMA, MSI, its line, and garbage.
 * Parameters: cases=NAME,... (all), count=N interrupts of a case, boots=N, linger=N milliseconds with interrupts enabled,
 * storm=N interrupts of the case storm, rounds=N of the case rounds. id=0xDDDDVVVV selects another device, which only the case
 * config-garbage supports.
 */
#define PROGRAM "edu"
#include "lib/check.h"
#include "lib/gic.h"
#include "lib/parameters.h"
#include "lib/pci.h"

#define EDU_ID 0x00u
#define EDU_INVERT 0x04u
#define EDU_RAISE 0x60u
#define EDU_ACKNOWLEDGE 0x64u
#define EDU_DMA_FROM 0x80u
#define EDU_DMA_TO 0x88u
#define EDU_DMA_COUNT 0x90u
#define EDU_DMA_COMMAND 0x98u
#define EDU_DMA_RUN 1u
#define EDU_DMA_TO_RAM 2u
#define EDU_DMA_RAISE 4u
#define EDU_BUFFER 0x40000u
#define EDU_BUFFER_SIZE 2048u /* half of the real size, as QEMU 7.2 exits if all of it is used */

#define EDU 0x11e81234u
#define PCI_ROM 0x30u
#define PCI_CAPABILITY_MSI 0x05u
#define MSI_FLAGS 2u
#define MSI_ADDRESS 4u
#define MSI_DATA 12u /* with a 64-bit address */

#define PATIENCE 2000u /* milliseconds */

static struct pci_function edu;
static uint64_t registers;
static uint32_t first_lpi;
static unsigned count;

static void message(uint32_t event, bool enable)
{
	uint64_t capability = edu.config + pci_capability(&edu, PCI_CAPABILITY_MSI, 0);

	write32(capability + MSI_ADDRESS, (uint32_t)GITS_TRANSLATER);
	write32(capability + MSI_ADDRESS + 4, (uint32_t)(GITS_TRANSLATER >> 32));
	write16(capability + MSI_DATA, (uint16_t)event);
	write16(capability + MSI_FLAGS, (uint16_t)((read16(capability + MSI_FLAGS) & ~1u) | enable));
}

static void raise(uint32_t value)
{
	write32(registers + EDU_RAISE, value);
}

static void acknowledge(void)
{
	write32(registers + EDU_ACKNOWLEDGE, ~0u);
}

static void case_registers(void)
{
	CHECK(read32(registers + EDU_ID) == 0x010000ed, "it is no edu", read32(registers + EDU_ID), 0);
	for (unsigned i = 0; i < count; i++) {
		write32(registers + EDU_INVERT, i);
		CHECK(read32(registers + EDU_INVERT) == ~i, "it does not invert", i, read32(registers + EDU_INVERT));
	}
}

static void case_rom(void)
{
	const uint64_t place = BOARD_PCI32 + 0x2000000;

	write32(edu.config + PCI_ROM, ~1u);
	CHECK(read32(edu.config + PCI_ROM) == ~0x7ffu, "the size of its ROM", read32(edu.config + PCI_ROM), 0);
	write32(edu.config + PCI_ROM, (uint32_t)place | 1);
	CHECK(read16(place) == 0xaa55, "its ROM", read16(place), 0);
	CHECK(read32(place + 0x1c) == 0x52494350, "its ROM's header", read32(place + 0x1c), 0);
	probe(PROBE_WRITE64, place, 0);
	CHECK(read16(place) == 0xaa55, "its ROM was written", read16(place), 0);
	write32(edu.config + PCI_ROM, 0);
}

static void copy(uint64_t from, uint64_t to, uint32_t size, uint32_t direction)
{
	uint64_t end = milliseconds() + PATIENCE;

	barrier();
	write64(registers + EDU_DMA_FROM, from);
	write64(registers + EDU_DMA_TO, to);
	write64(registers + EDU_DMA_COUNT, size);
	write64(registers + EDU_DMA_COMMAND, EDU_DMA_RUN | direction);
	while (read64(registers + EDU_DMA_COMMAND) & EDU_DMA_RUN)
		CHECK(milliseconds() < end, "DMA does not end", from, to);
	barrier();
}

static void case_dma(void)
{
	uint32_t *memory = scratch(EDU_BUFFER_SIZE, 4096), *back = scratch(EDU_BUFFER_SIZE, 4096);

	for (unsigned i = 0; i < EDU_BUFFER_SIZE / 4; i++)
		memory[i] = i * 0x01010101u;
	copy((uint64_t)memory, EDU_BUFFER, EDU_BUFFER_SIZE, 0);
	copy(EDU_BUFFER, (uint64_t)back, EDU_BUFFER_SIZE, EDU_DMA_TO_RAM);
	CHECK(!memcmp(memory, back, EDU_BUFFER_SIZE), "what came back is other", back[1], back[511]);
	/* Outside of RAM the IOMMU blocks the DMA, and the device still works. */
	copy(EDU_BUFFER, BOARD_UART, 16, EDU_DMA_TO_RAM);
	copy(EDU_BUFFER, BOARD_RAM + ram_size, 16, EDU_DMA_TO_RAM);
	case_registers();
	scratch_reset();
}

/* Raises one interrupt at a time, and expects each exactly once. */
static void signal_all(uint32_t event, const char *what)
{
	for (unsigned i = 0; i < count; i++) {
		raise(1);
		CHECK(interrupt_wait(first_lpi + event, PATIENCE), what, i, event);
		acknowledge();
	}
	CHECK(!interrupt_wait(first_lpi + event, 50), "one interrupt too many", event, 0);
}

static void case_msi(void)
{
	message(3, true);
	signal_all(3, "no MSI");
	if (parameter_number("linger", 0)) {
		print("edu: %u MSIs\n", count);
		delay_microseconds((unsigned)parameter_number("linger", 0) * 1000);
	}
	message(3, false);
	while (interrupt_take() != NO_INTERRUPT)
		;
}

/* Measures an interrupt from the write that raises it to its end, while the vCPU runs. */
static void case_rounds(void)
{
	unsigned rounds = (unsigned)parameter_number("rounds", 100);
	uint64_t began = 0;

	message(6, true);
	for (unsigned i = 0; i < 2 * rounds; i++) {
		if (i == rounds) /* the first rounds only warm up */
			began = nanoseconds();
		raise(1);
		CHECK(interrupt_wait(first_lpi + 6, PATIENCE), "no MSI in rounds", i, 0);
		acknowledge();
	}
	print("edu: %u rounds took %lu ns\n", rounds, nanoseconds() - began);
	message(6, false);
}

/* KVM does not update the hardware when a route changes, so lkvm must do it. */
static void case_route(void)
{
	for (uint32_t event = 1; event < 5; event++) {
		message(event, true);
		interrupt_wait(NO_INTERRUPT - 1, 50); /* an additional signal, which lkvm sends in case KVM lost one */
		signal_all(event, "no MSI by the new route");
	}
	message(0, false);
}

/*
 * The host detaches and attaches the irqfd repeatedly. Each raised interrupt arrives. lkvm sends an additional signal in case
 * KVM lost one.
 */
static void case_storm(void)
{
	unsigned storm = (unsigned)parameter_number("storm", 100), more = 0;
	struct random random;

	random_seed(&random, parameter_number("seed", 1));
	message(5, true);
	for (unsigned i = 0; i < storm; i++) {
		while (interrupt_take() == first_lpi + 5)
			more++;
		raise(1);
		delay_microseconds((unsigned)random_below(&random, 1000)); /* pending, sometimes in hardware */
		CHECK(interrupt_wait(first_lpi + 5, PATIENCE), "an MSI is lost", i, more);
		acknowledge();
	}
	while (interrupt_wait(first_lpi + 5, 50))
		more++;
	print("edu: %u MSIs, and %u more\n", storm, more);
	message(5, false);
}

/* An interrupt that is pending at a save, in hardware as a vLPI or in KVM, arrives after the save and after a restore. */
static void case_pending(void)
{
	unsigned came = 0;
	uint64_t end;

	message(6, true);
	raise(1);
	CHECK(its_command(ITS_INT | (uint64_t)edu.slot << 35, 7, 0, 0), "no ITS", 0, 0);
	print("edu: two are pending\n");
	delay_microseconds((unsigned)parameter_number("linger", 0) * 1000);
	for (end = milliseconds() + PATIENCE; came != 3 && milliseconds() < end;) {
		uint32_t interrupt = interrupt_take();

		came |= (interrupt == first_lpi + 6) | (interrupt == first_lpi + 7) << 1;
	}
	CHECK(came == 3, "what was pending is lost", came, 0);
	acknowledge();
	message(6, false);
}

/* The line is high until the device's interrupt is acknowledged. `again`: ends it once before that, so that it comes again. */
static void drive_line(unsigned times, bool again)
{
	uint32_t line = line_on(edu.slot);

	for (unsigned i = 0; i < times; i++) {
		raise(2);
		CHECK(interrupt_hold(line, PATIENCE), "no interrupt by the line", i, 0);
		CHECK(read16(edu.config + PCI_STATUS) & 8, "its status does not tell", i, read16(edu.config + PCI_STATUS));
		if (again) {
			icc_write(ICC_EOIR1, line);
			CHECK(interrupt_hold(line, PATIENCE), "the line went low by itself", i, 0);
		}
		acknowledge();
		barrier();
		icc_write(ICC_EOIR1, line);
	}
	/* After a repeated interrupt, KVM of Linux 7.2 may need some time to lower the line. */
	for (uint64_t end = milliseconds() + 5 * PATIENCE; interrupt_wait(line, 50);)
		CHECK(again && milliseconds() < end, "the line stays high", line, 0);
	line_off(line);
}

static void case_line(void)
{
	drive_line(count, false);
}

static void case_line_again(void)
{
	drive_line(10, true);
}

static void case_alternately(void)
{
	for (unsigned i = 0; i < 8; i++) {
		case_line();
		case_msi();
	}
}

/* Writes garbage to config space. Afterwards the device still has its ids. */
static void case_config_garbage(void)
{
	static const enum probe_kind writes[] = { PROBE_WRITE8, PROBE_WRITE16, PROBE_WRITE32, PROBE_WRITE64 };
	static const enum probe_kind reads[] = { PROBE_READ8, PROBE_READ16, PROBE_READ32, PROBE_READ64 };
	uint32_t before = read32(edu.config);
	struct random random;

	random_seed(&random, parameter_number("seed", 1));
	for (unsigned i = 0; i < 20 * count; i++) {
		uint64_t offset = random_below(&random, 2) ? random_below(&random, 256) : random_below(&random, 4096);
		unsigned size = (unsigned)random_below(&random, 4);

		probe(writes[size], edu.config + (offset & ~((1ul << size) - 1)), random_awkward(&random));
		probe(reads[size], edu.config + (offset & ~((1ul << size) - 1)), 0);
		if (i % 8 == 0)
			probe(reads[size], registers + random_below(&random, edu.bars[0].size / 8) * 8, 0);
	}
	CHECK(read32(edu.config) == before, "it is another device now", read32(edu.config), before);
}

static void case_bars_move(void)
{
	uint64_t home = edu.bars[0].address;
	struct random random;

	random_seed(&random, parameter_number("seed", 1) + 1);
	for (unsigned i = 0; i < count; i++) {
		static const uint64_t places[] = {
			BOARD_PCI32 + 0x1000000, BOARD_PCI32 + 0x8000000, BOARD_RAM, BOARD_UART, 0,
		};
		uint64_t place = places[random_below(&random, COUNT(places))];

		pci_move_bar(&edu, 0, place);
		pci_command(&edu, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
		if (place >= BOARD_PCI32 && place < BOARD_RAM)
			CHECK(read32(place + EDU_ID) == 0x010000ed, "it did not move", place, read32(place + EDU_ID));
		if (i % 2)
			pci_command(&edu, PCI_COMMAND_MASTER);
	}
	pci_move_bar(&edu, 0, home);
	pci_command(&edu, PCI_COMMAND_MASTER);
	probe(PROBE_READ32, home, 0);
	pci_command(&edu, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	case_registers();
}

static const struct {
	const char *name;
	void (*run)(void);
	bool needs_its;
} cases[] = {
	{ "registers", case_registers, false },
	{ "rom", case_rom, false },
	{ "dma", case_dma, false },
	{ "msi", case_msi, true },
	{ "rounds", case_rounds, true },
	{ "route", case_route, true },
	{ "storm", case_storm, true },
	{ "pending", case_pending, true },
	{ "line", case_line, false },
	{ "line-again", case_line_again, false },
	{ "alternately", case_alternately, true },
	{ "bars-move", case_bars_move, false },
	{ "config-garbage", case_config_garbage, false },
};

static void open_device(void)
{
	uint32_t id = (uint32_t)parameter_number("id", EDU);
	unsigned slot = 0;

	while (slot < BOARD_SLOTS && !(pci_find(&edu, slot) && read32(edu.config) == id))
		slot++;
	CHECK(slot < BOARD_SLOTS, "there is none", 0, 0);
	pci_command(&edu, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	registers = edu.bars[0].address;
	if (id != EDU)
		return;
	CHECK(edu.bars[0].size == 1u << 20, "the size of its BAR", edu.bars[0].size, 0);
	acknowledge();
	gic_open();
	if (!its_present())
		return;
	first_lpi = FIRST_LPI + 32 * slot;
	CHECK(lpi_open() && its_open() && its_map(slot << 3, first_lpi), "no ITS", slot, 0);
	CHECK(pci_capability(&edu, PCI_CAPABILITY_MSI, 0), "it has no MSI", 0, 0);
}

void guest_main(void)
{
	unsigned boots = (unsigned)parameter_number("boots", 1), ran = 0;
	static unsigned boot KEPT;
	static uint64_t magic KEPT;

	if (magic != 0x65647521) {
		magic = 0x65647521;
		boot = 0;
	}
	boot++;
	count = (unsigned)parameter_number("count", 100);
	open_device();
	for (unsigned i = 0; i < COUNT(cases); i++) {
		if (!parameter_lists("cases", cases[i].name) || (cases[i].needs_its && !its_present()))
			continue;
		cases[i].run();
		print("edu: boot %u: %s\n", boot, cases[i].name);
		ran++;
	}
	print("edu: boot %u: %u cases passed\n", boot, ran);
	/* Interrupts are enabled, and one is pending. */
	if (boot < boots) {
		if (its_present())
			message(1, true);
		raise(1);
		machine_reset(false);
	}
	power_off();
}
