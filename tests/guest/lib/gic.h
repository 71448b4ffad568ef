/* SPDX-License-Identifier: MIT */
/*
 * The GICv3 and its ITS, polled: interrupts are acknowledged
 * by reading ICC_IAR1_EL1 and never taken as exceptions.
 */
#ifndef GUEST_GIC_H
#define GUEST_GIC_H

#include "lib/board.h"
#include "lib/runtime.h"

#define GICD_CTLR (BOARD_GICD + 0x0)
#define GICR_CTLR (BOARD_GICR + 0x0)
#define GICR_PROPBASER (BOARD_GICR + 0x70)
#define GICR_PENDBASER (BOARD_GICR + 0x78)
#define GICR_SGI (BOARD_GICR + 0x10000)
#define GITS_CTLR (BOARD_ITS + 0x0)
#define GITS_TYPER (BOARD_ITS + 0x8)
#define GITS_CBASER (BOARD_ITS + 0x80)
#define GITS_CWRITER (BOARD_ITS + 0x88)
#define GITS_CREADR (BOARD_ITS + 0x90)
#define GITS_BASER(n) (BOARD_ITS + 0x100 + 8ul * (n))
#define GITS_TRANSLATER (BOARD_ITS + 0x10040)

#define FIRST_LPI 8192u
#define NO_INTERRUPT 1023u

enum its_opcode {
	ITS_MOVI = 0x01, ITS_INT = 0x03, ITS_CLEAR = 0x04, ITS_SYNC = 0x05,
	ITS_MAPD = 0x08, ITS_MAPC = 0x09, ITS_MAPTI = 0x0a, ITS_MAPI = 0x0b,
	ITS_INV = 0x0c, ITS_INVALL = 0x0d, ITS_MOVALL = 0x0e, ITS_DISCARD = 0x0f,
};

/* System registers of the CPU interface by their encodings, as some assemblers lack the names. */
#define ICC_PMR "s3_0_c4_c6_0"
#define ICC_BPR0 "s3_0_c12_c8_3"
#define ICC_AP0R0 "s3_0_c12_c8_4"
#define ICC_AP1R0 "s3_0_c12_c9_0"
#define ICC_RPR "s3_0_c12_c11_3"
#define ICC_IAR1 "s3_0_c12_c12_0"
#define ICC_EOIR1 "s3_0_c12_c12_1"
#define ICC_HPPIR1 "s3_0_c12_c12_2"
#define ICC_BPR1 "s3_0_c12_c12_3"
#define ICC_CTLR "s3_0_c12_c12_4"
#define ICC_SRE "s3_0_c12_c12_5"
#define ICC_IGRPEN0 "s3_0_c12_c12_6"
#define ICC_IGRPEN1 "s3_0_c12_c12_7"
#define icc_read(name)                                                                                     \
	({                                                                                                 \
		uint64_t value_;                                                                           \
		__asm__ volatile("mrs %0, " name : "=r"(value_));                                          \
		value_;                                                                                    \
	})
#define icc_write(name, value) __asm__ volatile("msr " name ", %0; isb" : : "r"((uint64_t)(value)))

/* Enables distributor and CPU interface from any state. No interrupt is enabled or pending then. */
void gic_open(void);

/* Enables LPIs, with cleared tables. False: the GIC does not enable them. */
bool lpi_open(void);

/* Enables the ITS from any state, with cleared tables and collection 0 on vCPU 0. False: a command or register failed. */
bool its_open(void);

/* Returns whether the machine has an ITS. */
bool its_present(void);

/* Both append a command. its_command() also waits until the ITS has executed it. False: the ITS stalls. */
void its_post(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
bool its_command(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* Maps events 0..31 of a device to LPIs from first_lpi on. */
bool its_map(uint32_t device, uint32_t first_lpi);

/* Acknowledges and completes one interrupt. Returns its INTID, or NO_INTERRUPT. */
uint32_t interrupt_take(void);

/* Both wait for this interrupt, and complete and drop others. interrupt_hold() leaves it active. `limit`: milliseconds. */
bool interrupt_wait(uint32_t interrupt, unsigned limit);
bool interrupt_hold(uint32_t interrupt, unsigned limit);

/* line_on() enables a PCI device's line as level-sensitive, and returns its INTID. line_off() disables it. */
uint32_t line_on(unsigned slot);
void line_off(uint32_t line);

#endif
