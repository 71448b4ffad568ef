/* SPDX-License-Identifier: MIT */
/* Console, firmware calls, time, random numbers, the second vCPU and scratch memory. */
#include "lib/runtime.h"

#include "lib/board.h"

/* PSCI (Arm DEN0022), SMC64 where there is a choice. */
#define PSCI_CPU_OFF 0x84000002u
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u
#define PSCI_SYSTEM_RESET2 0xc4000012u
#define PSCI_IS_ON 0u
#define PSCI_IS_COMING 2u

/*
 * Console: a 16550, polled.
 */

enum { UART_DATA = 0, UART_INTERRUPTS = 1, UART_FIFO = 2, UART_LINE = 3, UART_MODEM = 4, UART_STATUS = 5 };
#define UART_TRANSMITTER_EMPTY 0x20u

void console_reset(void)
{
	write8(BOARD_UART + UART_LINE, 3); /* 8 bits; divisor latch off */
	write8(BOARD_UART + UART_INTERRUPTS, 0);
	write8(BOARD_UART + UART_MODEM, 0);
	write8(BOARD_UART + UART_FIFO, 0);
}

void (*print_tee)(char c);

void print_char(char c)
{
	if (print_tee)
		print_tee(c);
	for (unsigned i = 0; i < 100000 && !(read8(BOARD_UART + UART_STATUS) & UART_TRANSMITTER_EMPTY); i++)
		;
	write8(BOARD_UART + UART_DATA, (uint8_t)c);
}

static void print_number(uint64_t value, unsigned base)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (count)
		print_char(digits[--count]);
}

void print_list(const char *format, va_list arguments)
{
	for (; *format; format++) {
		bool wide = false;

		if (*format != '%') {
			print_char(*format);
			continue;
		}
		format++;
		while (*format == 'l') {
			wide = true;
			format++;
		}
		if (*format == 's') {
			for (const char *text = va_arg(arguments, const char *); *text; text++)
				print_char(*text);
		} else if (*format == 'c') {
			print_char((char)va_arg(arguments, int));
		} else {
			uint64_t value = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);

			print_number(value, *format == 'x' ? 16 : 10);
		}
	}
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_list(format, arguments);
	va_end(arguments);
}

void unexpected_exception(uint64_t syndrome, uint64_t at, uint64_t address) __attribute__((noreturn));
void unexpected_exception(uint64_t syndrome, uint64_t at, uint64_t address)
{
	console_reset();
	print("\nFAILED: exception 0x%lx at 0x%lx of the program, address 0x%lx\n", syndrome,
	      at - (uint64_t)image_start, address);
	power_off();
}

/*
 * Firmware and time.
 */

void power_off(void)
{
	for (;;)
		firmware_call(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void machine_reset(bool reset2)
{
	for (;;)
		firmware_call(reset2 ? PSCI_SYSTEM_RESET2 : PSCI_SYSTEM_RESET, 0, 0, 0);
}

static uint64_t counter(void)
{
	uint64_t count;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count));
	return count;
}

static uint64_t frequency(void)
{
	uint64_t hertz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
	return hertz;
}

uint64_t milliseconds(void)
{
	return counter() / (frequency() / 1000);
}

uint64_t nanoseconds(void)
{
	uint64_t count = counter(), hertz = frequency();

	return count / hertz * 1000000000 + count % hertz * 1000000000 / hertz;
}

void delay_microseconds(unsigned microseconds)
{
	uint64_t end = counter() + frequency() / 1000000 * microseconds;

	while (counter() < end)
		;
}

/*
 * Randomness.
 */

void random_seed(struct random *random, uint64_t seed)
{
	random->state = seed * 0x9e3779b97f4a7c15ull | 1;
}

uint64_t random_next(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1dull;
}

uint64_t random_below(struct random *random, uint64_t limit)
{
	return limit ? (random_next(random) >> 16) % limit : 0;
}

uint64_t random_awkward(struct random *random)
{
	static const uint64_t addresses[] = {
		0,           BOARD_UART,    BOARD_GICD, BOARD_ITS,  BOARD_ECAM,
		BOARD_PCI32, BOARD_RAM - 1, 1ull << 32, 1ull << 39, 1ull << 40,
	};

	switch (random_below(random, 6)) {
	case 0:
		return random_below(random, 16);
	case 1:
		return ~random_below(random, 16);
	case 2:
		return (1ull << random_below(random, 64)) + random_below(random, 3) - 1;
	case 3:
		return addresses[random_below(random, COUNT(addresses))] + random_below(random, 0x1000);
	case 4:
		return random_next(random) & 0xffffffff;
	default:
		return random_next(random);
	}
}

/*
 * The second vCPU.
 */

void second_entry(void); /* start.S */
void second_main(void);

static void (*second_function)(void);
bool second_stop;

void second_main(void)
{
	__atomic_load_n(&second_function, __ATOMIC_ACQUIRE)();
	firmware_call(PSCI_CPU_OFF, 0, 0, 0);
}

bool second_start(void (*function)(void))
{
	__atomic_store_n(&second_stop, false, __ATOMIC_RELEASE);
	__atomic_store_n(&second_function, function, __ATOMIC_RELEASE);
	barrier();
	return firmware_call(PSCI_CPU_ON, 1, (uint64_t)second_entry, 0) == 0;
}

bool second_is_off(void)
{
	uint64_t state = firmware_call(PSCI_AFFINITY_INFO, 1, 0, 0);

	return state != PSCI_IS_ON && state != PSCI_IS_COMING;
}

void second_wait(void)
{
	__atomic_store_n(&second_stop, true, __ATOMIC_RELEASE);
	while (!second_is_off())
		;
}

/*
 * Memory.
 */

static uint8_t scratch_memory[2u << 20] __attribute__((aligned(65536)));
static size_t scratch_used;

void *scratch(size_t size, size_t alignment)
{
	size_t start = (scratch_used + alignment - 1) & ~(alignment - 1);

	if (size > sizeof(scratch_memory) - start) {
		print("FAILED: a test wants too much memory\n");
		power_off();
	}
	scratch_used = start + size;
	return memset(scratch_memory + start, 0, size);
}

void scratch_reset(void)
{
	scratch_used = 0;
}

void *memset(void *to, int value, size_t size)
{
	uint8_t *byte = to;

	while (size--)
		*byte++ = (uint8_t)value;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	const uint8_t *source = from;
	uint8_t *byte = to;

	while (size--)
		*byte++ = *source++;
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *left = a, *right = b;

	for (; size--; left++, right++)
		if (*left != *right)
			return *left - *right;
	return 0;
}
