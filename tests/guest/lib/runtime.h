/* SPDX-License-Identifier: MIT */
/*
 * What a bare-metal test program stands on: a console, time, randomness, accesses
 * that may fail, and a second vCPU. A program defines guest_main(), which runs
 * with the MMU on (all memory mapped to itself) and interrupts masked.
 */
#ifndef GUEST_RUNTIME_H
#define GUEST_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Linker script. */
extern char image_start[], image_end[];

/* For what a reset of the machine leaves as it is: memory that is neither loaded nor cleared. */
#define KEPT __attribute__((section(".noinit")))

/* start.S: x1|x2|x3 and system registers as the first vCPU found them. */
#define REGISTERS_AT_ENTRY 24u
extern uint64_t registers_at_entry[REGISTERS_AT_ENTRY];

void guest_main(void);

/* Console. print knows %s %c %u %d %x, with l for 64 bits. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
void print_char(char c);
extern void (*print_tee)(char c); /* gets all that is printed, too; NULL: nobody */
void console_reset(void); /* whatever was done to its registers */

/* Firmware (PSCI by HVC). */
uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
void power_off(void) __attribute__((noreturn));
void machine_reset(bool reset2) __attribute__((noreturn));

/* Time since the counter started. */
uint64_t milliseconds(void);
uint64_t nanoseconds(void);
void delay_microseconds(unsigned microseconds);

/*
 * Registers: one access of that size each. In assembly, since a compiler may choose an instruction that also
 * changes the address, which the processor does not describe to the hypervisor.
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

/* All memory accesses before it are visible to devices, and to the other vCPU, before those after it. */
static inline void barrier(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

/* Accesses that may fault, which probe.S defines in this order. */
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

/* How many probes of this vCPU faulted. */
static inline uint64_t probe_faults(void)
{
	uint64_t count;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(count));
	return count;
}

/* Pseudo-random numbers (xorshift64*), one state a user: vCPUs do not share one. */
struct random {
	uint64_t state;
};
void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit);

/* A number that programs tend to get wrong: small, all ones, near a power of two, an address, or anything. */
uint64_t random_awkward(struct random *random);

/* Runs a function on vCPU 1. False where there is none. second_wait() returns when that function has. */
bool second_start(void (*function)(void));
bool second_is_off(void);
void second_wait(void);

/* For a function on vCPU 1 that goes round until it is told to end. */
extern bool second_stop;
static inline bool second_must_stop(void)
{
	return __atomic_load_n(&second_stop, __ATOMIC_ACQUIRE);
}

/* Memory for rings and buffers: zeroed, all given back at once. */
void *scratch(size_t size, size_t alignment);
void scratch_reset(void);

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
