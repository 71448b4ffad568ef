/* SPDX-License-Identifier: MIT */
/*
 * The machine that a guest sees: which devices, at which addresses, on which interrupts. machine/components.c holds it as one
 * ordered array; opening, closing, reset, pause and resume all walk that array.
 *
 * Addresses are fixed: they do not move with the number of vCPUs or devices, so that a snapshot, a bare-metal program
 * and a device tree agree for ever. docs/architecture.md draws the map.
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
#include "hw/rcec.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "hw/terminal.h"
#include "hw/vmgenid.h"
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
#define MACHINE_GENERATION 0x01030000ull
#define MACHINE_GICR 0x30000000ull /* 128 KiB a vCPU, room for 512 */
#define MACHINE_IO 0x3eff0000ull   /* 64 KiB: ports of PCI devices */
#define MACHINE_IO_SIZE 0x10000ull
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
	MACHINE_LINE_GENERATION = 3,
	MACHINE_LINE_PCI = 32, /* slot n: 32 + n */
};
#define MACHINE_INTERRUPTS 96u /* INTIDs of SGIs, PPIs and SPIs: 32 + 64 */

enum machine_irqchip { IRQCHIP_GICV3, IRQCHIP_GICV3_ITS };
enum machine_console { CONSOLE_SERIAL, CONSOLE_VIRTIO };

#define MACHINE_MAX_DISKS 16
#define MACHINE_MAX_NETWORKS 8
#define MACHINE_MAX_PREFAULT 16
#define MACHINE_MAX_VIRTIO (MACHINE_MAX_DISKS + MACHINE_MAX_NETWORKS + 4) /* console, entropy, balloon, input */

#define MACHINE_MAX_TEXTS (8 + (3 + VIRTIO_BLOCK_LOWER) * MACHINE_MAX_DISKS + 4 * MACHINE_MAX_NETWORKS)

/* Everything that `lkvm run` can choose. Strings belong to the caller and must outlive the machine. */
struct machine_config {
	const struct log *log;
	const char *name;
	const char *kernel; /* path; when restoring, of the next reset's kernel, which may be missing until then */
	const char *initrd; /* path or NULL */
	const char *parameters; /* kernel command line, or NULL */
	const char *dump_fdt;   /* path or NULL */
	unsigned cpus;
	uint64_t memory; /* bytes */
	uint64_t huge_page; /* bytes, or RAM_HUGE_DEFAULT: RAM is of such pages; 0: of what the host likes */
	unsigned address_bits; /* of guest physical addresses; 0: as few as do */
	enum machine_irqchip irqchip;
	enum machine_console console;
	bool pmu;
	bool sve, pauth;    /* as the host has them, unless switched off; when restoring, as they must be */
	uint64_t sve_lengths[8]; /* when restoring: the vector lengths */
	uint64_t counter_frequency; /* in a snapshot: Hz of the host's counter */
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
	struct vfio_config vfio;

	const struct snapshot *snapshot; /* NULL, or what is restored: RAM comes from there, nothing is loaded */
	bool eager;         /* all of it before the machine is open */
	bool unchecked;     /* without a look at its checksums */
	unsigned prefault_count;
	struct prefault_range prefault[MACHINE_MAX_PREFAULT]; /* read ahead in the background */
	const char *fault; /* for fault_at(), or NULL */

	/* Texts that machine_config_load() and _overlay() made. */
	unsigned owned_count;
	char *owned[MACHINE_MAX_TEXTS];
};

struct machine_clock {
	uint64_t counter; /* the virtual counter's value while the machine is paused */
	uint64_t resets;  /* how often the machine was reset */
};

extern const struct state_table machine_clock_table;

