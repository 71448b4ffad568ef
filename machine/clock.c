/* SPDX-License-Identifier: MIT */
/* The state of a machine's clock. */
#include "machine/machine.h"
#include "state/names.h"

/* The virtual counter stops while the machine is paused. */
static const struct state_field clock_fields[] = {
	STATE_FIELD(struct machine_clock, counter, STATE_RUNTIME, 0),
	STATE_FIELD(struct machine_clock, resets, STATE_RUNTIME, 0), /* continues after a restore */
};

const struct state_table machine_clock_table = STATE_TABLE(struct machine_clock, SECTION_CLOCK, 1, clock_fields);
