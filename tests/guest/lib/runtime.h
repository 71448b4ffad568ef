/* SPDX-License-Identifier: MIT */
/*
 * The runtime of a bare-metal test program: a console, time, random numbers, accesses that may fault, and a second vCPU. A
 * program defines guest_main(), which runs with the MMU on (all memory mapped to itself) and interrupts masked.
 */
#ifndef GUEST_RUNTIME_H
#define GUEST_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* From the linker script. */
extern char image_start[], image_end[];

/* For data that survives a reset of the machine, as it is neither loaded nor cleared. */
#define KEPT __attribute__((section(".noinit")))

/* From start.S: x1|x2|x3 and system registers of the first vCPU at its entry. */
#define REGISTERS_AT_ENTRY 24u
extern uint64_t registers_at_entry[REGISTERS_AT_ENTRY];

void guest_main(void);

/* Console. print() supports %s %c %u %d %x, with l for 64 bits. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
void print_char(char c);
extern void (*print_tee)(char c); /* also gets all output, unless it is NULL */
void console_reset(void); /* from any state of its registers */

/* Firmware (PSCI by HVC). */
uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
void power_off(void) __attribute__((noreturn));
void machine_reset(bool reset2) __attribute__((noreturn));

/* Time since the counter started. */
uint64_t milliseconds(void);
uint64_t nanoseconds(void);
void delay_microseconds(unsigned microseconds);

/*
 * Registers: each function makes one access of that size. They are in assembly, as a compiler may choose an instruction that
 * also changes the address, which the processor does not describe to the hypervisor.
 */
#define DEFINE_ACCESS(bits, suffix, width)                                                                 \
	static inline uint##bits##_t read##bits(uint64_t address)                                          \
	{                                                                                                  \
		uint##bits##_t value;                                                                      \
                                                                                                           \
		__asm__ volatile("ldr" suffix " %" width "0, [%1]" : "=r"(value) : "r"(address) : "memory"); \
		return value;                                                                              \
	}                                                                                                  \
	static inline void write##bits(uint64_t address, uint##bits##_t value)                             \
	{                                                                                                  \
		__asm__ volatile("str" suffix " %" width "0, [%1]" : : "r"(value), "r"(address) : "memory"); \
	}
DEFINE_ACCESS(8, "b", "w")
DEFINE_ACCESS(16, "h", "w")
DEFINE_ACCESS(32, "", "w")
DEFINE_ACCESS(64, "", "x")

/* Devices and the other vCPU see all memory accesses before the barrier before those after it. */
static inline void barrier(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

/* Accesses that may fault. probe.S has them in this order. */
enum probe_kind {
	PROBE_READ8, PROBE_READ16, PROBE_READ32, PROBE_READ64,
	PROBE_WRITE8, PROBE_WRITE16, PROBE_WRITE32, PROBE_WRITE64,
	PROBE_LDRSB, PROBE_LDRSH, PROBE_LDRSW, PROBE_LDAR, PROBE_STLR,
	PROBE_DESCRIBED, /* end of those that the processor describes to the hypervisor */
	PROBE_LDP = PROBE_DESCRIBED, PROBE_STP, PROBE_LDR_POST, PROBE_STR_POST, PROBE_LDR_Q, PROBE_STR_Q,
	PROBE_LD1, PROBE_ST1, PROBE_LDXR, PROBE_STXR, PROBE_LDADD, PROBE_SWP, PROBE_DC_ZVA, PROBE_DC_CIVAC,
	PROBE_IC_IVAU, PROBE_PRFM, PROBE_EXECUTE,
	PROBE_KINDS,
};
uint64_t probe(enum probe_kind kind, uint64_t address, uint64_t value);

/* Returns the number of this vCPU's probes that faulted. */
static inline uint64_t probe_faults(void)
{
	uint64_t count;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(count));
	return count;
}

/* Pseudo-random numbers (xorshift64*). Each user has its own state; vCPUs must not share one. */
struct random {
	uint64_t state;
};
void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit);

/* Returns a number that often reveals errors: small, all ones, near a power of two, an address, or random. */
uint64_t random_awkward(struct random *random);

/* Starts a function on vCPU 1. False: there is no vCPU 1. second_wait() waits until the function has returned. */
bool second_start(void (*function)(void));
bool second_is_off(void);
void second_wait(void);

/* For a function on vCPU 1 that loops until second_stop is set. */
extern bool second_stop;
static inline bool second_must_stop(void)
{
	return __atomic_load_n(&second_stop, __ATOMIC_ACQUIRE);
}

/* Allocates zeroed memory for rings and buffers. scratch_reset() frees all of it. */
void *scratch(size_t size, size_t alignment);
void scratch_reset(void);

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
