/* SPDX-License-Identifier: MIT */
/*
 * A VM on real KVM with vCPUs, vGICv3 and ITS, without a machine. The test programs the interrupt controller in place of a
 * guest, register by register. The vCPUs run only a few instructions, which acknowledge interrupts. A failure of the rig itself
 * ends the program with an error.
 */
#ifndef LKVM_TESTS_IRQCHIP_RIG_H
#define LKVM_TESTS_IRQCHIP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/gic.h"
#include "arm/its.h"
#include "arm/migrate.h"

/* Guest physical addresses. */
#define RIG_RAM 0x80000000ull
#define RIG_RAM_SIZE 0x01000000ull
#define RIG_CODE (RIG_RAM + 0x0)
#define RIG_QUEUE (RIG_RAM + 0x100000)
#define RIG_QUEUE_SIZE 0x10000u
#define RIG_DEVICES (RIG_RAM + 0x110000)     /* the device table, or its first level */
#define RIG_COLLECTIONS (RIG_RAM + 0x120000)
#define RIG_LEVEL2 (RIG_RAM + 0x130000)      /* second level of the device table */
#define RIG_TRANSLATIONS (RIG_RAM + 0x200000) /* ITTs of RIG_TRANSLATION_SIZE, by the low 8 bits of the device */
#define RIG_TRANSLATION_SIZE 0x1000u
#define RIG_PROPERTIES (RIG_RAM + 0x300000)  /* one byte for each LPI, from 8192 on */
#define RIG_PENDING (RIG_RAM + 0x400000)     /* 64 KiB for each redistributor */

#define RIG_NOTHING 1023u /* ICC_IAR1_EL1 without a pending interrupt */
#define RIG_INTERRUPTS 64u

struct rig {
	struct vm vm;
	struct migrate migrate;
	struct cpu_features features;
	uint64_t commands; /* offset of the next command in the queue */
	uint64_t raised;   /* lines that are high; bits by INTID */
};

/* Prints a message, and ends the program as failed. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* Opens a new VM with zeroed RAM, and initialized GIC and ITS. vCPU 0 is on, the others are off, and all are at RIG_CODE. */
void rig_open(struct rig *rig, unsigned vcpus);
void rig_open_without_its(struct rig *rig, unsigned vcpus);
void rig_close(struct rig *rig);

/* Call it after a reset. Sets all vCPUs to RIG_CODE and ready to run, as rig_open() does. */
void rig_start(struct rig *rig);

/* Registers by offset or encoding. Documentation/virt/kvm/devices/arm-vgic-v3.rst describes KVM's attributes. */
uint32_t rig_distributor(struct rig *rig, uint32_t offset);
void rig_set_distributor(struct rig *rig, uint32_t offset, uint32_t value);
uint32_t rig_redistributor(struct rig *rig, unsigned vcpu, uint32_t offset);
void rig_set_redistributor(struct rig *rig, unsigned vcpu, uint32_t offset, uint32_t value);
uint64_t rig_cpu_interface(struct rig *rig, unsigned vcpu, uint32_t encoding);
void rig_set_cpu_interface(struct rig *rig, unsigned vcpu, uint32_t encoding, uint64_t value);
uint64_t rig_its(struct rig *rig, uint32_t offset);
void rig_set_its(struct rig *rig, uint32_t offset, uint64_t value);

#define GICD_CTLR 0x0000
#define GICD_ISENABLER 0x0100
#define GICD_ISPENDR 0x0200
#define GICD_ISACTIVER 0x0300
#define GICD_IPRIORITYR 0x0400
#define GICD_ICFGR 0x0c00
#define GICD_IROUTER 0x6000
#define GICR_CTLR 0x0000
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078
#define GICR_ISENABLER0 0x10100
#define GICR_ISPENDR0 0x10200
#define GICR_ISACTIVER0 0x10300
#define GICR_IPRIORITYR 0x10400
#define ICC_PMR 0xc230
#define ICC_AP1R0 0xc648
#define ICC_BPR1 0xc663
#define ICC_IGRPEN0 0xc666
#define ICC_IGRPEN1 0xc667
#define GITS_CTLR 0x0000
#define GITS_CBASER 0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR 0x0090
#define GITS_BASER0 0x0100
#define GITS_BASER1 0x0108
#define BASER_VALID (1ull << 63)
#define BASER_INDIRECT (1ull << 62)

/* Initializes the GIC as a guest does: enables group 1, all priorities, and LPIs at each redistributor. */
void rig_program_gic(struct rig *rig);

/* Sets up queue and tables, and enables the ITS. `indirect`: the device table has two levels, the second at RIG_LEVEL2. */
void rig_program_its(struct rig *rig, bool indirect);

/* Commands to the ITS, which have completed when the functions return. */
void rig_map_device(struct rig *rig, uint32_t device, unsigned event_bits);
void rig_map_collection(struct rig *rig, uint32_t collection, unsigned vcpu);
void rig_map_event(struct rig *rig, uint32_t device, uint32_t event, uint32_t lpi, uint32_t collection);
void rig_discard_event(struct rig *rig, uint32_t device, uint32_t event);
void rig_invalidate(struct rig *rig, uint32_t device, uint32_t event); /* reads the LPI's properties again */

/* Writes the byte with the LPI's properties. */
void rig_set_properties(struct rig *rig, uint32_t lpi, uint8_t priority, bool enabled);

/* Sends an MSI as a device does. False: the ITS dropped it. */
bool rig_send_msi(struct rig *rig, uint32_t device, uint32_t event);
void rig_set_line(struct rig *rig, unsigned vcpu, uint32_t interrupt, bool level); /* an SPI, or a PPI of `vcpu` */

/* Runs the vCPU until it acknowledged. Returns the INTID, or RIG_NOTHING. The next call first ends that interrupt. */
uint32_t rig_acknowledge(struct rig *rig, unsigned vcpu);

/* After rig_nest(), the next rig_acknowledge() leaves the last interrupt active. rig_end() makes it end `interrupt`. */
void rig_nest(struct rig *rig, unsigned vcpu);
void rig_end(struct rig *rig, unsigned vcpu, uint32_t interrupt);

/*
 * Acknowledges until no interrupt is pending. Returns the number of INTIDs, and the first `room` of them in `list`. Lowers a
 * line when its interrupt is acknowledged.
 */
unsigned rig_drain(struct rig *rig, unsigned vcpu, uint32_t *list, unsigned room);

/* The contents of a snapshot: the sections, and RAM right after saving them. Free with saved_free(). */
struct saved {
	struct section_writer sections;
	uint8_t *ram;
};

int rig_save(struct rig *rig, struct saved *saved, struct error *error);

/* Restores into a new rig with the same number of vCPUs. */
int rig_restore(struct rig *rig, const struct saved *saved, struct error *error);
void saved_free(struct saved *saved);

/* Saves, closes the VM, restores into a new one, and saves again. Sections and RAM of both saves must be equal. */
void rig_move(struct rig *rig);

/* Fails, and prints each register that differs, unless both are equal. `after` describes the event between the two. */
void expect_same_sections(const char *after, const struct saved *first, const struct saved *second);

/* The same for GIC and ITS in two snapshot files. */
void expect_same_irqchip(const char *first, const char *second);

/* Fails unless `seen` has the same INTIDs as `expected`, each as often, in any order. */
void expect_interrupts(unsigned vcpu, const uint32_t *seen, unsigned seen_count, const uint32_t *expected,
		       unsigned expected_count);

#endif