enum machine_working_set_state {
	WORKING_SET_NONE,      /* all of RAM was there at once */
	WORKING_SET_PREFAULTED,    /* something is touched ahead */
	WORKING_SET_AWAITED,   /* it did not go on yet */
	WORKING_SET_RECORDING,
	WORKING_SET_INVALID, /* others touched RAM before it was known */
	WORKING_SET_UNKNOWN,   /* the host would not say */
	WORKING_SET_RECORDED,
};

/* What the guest touched first after a restore: snapshot/working_set.h. */
struct machine_working_set {
	enum machine_working_set_state state;
	int timer_fd;    /* while it records */
	uint8_t *chunks; /* once it is recorded */
};

struct machine {
	struct machine_config config;
	struct vm vm;
	struct snapshot_watch snapshot_watch; /* of the files that RAM is mapped from */
	struct pager pager;   /* of RAM that is loaded while it runs; open until somebody closes it */
	struct prefault prefault;
	struct prefault_range *ahead; /* what that reads */
	struct machine_working_set working_set;
	bool ram_is_checked;  /* it is, or will be before the pager ends */
	struct boot boot;
	struct cpu_features cpu_features; /* as chosen: what was wanted and the host has */
	struct gic_layout gic_layout;
	struct pci_layout pci_layout;
	struct pci_bus pci;
	struct serial serial;
	struct rtc rtc;
	struct gpio gpio;
	struct vmgenid vmgenid;
	struct terminal *terminal; /* the caller's, as is the loop */
	struct loop *loop;
	unsigned virtio_count;
	struct virtio_device *virtio[MACHINE_MAX_VIRTIO];
	struct virtio_device *balloon, *input; /* of these, or NULL */
	struct vfio *vfio; /* passed-through devices; NULL: none */
	struct rcec collector; /* of their errors; open where there are any */
	const struct error_collector *refused; /* NULL but in machine_check_host() */
	struct dirty_log dirty_log;
	uint8_t tracked_since[16]; /* identity of the snapshot that RAM was equal to when all of the log was last taken, or zeroes */
	unsigned opened; /* entries of the catalogue that are open */
	bool running;
	atomic_bool went_on; /* at least once: its guest may have changed its disks */
	struct machine_clock clock;
};

/* Makes everything, loads the kernel, leaves the vCPUs parked. On failure closes what it opened. */
int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error);
void machine_close(struct machine *machine);

/*
 * Ahead of machine_close(): once it returns, neither vCPU nor virtio device uses guest memory any more, and nothing loads it.
 * It needs a guest memory that is watched, where it can be lost.
 */
void machine_stop(struct machine *machine);

/* Main thread only. Pausing returns when the machine is quiescent: no vCPU in KVM_RUN, no worker running. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* Every part back to its power-on state, kernel loaded afresh. The machine must be paused, and stays so. */
int machine_reset(struct machine *machine, struct error *error);

/* Whether machine_reset() can load the kernel and the initrd: their files are there and fit. Changes nothing in the guest. */
int machine_check_kernel(struct machine *machine, struct error *error);

/*
 * To be called ahead of machine_save(), while the guest runs: what the devices signal waits from now on until that call's
 * end. Taking the irqfds off takes the kernel some milliseconds, which are not in the guest's pause then.
 */
void machine_defer_interrupts(struct machine *machine);

/* The same for the disks' identities: reads into the host's cache what machine_save() reads of them in the pause. Any thread. */
void machine_read_disks_ahead(struct machine *machine);

/* What machine_save() found on the disks is there also after the host loses power. By any thread, while the guest runs. */
int machine_sync_disks(struct machine *machine, struct error *error);

/*
 * New overlays for all disks that the guest may write, in a folder, which is closed with them. With -1 for the folder, nothing is
 * done. _create() makes empty files, and refuses one that is there already; the guest may run. _switch() puts them over the disks
 * of the paused machine, all of them: from then on the guest writes the overlays, and the disks stay as they are. _close()
 * removes the files that were not put over a disk.
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
 * Keeps account of what is written to RAM from now on, until machine_untrack() or machine_close(). A guest that runs is
 * paused for it for a moment. Harmless where it does already. machine_fetch_dirty() is dirty_log_fetch(), and may be called by
 * any one thread.
 */
