/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel vGICv3. Its registers stand in one table, which says for each where it is, how many words it has, what it holds
 * at power-on and how user space must write it; reset walks that table.
 * ARM Generic Interrupt Controller Architecture Specification, GICv3 and v4 (ARM IHI 0069);
 * kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst.
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
#define GIC_REDISTRIBUTOR_SIZE 0x20000ull /* a vCPU: RD and SGI frames */

struct gic_layout {
	uint64_t distributor;
	uint64_t redistributors; /* one region, vm->vcpu_count frames */
	unsigned interrupts;     /* INTIDs below the LPIs: 64..992, a multiple of 32 */
};

/* Creates it and places its frames; fills vm->gic_fd. Before vCPUs are initialised. */
int gic_open(struct vm *vm, const struct gic_layout *layout, struct error *error);

/* KVM_DEV_ARM_VGIC_CTRL_INIT: freezes the layout. After every vCPU is initialised and the ITS, if any, made. */
int gic_initialise(struct vm *vm, struct error *error);

/*
 * The parts of a reset, for arm/migrate.c; the vCPUs must be parked. Each writes the power-on values: of the control
 * registers that turn LPIs and the distributor off; of the redistributors; of the distributor; of the CPU interfaces.
 */
int gic_reset_control(struct vm *vm, struct error *error);
int gic_reset_redistributors(struct vm *vm, struct error *error);
int gic_reset_distributor(struct vm *vm, unsigned interrupts, struct error *error);
int gic_reset_cpu_interfaces(struct vm *vm, struct error *error);

/*
 * The parts of a save: each reads its registers into sections of its own. The vCPUs are parked, nothing raises an
 * interrupt, and the pending tables are in RAM (gic_save_pending_tables).
 */
int gic_save_pending_tables(struct vm *vm, struct error *error);
int gic_save_distributor(struct vm *vm, unsigned interrupts, struct section_writer *writer, struct error *error);
/* Where the LPIs' tables are: GICR_PROPBASER, of which KVM has one a VM, and GICR_PENDBASER of each vCPU. */
int gic_read_lpi_tables(struct vm *vm, uint64_t *propbaser, uint64_t *pendbasers, struct error *error);

int gic_save_redistributors(struct vm *vm, struct section_writer *writer, struct error *error);
int gic_save_cpu_interfaces(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * The parts of a restore into a fresh GIC, in this order: the distributor's identity and control; every redistributor's
 * LPI tables; redistributors; distributor; CPU interfaces. What describes the host must be the same here.
 */
int gic_restore_control(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_lpi_tables(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_redistributors(struct vm *vm, struct sections *sections, struct error *error);
int gic_restore_distributor(struct vm *vm, unsigned interrupts, struct sections *sections, struct error *error);
int gic_restore_cpu_interfaces(struct vm *vm, struct sections *sections, struct error *error);

/* Whether the guest lets SPI `spi` (INTID 32 + spi) through: there is a driver that listens to it. */
int gic_spi_enabled(struct vm *vm, unsigned spi, bool *enabled, struct error *error);

/* Adds the interrupt-controller node with `phandle`, left open for subnodes: the caller ends it. libfdt's error or 0. */
int gic_fdt_begin(void *fdt, const struct vm *vm, const struct gic_layout *layout, uint32_t phandle);

#endif
