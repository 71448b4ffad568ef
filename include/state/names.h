/* SPDX-License-Identifier: MIT */
/*
 * Names of the sections of a snapshot, and of fields that one file writes and another reads. They are part of the file format
 * (docs/snapshot-format.md), and none of them may change. A decimal number, which begins at 0, follows a name marked
 * "numbered". A field with the value of a register has the architecture's name of that register, and is not listed here.
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
#define SECTION_NOT_RESTORABLE "not-restorable" /* a restore would fail, for the reason in FIELD_REASON */

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

/* Fields of "ram", "ram-checksums", "ram-frames" and "ram-base". */
#define FIELD_RAM_BASE "base"
#define FIELD_RAM_SIZE "size"
#define FIELD_RAM_OFFSET "offset"
#define FIELD_CHECKSUMS_CRC32 "crc32"
#define FIELD_FRAMES_FRAME "frame"
#define FIELD_FRAMES_OFFSET "offset"
#define FIELD_FRAMES_SIZE "size"
#define FIELD_BASE_IDENTITY "identity"
#define FIELD_BASE_PATH "path"
#define FIELD_BASE_PAGES "pages"

/* The field of "not-restorable". */
#define FIELD_REASON "reason"

/* Fields of a vCPU, beside its registers. */
#define FIELD_VCPU_MP_STATE "mp_state"
#define FIELD_VCPU_MPIDR "mpidr"
#define FIELD_VCPU_SERROR_PENDING "serror_pending"
#define FIELD_VCPU_SERROR_HAS_ESR "serror_has_esr"
#define FIELD_VCPU_SERROR_ESR "serror_esr"
#define FIELD_VCPU_EXTERNAL_ABORT_PENDING "external_abort_pending"

/* The field of a passed-through device's "/data": the state that its driver on the host gave. */
#define FIELD_DEVICE_DATA "data"

#endif
