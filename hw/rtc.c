/* SPDX-License-Identifier: MIT */
/* The PL031 real-time clock: registers and alarm. */
#include "hw/rtc.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "state/names.h"

/* Section 3.2 of the manual. */
enum rtc_register {
	RTC_DATA = 0x00,
	RTC_MATCH = 0x04,
	RTC_LOAD = 0x08,
	RTC_CONTROL = 0x0c,
	RTC_INTERRUPT_MASK = 0x10,
	RTC_RAW_INTERRUPT = 0x14,
	RTC_MASKED_INTERRUPT = 0x18,
	RTC_INTERRUPT_CLEAR = 0x1c,
	RTC_IDENTIFICATION = 0xfe0, /* peripheral, then PrimeCell: four bytes each, in words */
};

static const struct state_field rtc_fields[] = {
	STATE_FIELD(struct rtc_state, offset, STATE_RUNTIME, 0),
	STATE_FIELD(struct rtc_state, load, STATE_RUNTIME, 0),
	STATE_FIELD(struct rtc_state, match, STATE_RUNTIME, 0),
	STATE_FIELD(struct rtc_state, interrupt_mask, STATE_RUNTIME, 0),
	STATE_FIELD(struct rtc_state, interrupt_raw, STATE_RUNTIME, 0),
	STATE_FIELD(struct rtc_state, armed, STATE_RUNTIME, 0),
};

const struct state_table rtc_state_table = STATE_TABLE(struct rtc_state, SECTION_RTC, 1, rtc_fields);

static time_t host_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* The guest's time at a host time: 32 bits, which wrap as in hardware. */
static uint32_t guest_seconds(const struct rtc *rtc, time_t host)
{
	return (uint32_t)host + rtc->state.offset;
}

static void update_line(struct rtc *rtc)
{
	bool level = rtc->state.interrupt_raw & rtc->state.interrupt_mask;

	if (level == rtc->level)
		return;
	rtc->level = level;
	interrupts_set_line(rtc->interrupts, rtc->line, level);
}

/* Seconds from the guest's clock to the match, modulo 2^32: below 0, the match has passed. */
static int32_t seconds_to_match(const struct rtc *rtc, time_t host)
{
	return (int32_t)(rtc->state.match - guest_seconds(rtc, host));
}

/*
 * Sets the timer to the second in which the guest's time is the match, or turns it off. The timer is absolute, so it
 * follows changes of the host's clock, as the guest's time does. A match that passed since a save fires at once.
 */
