/* SPDX-License-Identifier: MIT */
/*
 * The machine that a guest sees: its devices, their addresses and their interrupts. machine/components.c has them in one
 * ordered table. Open, close, reset, pause and resume walk this table.
 *
 * Addresses are fixed. They do not depend on the number of vCPUs or devices, so snapshots, bare-metal programs and device
 * trees stay compatible. docs/architecture.md draws the map.
 */
#ifndef LKVM_MACHINE_H
#define LKVM_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/boot.h"
#include "arm/gic.h"
#include "arm/vcpu_init.h"
#include "hw/gpio.h"
#include "hw/pci.h"
#include "hw/pvpanic.h"
#include "hw/rcec.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "hw/terminal.h"
#include "hw/vmgenid.h"
#include "hw/watchdog.h"
#include "kvm/dirty_log.h"
#include "kvm/vm.h"
#include "memory/memory_loss.h"
#include "memory/prefault.h"
#include "snapshot/pager.h"
#include "snapshot/snapshot.h"
#include "snapshot/watch.h"
#include "util/err.h"
#include "util/report.h"
#include "vfio/vfio.h"
#include "virtio/virtio.h"

/* Guest physical addresses. */
#define MACHINE_UART 0x01000000ull
#define MACHINE_RTC 0x01010000ull
#define MACHINE_GPIO 0x01020000ull
#define MACHINE_VMGENID 0x01030000ull
#define MACHINE_WATCHDOG 0x01040000ull /* and its refresh frame at 0x01050000 */
#define MACHINE_GICR 0x30000000ull /* 128 KiB for each of up to 512 vCPUs */
#define MACHINE_IO 0x3eff0000ull   /* 64 KiB: I/O ports of PCI devices */
#define MACHINE_IO_SIZE 0x10000ull
#define MACHINE_ITS 0x3ffd0000ull  /* 128 KiB */
#define MACHINE_GICD 0x3fff0000ull /* 64 KiB */
#define MACHINE_ECAM 0x40000000ull /* 1 MiB: one bus */
#define MACHINE_PCI32 0x50000000ull
#define MACHINE_PCI32_SIZE 0x30000000ull
#define MACHINE_RAM 0x80000000ull

#define MACHINE_MAX_VCPUS 512u

/* SPI numbers (INTID minus 32). */
enum machine_line {
	MACHINE_LINE_UART = 0,
	MACHINE_LINE_RTC = 1,
	MACHINE_LINE_GPIO = 2,
	MACHINE_LINE_VMGENID = 3,
	MACHINE_LINE_WATCHDOG = 4,
	MACHINE_LINE_PCI = 32, /* slot n: 32 + n */
};
#define MACHINE_INTERRUPTS 96u /* INTIDs of SGIs, PPIs and SPIs: 32 + 64 */

enum machine_irqchip { IRQCHIP_GICV3, IRQCHIP_GICV3_ITS };
enum machine_console { CONSOLE_SERIAL, CONSOLE_VIRTIO };

/* Whether there is a watchdog, and what happens when it expires. */
enum machine_watchdog {
	MACHINE_WATCHDOG_ABSENT,
	MACHINE_WATCHDOG_RESET,
	MACHINE_WATCHDOG_POWER_OFF,
	MACHINE_WATCHDOG_LOG, /* a warning only */
};

/* Returns the action as --watchdog has it: "reset", "poweroff", "none". The watchdog is not absent. */
const char *machine_watchdog_name(enum machine_watchdog watchdog);

#define MACHINE_MAX_DISKS 16
#define MACHINE_MAX_NETWORKS 8
#define MACHINE_MAX_PREFAULT 16
#define MACHINE_MAX_VIRTIO (MACHINE_MAX_DISKS + MACHINE_MAX_NETWORKS + 4) /* console, entropy, balloon, input */

#define MACHINE_MAX_TEXTS (8 + (3 + VIRTIO_BLOCK_LOWER) * MACHINE_MAX_DISKS + 4 * MACHINE_MAX_NETWORKS)

/* All that `lkvm run` configures. Strings belong to the caller and must outlive the machine. */
struct machine_config {
	const struct log *log;
	const char *name;
	const char *kernel; /* path; in a restore the file is needed only at the next reset */
	const char *initrd; /* path or NULL */
	const char *parameters; /* kernel command line, or NULL */
	const char *dump_fdt;   /* path or NULL */
	unsigned cpus;
	uint64_t memory; /* bytes */
	uint64_t huge_page; /* bytes, or RAM_HUGE_DEFAULT: RAM has pages of this size; 0: the host decides */
	unsigned address_bits; /* of guest physical addresses; 0: the fewest that suffice */
	enum machine_irqchip irqchip;
	enum machine_console console;
	enum machine_watchdog watchdog;
	bool pmu;
	bool sve, pauth;    /* run: where the host has them, unless switched off; restore: required as they are */
	uint64_t sve_lengths[8]; /* in a restore: the vector lengths */
	uint64_t counter_frequency; /* in a snapshot: Hz of the host's counter */
	bool no_defaults;   /* omit what was not requested */
	bool entropy;       /* --rng */
	bool balloon;
	bool power_buttons; /* the virtio-input device */
	bool pvpanic;       /* false in snapshots of older versions */
	bool kaslr_seed_given;
	uint64_t kaslr_seed;
	unsigned disk_count;
	struct virtio_block_config disks[MACHINE_MAX_DISKS];
	unsigned network_count;
	struct virtio_net_config networks[MACHINE_MAX_NETWORKS];
	struct vfio_config vfio;

