/* SPDX-License-Identifier: MIT */
/*
 * The machine that a guest sees: which devices, at which addresses, on which interrupts. vm/machine.c holds it as one
 * ordered array; opening, closing, reset, pause and resume all walk that array.
 *
 * Addresses are fixed: they do not move with the number of vCPUs or devices, so that a snapshot, a bare-metal program
 * and a device tree agree for ever. docs/architecture.md draws the map.
 */
#ifndef LKVM_MACHINE_H
#define LKVM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/boot.h"
#include "lkvm/err.h"
#include "lkvm/gic.h"
#include "lkvm/gpio.h"
#include "lkvm/pci.h"
#include "lkvm/regs.h"
#include "lkvm/report.h"
#include "lkvm/rtc.h"
#include "lkvm/serial.h"
#include "lkvm/terminal.h"
#include "lkvm/virtio.h"
#include "lkvm/vm.h"

/* Guest physical addresses. */
#define MACHINE_UART 0x01000000ull
#define MACHINE_RTC 0x01010000ull
#define MACHINE_GPIO 0x01020000ull
#define MACHINE_GICR 0x30000000ull /* 128 KiB a vCPU, room for 512 */
#define MACHINE_ITS 0x3ffd0000ull  /* 128 KiB */
#define MACHINE_GICD 0x3fff0000ull /* 64 KiB */
#define MACHINE_ECAM 0x40000000ull /* 1 MiB: one bus */
#define MACHINE_ECAM_SIZE 0x100000ull
#define MACHINE_PCI32 0x50000000ull
#define MACHINE_PCI32_SIZE 0x30000000ull
#define MACHINE_RAM 0x80000000ull

#define MACHINE_MAX_VCPUS 512u

/* SPI numbers (INTID minus 32). */
enum machine_line {
	MACHINE_LINE_UART = 0,
	MACHINE_LINE_RTC = 1,
	MACHINE_LINE_GPIO = 2,
	MACHINE_LINE_PCI = 32, /* slot n: 32 + n */
};
#define MACHINE_INTERRUPTS 96u /* INTIDs of SGIs, PPIs and SPIs: 32 + 64 */

enum machine_irqchip { IRQCHIP_GICV3, IRQCHIP_GICV3_ITS };
enum machine_console { CONSOLE_SERIAL, CONSOLE_VIRTIO };

#define MACHINE_MAX_DISKS 16
#define MACHINE_MAX_NETWORKS 8
#define MACHINE_MAX_VIRTIO (MACHINE_MAX_DISKS + MACHINE_MAX_NETWORKS + 4) /* console, entropy, balloon, input */

/* Everything that `lkvm run` can choose. Strings belong to the caller and must outlive the machine. */
struct machine_config {
	const struct log *log;
	const char *name;
	const char *kernel; /* path */
	const char *initrd; /* path or NULL */
	const char *parameters; /* kernel command line, or NULL */
	const char *dump_fdt;   /* path or NULL */
	unsigned cpus;
	uint64_t memory; /* bytes */
	enum machine_irqchip irqchip;
	enum machine_console console;
	bool pmu;
	bool sve, pauth;    /* as the host has them, unless switched off */
	bool no_defaults;   /* leave out what was not asked for */
	bool entropy;       /* --rng */
	bool balloon;
	bool power_buttons; /* the virtio-input device */
	bool kaslr_seed_given;
	uint64_t kaslr_seed;
	unsigned disk_count;
	struct virtio_block_config disks[MACHINE_MAX_DISKS];
	unsigned network_count;
	struct virtio_net_config networks[MACHINE_MAX_NETWORKS];
};

struct machine {
	struct machine_config config;
	struct vm vm;
	struct boot boot;
	struct cpu_features cpu_features; /* as chosen: what was wanted and the host has */
	struct gic_layout gic_layout;
	struct pci_layout pci_layout;
	struct pci_bus pci;
	struct serial serial;
	struct rtc rtc;
	struct gpio gpio;
	struct terminal *terminal; /* the caller's, as is the loop */
	struct loop *loop;
	unsigned virtio_count;
	struct virtio_device *virtio[MACHINE_MAX_VIRTIO];
	struct virtio_device *balloon, *input; /* of these, or NULL */
	unsigned opened; /* entries of the catalogue that are open */
	bool running;
	uint64_t counter; /* the virtual counter's value while the machine is paused */
	uint64_t resets; /* how often the machine was reset */
};

/* Makes everything, loads the kernel, leaves the vCPUs parked. On failure closes what it opened. */
int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error);
void machine_close(struct machine *machine);

/* Main thread only. Pausing returns when the machine is quiescent: no vCPU in KVM_RUN, no worker running. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* Every part back to its power-on state, kernel loaded afresh. The machine must be paused, and stays so. */
int machine_reset(struct machine *machine, struct error *error);

/* Asks the guest to power off or restart by its power keys; fails where it listens to none. It must be running. */
enum machine_key { MACHINE_KEY_POWER, MACHINE_KEY_RESTART };
int machine_press(struct machine *machine, enum machine_key key, struct error *error);

/* Facts and figures: memory, vCPUs, interrupts, devices. */
void machine_stat(struct machine *machine, struct report *report);

#endif
