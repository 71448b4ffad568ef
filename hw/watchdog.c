/* SPDX-License-Identifier: MIT */
/* The generic watchdog: registers, and the timer of its two stages. */
#include "hw/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "state/names.h"

/* Registers of the control frame; the refresh frame has its own at 0, and the same identification. */
enum watchdog_register {
	WATCHDOG_CONTROL = 0x000,
	WATCHDOG_OFFSET = 0x008,  /* 48 bits */
	WATCHDOG_COMPARE = 0x010, /* 64 bits */
	WATCHDOG_IDENTIFICATION = 0xfcc,
};

#define ENABLED 1u
#define WS0 2u
#define WS1 4u
#define IDENTIFICATION 0x1043bu /* revision 1 of the architecture, by Arm */
#define OFFSET_MASK ((1ull << 48) - 1)
#define LONGEST_SECONDS (1u << 30) /* of the timer: longer stages set it again */

static const struct state_field watchdog_fields[] = {
	STATE_FIELD(struct watchdog_state, offset, STATE_RUNTIME, 0),
	STATE_FIELD(struct watchdog_state, compare, STATE_RUNTIME, 0),
	STATE_FIELD(struct watchdog_state, control, STATE_RUNTIME, 0),
	STATE_ARRAY(struct watchdog_state, padding, STATE_PADDING, 0),
};

const struct state_table watchdog_state_table = STATE_TABLE(struct watchdog_state, SECTION_WATCHDOG, 1, watchdog_fields);

/* The guest's counter. */
static uint64_t now(const struct watchdog *watchdog)
{
	return watchdog->running ? watchdog->config.counter() - watchdog->base : watchdog->base;
}

static bool counts(const struct watchdog *watchdog)
{
	return watchdog->running && (watchdog->state.control & (ENABLED | WS1)) == ENABLED;
}

/* The guest let it expire, and this process has not reported that. */
static bool must_report(const struct watchdog *watchdog)
{
	return watchdog->running && (watchdog->state.control & WS1) && !watchdog->reported;
}

/* Sets the timer to the end of the stage, or turns it off. */
static void set_timer(struct watchdog *watchdog)
{
	struct itimerspec when = { 0 };
	uint64_t count = now(watchdog), compare = watchdog->state.compare, ticks, frequency = watchdog->config.frequency;

	if (counts(watchdog)) {
		ticks = compare >= count ? compare - count + 1 : 0;
		when.it_value.tv_sec = (time_t)(ticks / frequency < LONGEST_SECONDS ? ticks / frequency : LONGEST_SECONDS);
		when.it_value.tv_nsec = (long)(ticks % frequency * 1000000000 / frequency);
	}
	if ((counts(watchdog) || must_report(watchdog)) && !when.it_value.tv_sec && !when.it_value.tv_nsec)
		when.it_value.tv_nsec = 1; /* all zeroes would turn it off */
	timerfd_settime(watchdog->timer_fd, 0, &when, NULL);
}

static void update_line(struct watchdog *watchdog)
{
	bool level = watchdog->state.control & WS0;

	if (level == watchdog->level)
		return;
	watchdog->level = level;
	interrupts_set_line(watchdog->interrupts, watchdog->config.line, level);
}

/* The guest wrote: the first stage begins again. */
static void refresh(struct watchdog *watchdog)
{
	watchdog->state.control &= ENABLED;
	watchdog->state.compare = now(watchdog) + watchdog->state.offset;
	watchdog->reported = false;
}

/* Ends the stage if its time is over. */
static void end_stage(struct watchdog *watchdog)
{
	struct watchdog_state *state = &watchdog->state;
	uint64_t count = now(watchdog);

	if (!counts(watchdog) || count <= state->compare)
		return;
	if (state->control & WS0) {
		state->control |= WS1;
	} else {
		state->control |= WS0;
		state->compare = count + state->offset;
	}
}