static void set_timer(struct rtc *rtc)
{
	struct itimerspec when = { 0 };
	time_t now = host_seconds();

	if (rtc->timer_fd < 0)
		return;
	if (rtc->state.armed) {
		when.it_value.tv_sec = now + seconds_to_match(rtc, now);
		when.it_value.tv_nsec = 1; /* all zeroes would turn it off */
	}
	timerfd_settime(rtc->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The guest set the match or the clock: the alarm is armed unless the match has passed already. */
static void arm(struct rtc *rtc)
{
	rtc->state.armed = seconds_to_match(rtc, host_seconds()) >= 0;
	set_timer(rtc);
}

static void rtc_alarm(void *owner, int fd, uint32_t events)
{
	struct rtc *rtc = owner;
	uint64_t expirations;

	(void)events;
	pthread_mutex_lock(&rtc->lock);
	/* Read under the lock: if the guest has set another time before this, there is nothing to read. */
	if (read(fd, &expirations, sizeof(expirations)) > 0 && rtc->state.armed) {
		rtc->state.interrupt_raw = 1;
		rtc->state.armed = 0;
		update_line(rtc);
	}
	pthread_mutex_unlock(&rtc->lock);
}

static uint32_t read_register(const struct rtc *rtc, uint64_t offset)
{
	static const uint8_t identification[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	if (offset >= RTC_IDENTIFICATION && offset % 4 == 0)
		return identification[(offset - RTC_IDENTIFICATION) / 4 % sizeof(identification)];
	switch (offset) {
	case RTC_DATA:
		return guest_seconds(rtc, host_seconds());
	case RTC_MATCH:
		return rtc->state.match;
	case RTC_LOAD:
		return rtc->state.load;
	case RTC_CONTROL:
		return 1; /* enabled; it cannot be stopped */
	case RTC_INTERRUPT_MASK:
		return rtc->state.interrupt_mask;
	case RTC_RAW_INTERRUPT:
		return rtc->state.interrupt_raw;
	case RTC_MASKED_INTERRUPT:
		return rtc->state.interrupt_raw & rtc->state.interrupt_mask;
	default:
		return 0;
	}
}

static uint64_t rtc_read(void *owner, uint64_t offset, unsigned size)
{
	struct rtc *rtc = owner;
	uint32_t value;

	(void)size; /* registers are words, whatever the access */
	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc, offset);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void write_register(struct rtc *rtc, uint64_t offset, uint32_t value)
{
	struct rtc_state *state = &rtc->state;

	switch (offset) {
	case RTC_MATCH:
		state->match = value;
		arm(rtc);
		break;
	case RTC_LOAD:
		state->load = value;
		state->offset = value - (uint32_t)host_seconds();
		arm(rtc);
		break;
	case RTC_INTERRUPT_MASK:
		state->interrupt_mask = value & 1;
		break;
	case RTC_INTERRUPT_CLEAR:
		if (value & 1)
			state->interrupt_raw = 0;
		break;
	default:
		break;
	}
}

static void rtc_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *rtc = owner;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, offset, (uint32_t)value);
	update_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_bus_ops = {
	.read = rtc_read,
	.write = rtc_write,
};

static int open_timer(struct rtc *rtc, struct error *error)
{
	if (!rtc->loop)
		return 0;
	rtc->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rtc->timer_fd < 0)
		return error_system(error, errno, "timerfd");
	return loop_add(rtc->loop, rtc->timer_fd, POLLIN, rtc_alarm, rtc, error);
}

int rtc_open(struct rtc *rtc, struct bus *bus, struct interrupts *interrupts, unsigned line, uint64_t base,
	     struct loop *loop, struct error *error)
{
	const struct bus_region region = {
		.base = base, .size = RTC_SIZE, .ops = &rtc_bus_ops, .owner = rtc,
	};
	int result;

	*rtc = (struct rtc){
		.interrupts = interrupts, .bus = bus, .loop = loop,
		.line = line, .base = base, .timer_fd = -1,
	};
	state_reset(&rtc_state_table, &rtc->state);
	result = pthread_mutex_init(&rtc->lock, NULL);
	if (result) {
		rtc->bus = NULL;
		return error_system(error, result, "rtc: pthread_mutex_init");
	}
	if (open_timer(rtc, error) || bus_map(bus, &region, error)) {
		rtc_close(rtc);
		return error_context(error, "rtc");
	}
	return 0;
}

void rtc_close(struct rtc *rtc)
{
	if (!rtc->bus)
		return;
	bus_unmap(rtc->bus, rtc->base, rtc);
	if (rtc->timer_fd >= 0) {
		loop_remove(rtc->loop, rtc->timer_fd);
		close(rtc->timer_fd);
	}
	pthread_mutex_destroy(&rtc->lock);
	rtc->bus = NULL;
}

void rtc_reset(struct rtc *rtc)
{
	pthread_mutex_lock(&rtc->lock);
	state_reset(&rtc_state_table, &rtc->state);
	set_timer(rtc);
	update_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

void rtc_restored(struct rtc *rtc)
{
	pthread_mutex_lock(&rtc->lock);
	set_timer(rtc);
	rtc->level = rtc->state.interrupt_raw & rtc->state.interrupt_mask;
	interrupts_set_line(rtc->interrupts, rtc->line, rtc->level);
	pthread_mutex_unlock(&rtc->lock);
}

void rtc_fdt(const struct rtc *rtc, struct fdt_writer *writer)
{
	static const char compatible[] = "arm,pl031\0arm,primecell";

	fdt_writer_begin_primecell(writer, "rtc", rtc->base, rtc->line, compatible, sizeof(compatible));
	fdt_writer_end(writer);
}