	const struct snapshot *snapshot; /* NULL, or the snapshot to restore: RAM comes from it, no kernel is loaded */
	bool eager;         /* loads all of RAM before machine_open() returns */
	bool unchecked;     /* does not verify checksums */
	unsigned prefault_count;
	struct prefault_range prefault[MACHINE_MAX_PREFAULT]; /* read ahead in the background */
	const char *fault; /* for fault_at(), or NULL */

	/* Strings that machine_config_load() and _overlay() allocated. */
	unsigned owned_count;
	char *owned[MACHINE_MAX_TEXTS];
};

struct machine_clock {
	uint64_t counter; /* value of the virtual counter while the machine is paused */
	uint64_t resets;  /* number of resets */
};

extern const struct state_table machine_clock_table;

enum machine_working_set_state {
	WORKING_SET_NONE,       /* all of RAM was loaded at once */
	WORKING_SET_PREFAULTED, /* lkvm touches RAM ahead of the guest */
	WORKING_SET_AWAITED,    /* the VM has not resumed yet */
	WORKING_SET_RECORDING,
	WORKING_SET_INVALID,    /* lkvm touched RAM before the recording was complete */
	WORKING_SET_UNKNOWN,    /* the host does not report it */
	WORKING_SET_RECORDED,
};

/* The RAM that the guest touched first after a restore: snapshot/working_set.h. */
struct machine_working_set {
	enum machine_working_set_state state;
	int timer_fd;    /* while recording */
	uint8_t *chunks; /* once recorded */
};

struct machine {
	struct machine_config config;
	struct vm vm;
	struct snapshot_watch snapshot_watch; /* of the files that RAM is mapped from */
	struct pager pager;   /* loads RAM while the machine runs; must be closed explicitly */
	struct prefault prefault;
	struct prefault_range *ahead; /* the ranges that it reads */
	struct machine_working_set working_set;
	bool ram_is_checked;  /* it is verified, or will be before the pager ends */
	struct boot boot;
	struct cpu_features cpu_features; /* as chosen: requested, and available on this host */
	struct gic_layout gic_layout;
	struct pci_layout pci_layout;
	struct pci_bus pci;
	struct serial serial;
	struct rtc rtc;
	struct gpio gpio;
	struct vmgenid vmgenid;
	struct watchdog watchdog; /* closed without config.watchdog */
	struct terminal *terminal; /* belongs to the caller, as does the loop */
	struct loop *loop;
	unsigned virtio_count;
	struct virtio_device *virtio[MACHINE_MAX_VIRTIO];
	struct virtio_device *balloon, *input; /* two of these, or NULL */
	struct vfio *vfio; /* passed-through devices; NULL: none */
	struct pvpanic pvpanic; /* closed without config.pvpanic */
	/* Logged since the last reset: a guest could repeat these for ever. */
	atomic_bool panic_logged;
	bool watchdog_logged;
	struct rcec collector; /* of their errors; open if there are any devices */
	const struct error_collector *refused; /* NULL except in machine_check_host() */
	struct dirty_log dirty_log;
	uint8_t tracked_since[16]; /* identity of the snapshot that RAM was equal to at the last complete fetch, or zeroes */
	unsigned opened; /* components that are open */
	bool running;
	atomic_bool was_resumed; /* resumed at least once: the guest may have written its disks */
	struct machine_clock clock;
};

/* Opens all components, loads the kernel, and leaves the vCPUs parked. Closes what it opened after a failure. */
int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error);
void machine_close(struct machine *machine);

/*
 * Must be called before machine_close(). After it returns, no vCPU and no virtio device uses guest memory, and nothing loads
 * it. Guest memory that can be lost must still be watched.
 */
void machine_stop(struct machine *machine);

/* Main thread only. machine_pause() returns with the machine quiescent: no vCPU in KVM_RUN, no worker running. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* Resets each component to its power-on state and loads the kernel again. The machine must be paused, and stays paused. */
int machine_reset(struct machine *machine, struct error *error);

/* Checks that machine_reset() can load the kernel and the initrd: their files exist and fit. Does not change the guest. */
int machine_check_kernel(struct machine *machine, struct error *error);

/*
 * Call it before machine_save(), while the guest runs. Devices' interrupts are deferred from now until that call ends.
 * Detaching irqfds takes the kernel some milliseconds; this keeps them out of the pause.
 */
void machine_defer_interrupts(struct machine *machine);

/* Reads into the host's page cache the disk blocks that machine_save() reads in the pause. Any thread. */
void machine_read_disks_ahead(struct machine *machine);

