/* SPDX-License-Identifier: MIT */
/*
 * PL031 real-time clock. ARM PrimeCell Real Time Clock (PL031) Technical Reference Manual, ARM DDI 0224.
 * It follows the host's clock plus an offset that the guest sets by writing the load register.
 */
#ifndef LKVM_HW_RTC_H
#define LKVM_HW_RTC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "state/state_table.h"
#include "util/err.h"
#include "util/loop.h"

#define RTC_SIZE 0x1000u

struct rtc_state {
	uint32_t offset; /* guest's seconds minus the host's, modulo 2^32 */
	uint32_t load;
	uint32_t match;
	uint32_t interrupt_mask;
	uint32_t interrupt_raw;
	uint32_t armed; /* the match is in the future, and the alarm has not fired since it was set */
};

extern const struct state_table rtc_state_table;

struct rtc {
	struct interrupts *interrupts;
	struct bus *bus;
	struct loop *loop;
	unsigned line;
	uint64_t base;
	int timer_fd; /* the alarm; -1 without a loop */
	pthread_mutex_t lock;
	struct rtc_state state;
	bool level; /* of the line, as last set */
};

/* The alarm runs on `loop`. NULL: no alarms. */
int rtc_open(struct rtc *rtc, struct bus *bus, struct interrupts *interrupts, unsigned line, uint64_t base, struct loop *loop,
	     struct error *error);
void rtc_close(struct rtc *rtc);
void rtc_reset(struct rtc *rtc);

/*
 * After its state was loaded, with the GIC restored: sets the alarm, drives the line. An alarm that expired since the
 * save fires at once.
 */
void rtc_restored(struct rtc *rtc);

/* Writes its node of the device tree. */
void rtc_fdt(const struct rtc *rtc, struct fdt_writer *writer);

#endif
