/* SPDX-License-Identifier: MIT */
/*
 * The generic watchdog: Arm Base System Architecture (DEN0094) appendix "Generic Watchdog", revision 1. The guest must write
 * to it within a time. After one such time without a write its line goes high (WS0), after a second one it expires (WS1).
 * It counts by the guest's virtual counter, which stands still while the machine is paused.
 */
#ifndef LKVM_HW_WATCHDOG_H
#define LKVM_HW_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "state/state_table.h"
#include "util/err.h"
#include "util/loop.h"

#define WATCHDOG_FRAME_SIZE 0x1000u
#define WATCHDOG_REFRESH 0x10000u /* from the control frame to the refresh frame */

struct watchdog_state {
	uint64_t offset;  /* ticks of one stage */
	uint64_t compare; /* the stage ends when the guest's counter is above this */
	uint32_t control; /* enabled, WS0, WS1 */
	uint8_t padding[4];
};

extern const struct state_table watchdog_state_table;

struct watchdog_config {
	unsigned line; /* SPI of WS0 */
	uint64_t base; /* of the control frame */
	uint64_t frequency;        /* of the counter, Hz */
	uint64_t (*counter)(void); /* the host's counter, which differs from the guest's by a constant while the guest runs */
	/* WS1: called once for each time that it expires, and again after a restore. On the loop's thread, without locks. */
	void (*expired)(void *owner);
	void *owner;
};

struct watchdog {
	struct watchdog_config config;
	struct interrupts *interrupts;
	struct bus *bus; /* NULL: closed */
	struct loop *loop;
	int timer_fd;
	pthread_mutex_t lock;
	struct watchdog_state state;
	bool running;     /* the guest's counter counts */
	uint64_t base;    /* while running: the host's counter minus the guest's; else the guest's */
	bool reported;    /* `expired` was called */
	bool level;       /* of the line, as last set */
};

int watchdog_open(struct watchdog *watchdog, struct bus *bus, struct interrupts *interrupts, struct loop *loop,
		  const struct watchdog_config *config, struct error *error);
void watchdog_close(struct watchdog *watchdog);

/* The counter stands still from _pause() until _resume(). `counter`: the guest's counter at this moment. */
void watchdog_pause(struct watchdog *watchdog);
void watchdog_resume(struct watchdog *watchdog, uint64_t counter);

/* Off, as at power-on. The guest's counter restarts at 0. The machine must be paused. */
void watchdog_reset(struct watchdog *watchdog);

/* After its state was loaded, with the GIC restored: drives the line. */
void watchdog_restored(struct watchdog *watchdog);

/* Writes its node of the device tree. */
void watchdog_fdt(const struct watchdog *watchdog, struct fdt_writer *writer);

/* "off", "counting", "signalled" (WS0) or "expired" (WS1). */
const char *watchdog_stage(struct watchdog *watchdog);

#endif
