/* SPDX-License-Identifier: MIT */
/* The components of a machine as a table: machine.c opens and closes them, run.c pauses, resumes and resets them. */
#ifndef LKVM_MACHINE_COMPONENTS_H
#define LKVM_MACHINE_COMPONENTS_H

#include <stddef.h>

#include "arm/fdt_writer.h"
#include "machine/machine.h"

/*
 * Components open in the order of the table and close in the opposite order. All functions except open may be NULL; the table is
 * the order of their calls. After pause, a component writes no guest memory and raises no interrupt.
 */
struct component {
	int (*open)(struct machine *machine, struct error *error);
	void (*close)(struct machine *machine);
	void (*pause)(struct machine *machine);
	void (*resume)(struct machine *machine);
	void (*reset)(struct machine *machine);

	/* Visits the state of its devices. The order of the table is that of the sections in a snapshot. */
	int (*visit)(struct machine *machine, struct state_visitor *visitor, struct error *error);
	/* What its devices signal waits from quiesce until unquiesce. The machine may run during quiesce. */
	void (*quiesce)(struct machine *machine);
	void (*unquiesce)(struct machine *machine);
	/* All state is loaded, KVM's as well: the component may raise interrupts. */
	int (*restored)(struct machine *machine, struct error *error);
	/* Adds its devices to the list "devices" of a report. */
	void (*stat)(struct machine *machine, struct report *report);
	/* Writes its nodes of the device tree. The order of the table is that of the nodes. */
	void (*fdt)(struct machine *machine, struct fdt_writer *writer);
};

extern const struct component component_files, component_serial, component_rtc, component_gpio, component_vmgenid,
	component_watchdog, component_virtio, component_vfio, component_pvpanic;

extern const struct component *const machine_components[];
extern const size_t machine_component_count;

#define MACHINE_COMPONENTS_BEFORE_DEVICES 3 /* up to "processors" */

#endif
