/* SPDX-License-Identifier: MIT */
/*
 * Names of the sections of a snapshot, for writers and readers. They are part of the file format (docs/snapshot-format.md),
 * and none of them may change. A decimal number, which begins at 0, follows a name marked "numbered".
 */
#ifndef LKVM_STATE_NAMES_H
#define LKVM_STATE_NAMES_H

/* Configuration. */
#define SECTION_MACHINE "machine"
#define SECTION_DISK "disk"       /* numbered */
#define SECTION_NETWORK "network" /* numbered */
#define SECTION_VFIO "vfio"       /* numbered; a suffix may follow */

/* RAM. */
#define SECTION_RAM "ram"                     /* its location in the file */
#define SECTION_RAM_CHECKSUMS "ram-checksums"
#define SECTION_RAM_BASE "ram-base"           /* some pages are in another snapshot */
#define SECTION_RAM_FRAMES "ram-frames"       /* RAM is compressed */
#define SECTION_WORKING_SET "working-set"

/* Restrictions on the use of the file. */
#define SECTION_PARTIAL "partial"               /* RAM has only the pages for inspection: it cannot be restored */
#define SECTION_NOT_RESTORABLE "not-restorable" /* a restore would fail, for the reason in its field "reason" */

/* vCPUs and interrupt controller. */
#define SECTION_VCPU "vcpu" /* numbered */
#define SECTION_GIC "gic/"  /* the beginning of the next three names */
#define SECTION_GIC_DISTRIBUTOR SECTION_GIC "distributor"
#define SECTION_GIC_REDISTRIBUTOR SECTION_GIC "redistributor" /* numbered */
#define SECTION_GIC_CPU_INTERFACE SECTION_GIC "cpu-interface" /* numbered */
#define SECTION_ITS "its"

/* Board devices. */
#define SECTION_CLOCK "clock"
#define SECTION_SERIAL "serial"
#define SECTION_RTC "rtc"
#define SECTION_GPIO "gpio"
#define SECTION_VMGENID "generation"
#define SECTION_WATCHDOG "watchdog"

/* PCI devices of one function each, before SECTION_SUFFIX_PCI. */
#define SECTION_PVPANIC "pvpanic"

/* Suffixes after the name of a PCI device, "virtio-blk0" or "vfio0". */
#define SECTION_SUFFIX_PCI "/pci"
#define SECTION_SUFFIX_QUEUE "/queue" /* numbered */
#define SECTION_SUFFIX_MSIX "/msix"
#define SECTION_SUFFIX_DATA "/data"

#endif
