/* SPDX-License-Identifier: MIT */
/*
 * Drives the kernel's mtty (samples/vfio-mdev/mtty.c in Linux), a mediated device. It has one or two 16550s in I/O BARs, which
 * receive what they send, and an interrupt line. Its config space does not show its MSI. Parameters: cases=NAME,... (all),
 * count=N rounds of a case, boots=N, seed=N.
 *
 * For saves and restores: fill=N leaves N bytes (1 to 15) in the FIFO of the first port, and a different value in each
 * register. Then it prints "mtty: filled" and waits for a byte on the console, or for N milliseconds with linger=N. Afterwards
 * all must be unchanged, and an interrupt must arrive: "mtty: N bytes came back". With pending=1 an interrupt is raised before
 * the wait, and must be pending afterwards.
 */
#define PROGRAM "mtty"
#include "lib/check.h"
#include "lib/gic.h"
#include "lib/parameters.h"
#include "lib/pci.h"

#define MTTY 0x32534348u
#define FIFO_SIZE 16u
#define PATIENCE 2000u /* milliseconds */

enum {
	DATA = 0, INTERRUPTS = 1, IDENTITY = 2, FIFO = 2, LINE = 3, MODEM = 4, STATUS = 5, MODEM_STATUS = 6, SCRATCH = 7,
	DIVISOR_LOW = 0, DIVISOR_HIGH = 1, /* while LINE_DIVISOR is set */
};
#define INTERRUPT_RECEIVED 1u
#define IDENTITY_NONE 0xc1u
#define IDENTITY_RECEIVED 0xc4u
#define FIFO_CLEAR 7u /* enables the FIFO, and clears both directions */
#define LINE_DIVISOR 0x80u
#define STATUS_READY 1u
#define STATUS_OVERRUN 2u
#define STATUS_EMPTY 0x60u

static struct pci_function mtty;
static uint64_t ports[2];
static unsigned port_count, count;
static struct random numbers;

static void expect(uint64_t port, unsigned offset, uint8_t value, const char *what)
{
	uint8_t is = read8(port + offset);

	CHECK(is == value, what, is, value);
}

/* Clears a port's FIFO, and disables its interrupts. */
static void quiet(uint64_t port)
{
	write8(port + LINE, 3);
	write8(port + INTERRUPTS, 0);
	write8(port + FIFO, FIFO_CLEAR);
	write8(port + MODEM, 0);
}

static void check_quiet(uint64_t port)
{
	expect(port, STATUS, STATUS_EMPTY, "its status when it is empty");
	expect(port, IDENTITY, IDENTITY_NONE, "its interrupt's identity when there is none");
}

static void case_registers(void)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t port = ports[i % port_count];
		uint8_t value = (uint8_t)random_next(&numbers);

		write8(port + SCRATCH, value);
		expect(port, SCRATCH, value, "its scratch register");
		write8(port + LINE, value & 0x7f);
		expect(port, LINE, value & 0x7f, "its line control");
		write8(port + MODEM, value);
		expect(port, MODEM, value, "its modem control");
		write8(port + LINE, LINE_DIVISOR);
		write8(port + DIVISOR_LOW, value);
		write8(port + DIVISOR_HIGH, (uint8_t)~value);
		expect(port, DIVISOR_LOW, value, "its divisor");
		expect(port, DIVISOR_HIGH, (uint8_t)~value, "its divisor");
		quiet(port);
		check_quiet(port);
		expect(port, MODEM_STATUS, 0xb3, "its modem status");
		expect(port, SCRATCH, value, "its scratch register, later");
	}
}

/* Sends as many bytes as fit and one more, and reads them back. Bytes of one port do not appear in the other. */
static void case_bytes(void)
{
	uint8_t sent[FIFO_SIZE];

	for (unsigned i = 0; i < count; i++) {
		uint64_t port = ports[i % port_count];
		unsigned some = 1 + (unsigned)random_below(&numbers, FIFO_SIZE);

		for (unsigned j = 0; j < some; j++)
			write8(port + DATA, sent[j] = (uint8_t)random_next(&numbers));
		if (some < FIFO_SIZE) {
			expect(port, STATUS, STATUS_READY, "its status with bytes in it");
		} else {
			write8(port + DATA, 0xff);
			CHECK(read8(port + STATUS) & STATUS_OVERRUN, "more bytes fit than may", read8(port + STATUS), i);
		}
		if (port_count == 2)
			check_quiet(ports[!(i % port_count)]);
		/* The device takes a full FIFO for an empty one, as head and tail are equal. */
		for (unsigned j = 0; some < FIFO_SIZE && j < some; j++)
			expect(port, DATA, sent[j], "another byte came back");
		write8(port + FIFO, FIFO_CLEAR);
		write8(port + DATA, 0x55); /* the overrun is cleared, too */
		expect(port, DATA, 0x55, "another byte came back, alone");
		check_quiet(port);
	}
}