int machine_track(struct machine *machine, struct error *error);
void machine_untrack(struct machine *machine);
int machine_fetch_dirty(struct machine *machine, uint16_t *pages, bool last, struct error *error);

/*
 * The working set is recorded in the first second after a restored machine goes on. Whoever is about to touch much of RAM in
 * the guest's stead calls _disturb(); who closes the pager, _take() before that: no more can be known then. The sentence of
 * _check() says why there is none, or not yet; _save() adds its section.
 */
void machine_working_set_invalidate(struct machine *machine);
void machine_working_set_finish(struct machine *machine);
int machine_working_set_check(const struct machine *machine, struct error *error);
void machine_working_set_save(const struct machine *machine, struct section_writer *writer);

/*
 * Saves the paused machine as sections: what it was made as, KVM's state, the devices'. When it returns, guest RAM holds
 * the interrupt tables that belong to it: RAM is to be saved before the machine goes on. After a failure the machine can
 * go on as if nothing had happened.
 */
int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error);

/* The same for whom it is enough to see it: without what only the drivers of passed-through devices understand. */
int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error);

/*
 * Loads them into a machine that was opened with the configuration in `sections` and their RAM, and did not run yet. It
 * stays paused. After a failure it can only be closed.
 */
int machine_load(struct machine *machine, struct sections *sections, struct error *error);

/*
 * Whether this host would take the snapshot, up to its devices: makes the machine without them, loads all that KVM keeps and
 * lets go of it again. Tells each thing that a restore would refuse; what all vCPUs have in common, of the first. -1 where
 * there is no KVM to ask. RAM need not be whole: it is mapped as it is. Where the file cannot be read any more, `lost` gets the
 * sentence, on a thread of its own; it ends the process, or else it ends behind it with status 1.
 */
int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, const struct error_collector *lost,
		       struct error *error);

/*
 * The configuration as sections, and back. Loading makes texts, which machine_config_free() frees; log, snapshot and
 * fault are left to the caller. No file is opened.
 */
void machine_config_save(const struct machine_config *config, struct section_writer *writer);
int machine_config_load(struct machine_config *config, struct sections *sections, struct error *error);

/*
 * Fails if the file with these st_dev and st_ino is one that the machine uses: the snapshot that it was restored from and
 * its bases, disks, kernel, initrd.
 */
int machine_check_replaced(const struct machine *machine, uint64_t device, uint64_t inode, struct error *error);

/* The same of the file that the device tree is to be written to, which need not exist. */
int machine_check_dump(const struct machine *machine, struct error *error);

#define MACHINE_OVERLAY_NAME "%s-disk%u.overlay" /* the machine's name, the disk's number */

/*
 * Gives each disk that may be written an overlay, over those that it has: a file in `folder`, which is an absolute path, named
 * after the machine. _push_overlay() does that to one disk; false, if it has as many as it can.
 */
bool machine_config_push_overlay(struct virtio_block_config *disk, const char *path);
int machine_config_overlay(struct machine_config *config, const char *folder, struct error *error);
void machine_config_free(struct machine_config *config);

/* Asks the guest to power off or restart by its power keys; fails where it listens to none. It must be running. */
enum machine_key { MACHINE_KEY_POWER, MACHINE_KEY_RESTART };
int machine_press(struct machine *machine, enum machine_key key, struct error *error);

/*
 * After its memory was lost: the sentence names the snapshot's file and what happened, and the disks that the guest wrote to
 * since the restore. Any thread; the machine need not be open completely.
 */
void machine_explain_loss(const struct machine *machine, const struct memory_loss *loss, struct error *error);

/* Facts and figures: memory, vCPUs, interrupts, devices. */
void machine_stat(struct machine *machine, struct report *report);

#endif
