/* SPDX-License-Identifier: MIT */
/* Maps all addresses to themselves in blocks of 1 GiB: RAM as normal memory, the rest as Device memory. */
#ifndef GUEST_MMU_H
#define GUEST_MMU_H

#include <stdint.h>

/* Builds the tables. Call it with the MMU off, before a vCPU enables it. */
void mmu_build(void);

/* Makes an address of a device accessible. The first TiB already is. */
void mmu_map(uint64_t address);

#endif
