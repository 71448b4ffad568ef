/* SPDX-License-Identifier: MIT */
/* An entry of an MSI-X table as the guest programs it (PCI Local Bus Specification 3.0, section 6.8.2). */
#ifndef LKVM_HW_MSIX_TABLE_H
#define LKVM_HW_MSIX_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* In the specification's order, which snapshots rely on. */
struct msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

#define MSIX_ENTRY_MASKED ((struct msix_entry){ .control = 1 }) /* as after reset */

/* Whether an access to the table or to its pending bits is defined: aligned, of 4 or 8 bytes. Others read as zero. */
bool msix_is_access(uint64_t offset, unsigned size);

/* One such access at `offset` in the table, to the entry that is there. */
uint64_t msix_entry_read(const struct msix_entry *entry, uint64_t offset, unsigned size);
void msix_entry_write(struct msix_entry *entry, uint64_t offset, unsigned size, uint64_t value);

#endif
