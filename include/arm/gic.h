/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel vGICv3. One table lists its registers: offset, number of words, value at power-on, and how user space
 * must write it. Reset, save and restore walk this table. ARM Generic Interrupt Controller Architecture Specification,
 * GICv3 and v4 (ARM IHI 0069); kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst.
 */
#ifndef LKVM_ARM_GIC_H
#define LKVM_ARM_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/vm.h"
#include "state/sections.h"
#include "util/err.h"

/* Sizes of the register frames, bytes. */
#define GIC_DISTRIBUTOR_SIZE 0x10000ull
#define GIC_REDISTRIBUTOR_SIZE 0x20000ull /* for each vCPU: RD and SGI frames */

struct gic_layout {
	uint64_t distributor;
	uint64_t redistributors; /* one region, vm->vcpu_count frames */
	unsigned interrupts;     /* INTIDs below the LPIs: 64..992, a multiple of 32 */
};

/* Creates the vGIC and sets the addresses of its frames. Sets vm->gic_fd. Call it before vCPUs are initialized. */
int gic_open(struct vm *vm, const struct gic_layout *layout, struct error *error);

/* KVM_DEV_ARM_VGIC_CTRL_INIT, which fixes the layout. Call it after all vCPUs are initialized and the ITS, if any, exists. */
int gic_initialise(struct vm *vm, struct error *error);

/*
 * The steps of a reset, for arm/migrate.c. The vCPUs must be parked. Each step writes power-on values: of the control
 * registers, which disables LPIs and the distributor; of the redistributors; of the distributor; of the CPU interfaces.
 */
int gic_reset_control(struct vm *vm, struct error *error);
int gic_reset_redistributors(struct vm *vm, struct error *error);
int gic_reset_distributor(struct vm *vm, unsigned interrupts, struct error *error);
int gic_reset_cpu_interfaces(struct vm *vm, struct error *error);

/*
 * The steps of a save. Each reads registers into sections of its own. The vCPUs are parked, nothing raises an interrupt,
 * and the pending tables are in RAM (gic_save_pending_tables()).
 */
int gic_save_pending_tables(struct vm *vm, struct error *error);
int gic_save_distributor(struct vm *vm, unsigned interrupts, struct section_writer *writer, struct error *error);
/* Reads the addresses of the LPI tables: GICR_PROPBASER, which KVM has once for a VM, and GICR_PENDBASER of each vCPU. */
int gic_read_lpi_tables(struct vm *vm, uint64_t *propbaser, uint64_t *pendbasers, struct error *error);

int gic_save_redistributors(struct vm *vm, struct section_writer *writer, struct error *error);
int gic_save_cpu_interfaces(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * The steps of a restore into a fresh GIC, in this order: the distributor's identity and control; the LPI tables of each
 * redistributor; redistributors; distributor; CPU interfaces. Registers that describe the host must match this host's.
 */
int gic_restore_control(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_lpi_tables(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_redistributors(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_distributor(struct vm *vm, unsigned interrupts, struct sections *sections, struct error *error);
int gic_restore_cpu_interfaces(struct vm *vm, struct sections *sections, struct error *error);

/* Finds out whether the guest has enabled SPI `spi` (INTID 32 + spi): then a driver handles it. */
int gic_spi_enabled(struct vm *vm, unsigned spi, bool *enabled, struct error *error);

/*
 * Adds the interrupt-controller node with `phandle`. The caller may add subnodes, and must end it. Returns libfdt's
 * error or 0.
 */
int gic_fdt_begin(void *fdt, const struct vm *vm, const struct gic_layout *layout, uint32_t phandle);

#endif
