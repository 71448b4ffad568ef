/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel Interrupt Translation Service. It turns MSI writes of PCI devices to its doorbell into LPIs.
 * Kernel: Documentation/virt/kvm/devices/arm-vgic-its.rst; ARM IHI 0069 chapters 5 and 12.
 */
#ifndef LKVM_ARM_ITS_H
#define LKVM_ARM_ITS_H

#include <stdint.h>

#include "kvm/vm.h"
#include "state/sections.h"
#include "util/err.h"

#define ITS_SIZE 0x20000ull             /* bytes of the control and translation frames */
#define ITS_DOORBELL_OFFSET 0x10040ull  /* GITS_TRANSLATER */

/* Creates the ITS at `base`. Sets vm->its_fd. Call it after gic_open() and before gic_initialise(). */
int its_open(struct vm *vm, uint64_t base, struct error *error);

/* KVM_DEV_ARM_ITS_CTRL_RESET: disables the ITS, clears the valid bits of its registers and its queue, frees all mappings. */
int its_reset(struct vm *vm, struct error *error);

/* KVM_DEV_ARM_ITS_SAVE_TABLES: writes the ITS's mappings to the guest's tables in RAM. */
int its_save_tables(struct vm *vm, struct error *error);

/*
 * Predicts whether its_restore_tables() will succeed with the tables that its_save_tables() wrote. Fails with ESTALE if
 * not: the guest has overwritten the tables, as a kernel does that another kernel started (kexec).
 */
int its_check_tables(struct vm *vm, struct error *error);

/* Saves the registers in the section "its". */
int its_save(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * Restore a fresh ITS, in this order: the registers with the addresses of queue and tables;
 * KVM_DEV_ARM_ITS_RESTORE_TABLES, which needs RAM and the redistributors' LPI tables; GITS_CTLR, which enables the ITS.
 */
int its_restore_registers(struct vm *vm, struct sections *sections, struct error *error);
int its_restore_tables(struct vm *vm, struct error *error);
int its_restore_control(struct vm *vm, struct sections *sections, struct error *error);

/* Adds the msi-controller node with `phandle` inside the GIC's node. Returns libfdt's error or 0. */
int its_fdt(void *fdt, uint64_t base, uint32_t phandle);

#endif
