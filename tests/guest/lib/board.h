/* SPDX-License-Identifier: MIT */
/*
 * The machine's fixed addresses, as in docs/architecture.md.
 * PCI functions are discovered.
 */
#ifndef GUEST_BOARD_H
#define GUEST_BOARD_H

#define BOARD_UART 0x01000000ul
#define BOARD_RTC 0x01010000ul
#define BOARD_GPIO 0x01020000ul
#define BOARD_GENERATION 0x01030000ul
#define BOARD_GENERATION_SIZE 0x10000ul
#define BOARD_GICR 0x30000000ul
#define BOARD_GICR_STRIDE 0x20000ul
#define BOARD_IO 0x3eff0000ul /* ports of PCI devices */
#define BOARD_IO_SIZE 0x10000ul
#define BOARD_ITS 0x3ffd0000ul
#define BOARD_GICD 0x3fff0000ul
#define BOARD_ECAM 0x40000000ul
#define BOARD_ECAM_SIZE 0x100000ul
#define BOARD_PCI32 0x50000000ul
#define BOARD_PCI32_SIZE 0x30000000ul
#define BOARD_RAM 0x80000000ul

#define BOARD_INTERRUPTS 96u /* SGIs, PPIs and SPIs */
#define BOARD_SLOTS 32u

#endif
