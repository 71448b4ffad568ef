/* SPDX-License-Identifier: MIT */
/* The components of a machine as a table: machine.c opens and closes them, run.c pauses, resumes and resets them. */
#ifndef LKVM_MACHINE_COMPONENTS_H
#define LKVM_MACHINE_COMPONENTS_H

#include <stddef.h>

#include "machine/machine.h"

/*
 * Components open in the order of the table and close in the opposite order. All functions except open may be NULL. After
 * pause, a component writes no guest memory and raises no interrupt.
 */
struct component {
	const char *name;
	int (*open)(struct machine *machine, struct error *error);
	void (*close)(struct machine *machine);
	void (*pause)(struct machine *machine);
	void (*resume)(struct machine *machine);
	void (*reset)(struct machine *machine);
};

extern const struct component machine_components[];
extern const size_t machine_component_count;

#define MACHINE_COMPONENTS_BEFORE_DEVICES 3 /* up to "processors" */

#endif