static void watchdog_timer(void *owner, int fd, uint32_t events)
{
	struct watchdog *watchdog = owner;
	uint64_t expirations;
	bool reports = false;

	(void)events;
	pthread_mutex_lock(&watchdog->lock);
	/* Read under the lock: if the guest has set another time before this, there is nothing to read. */
	if (read(fd, &expirations, sizeof(expirations)) > 0) {
		end_stage(watchdog);
		reports = must_report(watchdog);
		watchdog->reported |= reports;
		set_timer(watchdog);
		update_line(watchdog);
	}
	pthread_mutex_unlock(&watchdog->lock);
	if (reports)
		watchdog->config.expired(watchdog->config.owner);
}

/* The 64 bits at an aligned offset of the control frame. */
static uint64_t read_registers(const struct watchdog *watchdog, uint64_t offset)
{
	switch (offset) {
	case WATCHDOG_CONTROL:
		return watchdog->state.control;
	case WATCHDOG_OFFSET:
		return watchdog->state.offset;
	case WATCHDOG_COMPARE:
		return watchdog->state.compare;
	case WATCHDOG_IDENTIFICATION & ~7:
		return (uint64_t)IDENTIFICATION << 32;
	default:
		return 0;
	}
}

static uint64_t watchdog_read(void *owner, uint64_t offset, unsigned size)
{
	struct watchdog *watchdog = owner;
	uint64_t value;

	if (size < 4 || offset % size)
		return 0;
	pthread_mutex_lock(&watchdog->lock);
	value = read_registers(watchdog, offset & ~7ull) >> 8 * (offset & 4);
	pthread_mutex_unlock(&watchdog->lock);
	return size == 4 ? (uint32_t)value : value;
}

/* Replaces the bits of a 64-bit register that an access has. */
static uint64_t merge(uint64_t old, uint64_t offset, unsigned size, uint64_t value)
{
	if (size == 8)
		return value;
	return offset & 4 ? (uint32_t)old | value << 32 : (old & ~0xffffffffull) | (uint32_t)value;
}

static void write_register(struct watchdog *watchdog, uint64_t offset, unsigned size, uint64_t value)
{
	struct watchdog_state *state = &watchdog->state;

	switch (offset & ~7ull) {
	case WATCHDOG_CONTROL:
		if (offset & 4)
			return;
		state->control = value & ENABLED;
		refresh(watchdog);
		break;
	case WATCHDOG_OFFSET:
		state->offset = merge(state->offset, offset, size, value) & OFFSET_MASK;
		refresh(watchdog);
		break;
	case WATCHDOG_COMPARE:
		state->compare = merge(state->compare, offset, size, value);
		break;
	default:
		return;
	}
	set_timer(watchdog);
	update_line(watchdog);
}

static void watchdog_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct watchdog *watchdog = owner;

	if (size < 4 || offset % size)
		return;
	pthread_mutex_lock(&watchdog->lock);
	write_register(watchdog, offset, size, value);
	pthread_mutex_unlock(&watchdog->lock);
}

static uint64_t watchdog_read_refresh(void *owner, uint64_t offset, unsigned size)
{
	return offset >= (WATCHDOG_IDENTIFICATION & ~7u) ? watchdog_read(owner, offset, size) : 0;
}

static void watchdog_write_refresh(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct watchdog *watchdog = owner;

	(void)value;
	if (size < 4 || offset)
		return;
	pthread_mutex_lock(&watchdog->lock);
	refresh(watchdog);
	set_timer(watchdog);
	update_line(watchdog);
	pthread_mutex_unlock(&watchdog->lock);
}

static const struct bus_ops control_ops = { .read = watchdog_read, .write = watchdog_write };
static const struct bus_ops refresh_ops = { .read = watchdog_read_refresh, .write = watchdog_write_refresh };

static int map_frames(struct watchdog *watchdog, struct error *error)
{
	struct bus_region region = {
		.base = watchdog->config.base, .size = WATCHDOG_FRAME_SIZE, .ops = &control_ops, .owner = watchdog,
	};

	if (bus_map(watchdog->bus, &region, error) < 0)
		return -1;
	region.base += WATCHDOG_REFRESH;
	region.ops = &refresh_ops;
	return bus_map(watchdog->bus, &region, error);
}

