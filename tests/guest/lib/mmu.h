/* SPDX-License-Identifier: MIT */
/* All of memory mapped to itself, by 1 GiB blocks: RAM as normal memory, the rest as Device memory. */
#ifndef GUEST_MMU_H
#define GUEST_MMU_H

#include <stdint.h>

/* With the MMU off, before any vCPU turns it on. */
void mmu_build(void);

/* Makes an address of a device accessible, wherever it is; the first TiB is from the start. */
void mmu_map(uint64_t address);

#endif