/* Flushes the disks: their content at machine_save() then survives a power loss of the host. Any thread; the guest may run. */
int machine_sync_disks(struct machine *machine, struct error *error);

/*
 * New overlays for all disks that the guest may write, in one folder. _close() closes the folder. With -1 for the folder, all
 * functions do nothing. _create() makes empty files and refuses a file that exists; the guest may run. _switch() puts all of
 * them over the disks of the paused machine: from then on the guest writes the overlays, and the disks do not change. _close()
 * removes the files that are not over a disk.
 */
struct machine_overlays {
	int folder_fd; /* -1: closed */
	struct disk_overlay *prepared[MACHINE_MAX_DISKS];
	bool switched; /* stays after _close() */
};

void machine_overlays_open(struct machine_overlays *overlays, int folder_fd);
int machine_overlays_create(const struct machine *machine, struct machine_overlays *overlays, struct error *error);
void machine_overlays_switch(struct machine *machine, struct machine_overlays *overlays);
void machine_overlays_close(const struct machine *machine, struct machine_overlays *overlays);

/*
 * Tracks which pages of RAM are written, until machine_untrack() or machine_close(). Pauses a running guest for a moment. Does
 * nothing if tracking is on. machine_fetch_dirty() has the contract of dirty_log_fetch(); one thread at a time may call it.
 */
int machine_track(struct machine *machine, struct error *error);
void machine_untrack(struct machine *machine);
int machine_fetch_dirty(struct machine *machine, uint16_t *pages, bool last, struct error *error);

/*
 * lkvm records the working set in the first second after a restored machine resumes. Call _invalidate() before touching much of
 * RAM. Call _finish() before closing the pager: afterwards faults are no longer seen. _check() fails with the reason if there is
 * no working set, or none yet. _save() adds its section.
 */
void machine_working_set_invalidate(struct machine *machine);
void machine_working_set_finish(struct machine *machine);
int machine_working_set_check(const struct machine *machine, struct error *error);
void machine_working_set_save(const struct machine *machine, struct section_writer *writer);

/*
 * Saves the paused machine as sections: its configuration, KVM's state and the devices' state. On return, guest RAM holds the
 * matching interrupt tables, so RAM must be saved before the machine resumes. After a failure the machine can resume unchanged.
 */
int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error);

/* The same for inspection only: without the opaque migration data of passed-through devices, and without disk identities. */
int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error);

/*
 * Loads the sections into a machine that was opened with their configuration and RAM and has not run yet. The machine stays
 * paused. After a failure it can only be closed.
 */
int machine_load(struct machine *machine, struct sections *sections, struct error *error);

/*
 * Checks whether this host can restore the snapshot, without its devices. It makes such a machine, loads all of KVM's state
 * and closes the machine. `refused` gets each reason why a restore would fail; a reason that all vCPUs share is reported for
 * the first one. Returns -1 if KVM is not available. RAM need not be complete: it is mapped as it is. If the file becomes
 * unreadable, `lost` gets the error on a thread of its own. It ends the process; if it returns, the exit status is 1.
 */
int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, const struct error_collector *lost,
		       struct error *error);

/*
 * Writes the configuration as sections, and reads it back. machine_config_load() allocates strings; machine_config_free() frees
 * them. The caller sets log, snapshot and fault. No file is opened.
 */
void machine_config_save(const struct machine_config *config, struct section_writer *writer);
int machine_config_load(struct machine_config *config, struct sections *sections, struct error *error);

/*
 * Fails if the machine uses the file with these st_dev and st_ino: the snapshot that it was restored from, the bases of that
 * one, disks, kernel or initrd.
 */
int machine_check_replaced(const struct machine *machine, uint64_t device, uint64_t inode, struct error *error);

/* The same check for the file of --dump-dtb, which need not exist. */
int machine_check_dump(const struct machine *machine, struct error *error);

#define MACHINE_OVERLAY_NAME "%s-disk%u.overlay" /* name of the machine, number of the disk */

/*
 * Adds an overlay to each writable disk, over its existing ones: a file in `folder` (an absolute path), named after the
 * machine. _push_overlay() adds one to one disk; it returns false if the disk has the maximum already.
 */
bool machine_config_push_overlay(struct virtio_block_config *disk, const char *path);
int machine_config_overlay(struct machine_config *config, const char *folder, struct error *error);
void machine_config_free(struct machine_config *config);

/* Presses a power key of the guest. Fails if the guest has no driver that listens. The guest must be running. */
enum machine_key { MACHINE_KEY_POWER, MACHINE_KEY_RESTART };
int machine_press(struct machine *machine, enum machine_key key, struct error *error);

/*
 * Describes the loss of guest memory in `error`: the snapshot's file, the cause, and the disks that the guest wrote since the
 * restore. Any thread; the machine may be partly open.
 */
void machine_explain_loss(const struct machine *machine, const struct memory_loss *loss, struct error *error);

/* Reports memory, vCPUs, interrupts and devices. */
void machine_stat(struct machine *machine, struct report *report);

#endif
