/* SPDX-License-Identifier: MIT */
/*
 * A VM on real KVM with vCPUs, vGICv3 and ITS, and no machine around them: what the guest would do with the interrupt
 * controller is done from here, register by register. The few instructions that the vCPUs run acknowledge interrupts.
 * Whatever goes wrong without being the case's subject ends the program with a sentence.
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
#define RIG_LEVEL2 (RIG_RAM + 0x130000)      /* of the device table */
#define RIG_TRANSLATIONS (RIG_RAM + 0x200000) /* interrupt translation tables, RIG_TRANSLATION_SIZE each, by the low 8 bits of the device */
#define RIG_TRANSLATION_SIZE 0x1000u
#define RIG_PROPERTIES (RIG_RAM + 0x300000)  /* one byte an LPI, from 8192 on */
#define RIG_PENDING (RIG_RAM + 0x400000)     /* 64 KiB a redistributor */

#define RIG_NOTHING 1023u /* what ICC_IAR1_EL1 says where there is no interrupt */
#define RIG_INTERRUPTS 64u

struct rig {
	struct vm vm;
	struct migrate migrate;
	struct cpu_features features;
	uint64_t commands; /* offset of the next one in the queue */
	uint64_t raised;   /* lines that are high, by INTID */
};

/* Ends the program as failed. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* A fresh VM with zeroed RAM, GIC and ITS initialised; vCPU 0 on, the others off, all at RIG_CODE. */
void rig_open(struct rig *rig, unsigned vcpus);
void rig_open_without_its(struct rig *rig, unsigned vcpus);
void rig_close(struct rig *rig);

/* All vCPUs at RIG_CODE and ready to run, as rig_open() leaves them: after a reset. */
void rig_start(struct rig *rig);

/* Registers, by their offset or encoding (KVM's attributes: Documentation/virt/kvm/devices/arm-vgic-v3.rst). */
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

/* What a guest does first: interrupts of group 1 on, all priorities let through, LPIs on at each redistributor. */
void rig_program_gic(struct rig *rig);

/* Queue, tables (`indirect`: of two levels, the first of them pointing to RIG_LEVEL2) and the ITS on. */
void rig_program_its(struct rig *rig, bool indirect);

/* Commands to the ITS; done when they return. */
void rig_map_device(struct rig *rig, uint32_t device, unsigned event_bits);
void rig_map_collection(struct rig *rig, uint32_t collection, unsigned vcpu);
void rig_map_event(struct rig *rig, uint32_t device, uint32_t event, uint32_t lpi, uint32_t collection);
void rig_discard_event(struct rig *rig, uint32_t device, uint32_t event);
void rig_invalidate(struct rig *rig, uint32_t device, uint32_t event); /* reads the LPI's properties again */

/* The byte of the LPI's properties. */
void rig_set_properties(struct rig *rig, uint32_t lpi, uint8_t priority, bool enabled);

/* As a device would. False where the ITS drops it. */
bool rig_send_msi(struct rig *rig, uint32_t device, uint32_t event);
void rig_set_line(struct rig *rig, unsigned vcpu, uint32_t interrupt, bool level); /* an SPI, or a PPI of `vcpu` */

/* Runs the vCPU until it acknowledged something: the INTID, or RIG_NOTHING. The next call first ends that interrupt. */
uint32_t rig_acknowledge(struct rig *rig, unsigned vcpu);

/* The next rig_acknowledge() leaves what was acknowledged as it is: active. rig_end() makes it end `interrupt`. */
void rig_nest(struct rig *rig, unsigned vcpu);
void rig_end(struct rig *rig, unsigned vcpu, uint32_t interrupt);

/*
 * Until there is nothing more: how many INTIDs came, the first `room` of them in `list`. A line goes low when its
 * interrupt was acknowledged.
 */
unsigned rig_drain(struct rig *rig, unsigned vcpu, uint32_t *list, unsigned room);

/* What a snapshot holds: the sections, and RAM as it was right after. To be freed. */
struct saved {
	struct section_writer sections;
	uint8_t *ram;
};

int rig_save(struct rig *rig, struct saved *saved, struct error *error);

/* Into a fresh rig with as many vCPUs. */
int rig_restore(struct rig *rig, const struct saved *saved, struct error *error);
void saved_free(struct saved *saved);

/* Saves, ends the VM, restores into a fresh one, saves again: both must be equal, sections and RAM. */
void rig_move(struct rig *rig);

/* Fails, and prints each register that differs, unless both hold the same. `after`: what happened between the two. */
void expect_same_sections(const char *after, const struct saved *first, const struct saved *second);

/* The same for what two snapshot files say of GIC and ITS. */
void expect_same_irqchip(const char *first, const char *second);

/* Fails unless `seen` has the same `count` INTIDs, in any order, each as often. */
void expect_interrupts(unsigned vcpu, const uint32_t *seen, unsigned seen_count, const uint32_t *expected,
		       unsigned expected_count);

#endif