int watchdog_open(struct watchdog *watchdog, struct bus *bus, struct interrupts *interrupts, struct loop *loop,
		  const struct watchdog_config *config, struct error *error)
{
	int result;

	*watchdog = (struct watchdog){ .config = *config, .interrupts = interrupts, .bus = bus, .loop = loop };
	state_reset(&watchdog_state_table, &watchdog->state);
	watchdog->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watchdog->timer_fd < 0) {
		watchdog->bus = NULL;
		return error_system(error, errno, "watchdog: timerfd");
	}
	result = pthread_mutex_init(&watchdog->lock, NULL);
	if (result) {
		close(watchdog->timer_fd);
		watchdog->bus = NULL;
		return error_system(error, result, "watchdog: pthread_mutex_init");
	}
	if (loop_add(loop, watchdog->timer_fd, POLLIN, watchdog_timer, watchdog, error) < 0 || map_frames(watchdog, error) < 0) {
		watchdog_close(watchdog);
		return error_context(error, "watchdog");
	}
	return 0;
}

void watchdog_close(struct watchdog *watchdog)
{
	if (!watchdog->bus)
		return;
	bus_unmap(watchdog->bus, watchdog->config.base, watchdog);
	bus_unmap(watchdog->bus, watchdog->config.base + WATCHDOG_REFRESH, watchdog);
	loop_remove(watchdog->loop, watchdog->timer_fd);
	close(watchdog->timer_fd);
	pthread_mutex_destroy(&watchdog->lock);
	watchdog->bus = NULL;
}

void watchdog_pause(struct watchdog *watchdog)
{
	pthread_mutex_lock(&watchdog->lock);
	watchdog->base = now(watchdog);
	watchdog->running = false;
	set_timer(watchdog);
	pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_resume(struct watchdog *watchdog, uint64_t counter)
{
	pthread_mutex_lock(&watchdog->lock);
	watchdog->base = watchdog->config.counter() - counter;
	watchdog->running = true;
	set_timer(watchdog);
	pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_reset(struct watchdog *watchdog)
{
	pthread_mutex_lock(&watchdog->lock);
	state_reset(&watchdog_state_table, &watchdog->state);
	watchdog->base = 0;
	watchdog->reported = false;
	set_timer(watchdog);
	update_line(watchdog);
	pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_restored(struct watchdog *watchdog)
{
	pthread_mutex_lock(&watchdog->lock);
	/* What no guest can write may come from a damaged file. */
	watchdog->state.offset &= OFFSET_MASK;
	watchdog->state.control &= watchdog->state.control & ENABLED ? ENABLED | WS0 | WS1 : 0;
	watchdog->level = watchdog->state.control & WS0;
	interrupts_set_line(watchdog->interrupts, watchdog->config.line, watchdog->level);
	pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_fdt(const struct watchdog *watchdog, struct fdt_writer *writer)
{
	uint64_t control = watchdog->config.base, frame = control + WATCHDOG_REFRESH;

	fdt_writer_begin_at(writer, "watchdog", control);
	fdt_writer_string(writer, "compatible", "arm,sbsa-gwdt");
	FDT_WRITER_CELLS(writer, "reg", (uint32_t)(control >> 32), (uint32_t)control, 0, WATCHDOG_FRAME_SIZE,
			 (uint32_t)(frame >> 32), (uint32_t)frame, 0, WATCHDOG_FRAME_SIZE);
	fdt_writer_interrupt(writer, watchdog->config.line);
	fdt_writer_end(writer);
}

const char *watchdog_stage(struct watchdog *watchdog)
{
	uint32_t control;

	pthread_mutex_lock(&watchdog->lock);
	control = watchdog->state.control;
	pthread_mutex_unlock(&watchdog->lock);
	if (control & WS1)
		return "expired";
	if (control & WS0)
		return "signalled";
	return control & ENABLED ? "counting" : "off";
}