/*
 * Sends a byte to an empty FIFO, and expects the interrupt. While the host masks the line, the device raises no interrupt, and
 * raises none later. The host unmasks it some time after the end of the previous interrupt, so this tries again. Returns the
 * number of tries.
 */
static unsigned receive_by_interrupt(uint64_t port, uint32_t line, uint8_t byte)
{
	uint64_t end = milliseconds() + 5 * PATIENCE;
	unsigned tries = 1;

	write8(port + INTERRUPTS, INTERRUPT_RECEIVED);
	write8(port + DATA, byte);
	while (!interrupt_hold(line, 20 * tries)) {
		CHECK(milliseconds() < end, "no interrupt by the line", tries, byte);
		expect(port, DATA, byte, "another byte came back without an interrupt");
		write8(port + DATA, byte);
		tries++;
	}
	expect(port, IDENTITY, IDENTITY_RECEIVED, "its interrupt's identity");
	expect(port, DATA, byte, "another byte came back with an interrupt");
	expect(port, IDENTITY, IDENTITY_NONE, "its interrupt's identity after that");
	write8(port + INTERRUPTS, 0);
	barrier();
	icc_write(ICC_EOIR1, line);
	return tries;
}

static void case_line(void)
{
	uint32_t line = line_on(mtty.slot);
	unsigned tries = 0;

	for (unsigned i = 0; i < count; i++)
		tries += receive_by_interrupt(ports[i % port_count], line, (uint8_t)i);
	CHECK(!interrupt_wait(line, 50), "the line stays high", line, tries);
	print("mtty: %u interrupts, %u bytes for them\n", count, tries);
	line_off(line);
}

/* Disabled interrupts are not raised, and the sent bytes can still be read. */
static void case_line_off(void)
{
	uint32_t line = line_on(mtty.slot);

	write8(ports[0] + DATA, 1);
	CHECK(!interrupt_wait(line, 50), "an interrupt that is off", line, 0);
	expect(ports[0], DATA, 1, "another byte came back");
	line_off(line);
}

static void case_ports_move(void)
{
	uint64_t home = mtty.bars[0].address;

	for (unsigned i = 0; i < count; i++) {
		static const uint64_t places[] = {
			0, 0x2000, BOARD_IO_SIZE - 8, BOARD_IO_SIZE, BOARD_ITS - BOARD_IO, 0xfffffff8,
		};
		uint64_t place = BOARD_IO + places[random_below(&numbers, COUNT(places))];
		uint8_t value = 0x40 | (i & 0x3f); /* neither all zeros nor all ones */

		write8(ports[0] + SCRATCH, value);
		pci_move_bar(&mtty, 0, place);
		if (place < BOARD_IO + BOARD_IO_SIZE) {
			expect(place, SCRATCH, value, "it did not move");
			pci_command(&mtty, PCI_COMMAND_MEMORY);
			CHECK((probe(PROBE_READ8, place + SCRATCH, 0) & 0xff) != value, "its ports are not off", place, i);
		}
		pci_command(&mtty, PCI_COMMAND_IO);
		pci_move_bar(&mtty, 0, home);
		expect(ports[0], SCRATCH, value, "it did not move back");
	}
}

/* Writes garbage to config space and ports, in all sizes. Afterwards the device still works. */
static void case_garbage(void)
{
	static const enum probe_kind writes[] = { PROBE_WRITE8, PROBE_WRITE16, PROBE_WRITE32, PROBE_WRITE64 };
	static const enum probe_kind reads[] = { PROBE_READ8, PROBE_READ16, PROBE_READ32, PROBE_READ64 };

	for (unsigned i = 0; i < 20 * count; i++) {
		uint64_t config = mtty.config + random_below(&numbers, random_below(&numbers, 2) ? 256 : 4096);
		uint64_t port = ports[i % port_count] + random_below(&numbers, 24) - 8;
		unsigned size = (unsigned)random_below(&numbers, 4);

		probe(writes[size], config & ~((1ul << size) - 1), random_awkward(&numbers));
		probe(reads[size], config & ~((1ul << size) - 1), 0);
		pci_move_bar(&mtty, 0, ports[0]);
		if (port_count == 2)
			pci_move_bar(&mtty, 1, ports[1]);
		pci_command(&mtty, PCI_COMMAND_IO);
		probe(writes[size], port, random_awkward(&numbers));
		probe(reads[size], port, 0);
	}
	CHECK(read32(mtty.config) == MTTY, "it is another device now", read32(mtty.config), MTTY);
	for (unsigned i = 0; i < port_count; i++)
		quiet(ports[i]);
	while (interrupt_take() != NO_INTERRUPT)
		;
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "registers", case_registers },
	{ "bytes", case_bytes },
	{ "line", case_line },
	{ "line-off", case_line_off },
	{ "ports-move", case_ports_move },
	{ "garbage", case_garbage },
	{ "registers", case_registers },
};

