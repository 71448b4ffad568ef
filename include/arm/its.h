/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel Interrupt Translation Service: PCI devices' MSI writes to its doorbell become LPIs.
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

/* Creates it at `base`; fills vm->its_fd. After gic_open(), before gic_initialise(). */
int its_open(struct vm *vm, uint64_t base, struct error *error);

/* KVM_DEV_ARM_ITS_CTRL_RESET: disables it, clears its registers' valid bits and queue, frees every mapping. */
int its_reset(struct vm *vm, struct error *error);

/* KVM_DEV_ARM_ITS_SAVE_TABLES: what it cached of its mappings goes to the guest's tables in RAM. */
int its_save_tables(struct vm *vm, struct error *error);

/*
 * Predicts whether its_restore_tables() will succeed with what its_save_tables() left in RAM. -1 with ESTALE if not: then
 * the guest has overwritten the tables, as a kernel does that another one started (kexec).
 */
int its_check_tables(struct vm *vm, struct error *error);

/* Reads its registers into the section "its". */
int its_save(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * In this order, into a fresh ITS: the registers that say where queue and tables are; KVM_DEV_ARM_ITS_RESTORE_TABLES,
 * which needs RAM and the redistributors' LPI tables; GITS_CTLR, which turns it on.
 */
int its_restore_registers(struct vm *vm, struct sections *sections, struct error *error);
int its_restore_tables(struct vm *vm, struct error *error);
int its_restore_control(struct vm *vm, struct sections *sections, struct error *error);

/* Adds the msi-controller node with `phandle`, inside the GIC's node. libfdt's error or 0. */
int its_fdt(void *fdt, uint64_t base, uint32_t phandle);

#endif