static uint8_t byte_of(unsigned i)
{
	return (uint8_t)(0xa1 + 37 * i);
}

static void hold(void)
{
	uint64_t linger = parameter_number("linger", 0), end = milliseconds() + linger;

	while (linger ? milliseconds() < end : !(read8(BOARD_UART + STATUS) & STATUS_READY))
		;
	if (!linger)
		read8(BOARD_UART + DATA);
}

/* A snapshot must keep this state. Enabling LINE_DIVISOR clears the divisor, so it is enabled before the wait. */
static void fill_and_look(unsigned fill)
{
	bool pending = parameter_number("pending", 0);
	uint32_t line = line_on(mtty.slot);
	uint64_t port = ports[0];

	CHECK(fill < FIFO_SIZE, "a full FIFO looks empty to it", fill, 0);
	quiet(port);
	if (pending)
		write8(port + INTERRUPTS, INTERRUPT_RECEIVED);
	for (unsigned i = 0; i < fill; i++)
		write8(port + DATA, byte_of(i));
	write8(port + INTERRUPTS, INTERRUPT_RECEIVED);
	write8(port + MODEM, 0x0b);
	write8(port + SCRATCH, 0x5a);
	write8(port + LINE, LINE_DIVISOR | 0x1b);
	write8(port + DIVISOR_LOW, 0x34);
	write8(port + DIVISOR_HIGH, 0x12);
	if (port_count == 2)
		write8(ports[1] + SCRATCH, 0xc3);
	print("mtty: filled\n");
	hold();

	expect(port, LINE, LINE_DIVISOR | 0x1b, "its line control is another");
	expect(port, DIVISOR_LOW, 0x34, "its divisor is another");
	expect(port, DIVISOR_HIGH, 0x12, "its divisor is another");
	write8(port + LINE, 0x1b);
	expect(port, MODEM, 0x0b, "its modem control is another");
	expect(port, SCRATCH, 0x5a, "its scratch register is another");
	expect(port, INTERRUPTS, INTERRUPT_RECEIVED, "its interrupts are others");
	expect(port, IDENTITY, IDENTITY_RECEIVED, "its interrupt's identity is another");
	if (port_count == 2)
		expect(ports[1], SCRATCH, 0xc3, "the other port's scratch register is another");
	if (pending) {
		CHECK(interrupt_hold(line, PATIENCE), "its interrupt is lost", line, 0);
		icc_write(ICC_EOIR1, line);
	}
	for (unsigned i = 0; i < fill; i++)
		expect(port, DATA, byte_of(i), "another byte came back");
	expect(port, IDENTITY, IDENTITY_NONE, "there are more bytes");
	receive_by_interrupt(port, line, 0x77);
	line_off(line);
	print("mtty: %u bytes came back\n", fill);
}

static void open_device(void)
{
	unsigned slot = 0;

	while (slot < BOARD_SLOTS && !(pci_find(&mtty, slot) && read32(mtty.config) == MTTY))
		slot++;
	CHECK(slot < BOARD_SLOTS, "there is none", 0, 0);
	for (unsigned i = 0; i < 2 && mtty.bars[i].size; i++) {
		CHECK(mtty.bars[i].io && mtty.bars[i].size == 8, "its ports", mtty.bars[i].io, mtty.bars[i].size);
		ports[port_count++] = mtty.bars[i].address;
	}
	CHECK(port_count, "it has no ports", 0, 0);
	pci_command(&mtty, PCI_COMMAND_IO);
	gic_open();
	for (unsigned i = 0; i < port_count; i++)
		quiet(ports[i]);
}

void guest_main(void)
{
	unsigned boots = (unsigned)parameter_number("boots", 1), fill = (unsigned)parameter_number("fill", 0), ran = 0;
	static unsigned boot KEPT;
	static uint64_t magic KEPT;

	if (magic != 0x6d747479) {
		magic = 0x6d747479;
		boot = 0;
	}
	boot++;
	count = (unsigned)parameter_number("count", 100);
	random_seed(&numbers, parameter_number("seed", 1));
	open_device();
	for (unsigned i = 0; i < COUNT(cases) && !fill; i++) {
		if (!parameter_lists("cases", cases[i].name))
			continue;
		cases[i].run();
		print("mtty: boot %u: %s\n", boot, cases[i].name);
		ran++;
	}
	if (fill)
		fill_and_look(fill);
	else
		print("mtty: boot %u: %u cases passed, %u ports\n", boot, ran, port_count);
	if (boot < boots)
		machine_reset(false);
	power_off();
}
