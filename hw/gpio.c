/* SPDX-License-Identifier: MIT */
/* The PL061 GPIO controller with the power keys: registers, interrupt line, key presses. */
#include "hw/gpio.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "state/names.h"

#define PRESS_NANOSECONDS 100000000
#define KEYS (1u << GPIO_LINE_POWER | 1u << GPIO_LINE_RESTART)

/* Section 3.2 of the manual. */
enum gpio_register {
	GPIO_DATA = 0x000, /* up to 0x3fc: bits 9..2 of the address select the lines */
	GPIO_DATA_END = 0x400,
	GPIO_DIRECTION = 0x400,
	GPIO_SENSE = 0x404,
	GPIO_BOTH_EDGES = 0x408,
	GPIO_EVENT = 0x40c,
	GPIO_INTERRUPT_MASK = 0x410,
	GPIO_RAW_INTERRUPT = 0x414,
	GPIO_MASKED_INTERRUPT = 0x418,
	GPIO_INTERRUPT_CLEAR = 0x41c,
	GPIO_ALTERNATE = 0x420,
	GPIO_IDENTIFICATION = 0xfe0, /* peripheral, then PrimeCell: four bytes each, in words */
};

static const struct state_field gpio_fields[] = {
	STATE_FIELD(struct gpio_state, input, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, output, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, direction, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, sense, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, both_edges, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, event, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, interrupt_mask, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, interrupt_raw, STATE_RUNTIME, 0),
	STATE_FIELD(struct gpio_state, alternate, STATE_RUNTIME, 0),
	STATE_ARRAY(struct gpio_state, padding, STATE_PADDING, 0),
};

const struct state_table gpio_state_table = STATE_TABLE(struct gpio_state, SECTION_GPIO, 1, gpio_fields);

/* Edges that occurred, and levels as they are now. */
static uint8_t raw_interrupts(const struct gpio_state *state)
{
	uint8_t levels = (uint8_t)~(state->input ^ state->event) & (uint8_t)~state->direction;

	return (state->interrupt_raw & (uint8_t)~state->sense) | (levels & state->sense);
}

static void update_line(struct gpio *gpio)
{
	bool level = raw_interrupts(&gpio->state) & gpio->state.interrupt_mask;

	if (level == gpio->level)
		return;
	gpio->level = level;
	interrupts_set_line(gpio->interrupts, gpio->line, level);
}

static void set_input(struct gpio *gpio, uint8_t input)
{
	struct gpio_state *state = &gpio->state;
	uint8_t changed = input ^ state->input;
	uint8_t wanted = state->both_edges | (uint8_t)~(input ^ state->event);

	state->input = input;
	state->interrupt_raw |= changed & wanted & (uint8_t)~state->sense & (uint8_t)~state->direction;
	update_line(gpio);
}

static uint8_t read_register(const struct gpio_state *state, uint64_t offset)
{
	static const uint8_t identification[] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	if (offset % 4)
		return 0;
	if (offset < GPIO_DATA_END)
		return ((state->output & state->direction) | (state->input & (uint8_t)~state->direction)) &
		       (uint8_t)(offset >> 2);
	if (offset >= GPIO_IDENTIFICATION)
		return identification[(offset - GPIO_IDENTIFICATION) / 4 % sizeof(identification)];
	switch (offset) {
	case GPIO_DIRECTION:
		return state->direction;
	case GPIO_SENSE:
		return state->sense;
	case GPIO_BOTH_EDGES:
		return state->both_edges;
	case GPIO_EVENT:
		return state->event;
	case GPIO_INTERRUPT_MASK:
		return state->interrupt_mask;
	case GPIO_RAW_INTERRUPT:
		return raw_interrupts(state);
	case GPIO_MASKED_INTERRUPT:
		return raw_interrupts(state) & state->interrupt_mask;
	case GPIO_ALTERNATE:
		return state->alternate;
	default:
		return 0;
	}
}

static uint64_t gpio_read(void *owner, uint64_t offset, unsigned size)
{
	struct gpio *gpio = owner;
	uint8_t value;

	(void)size; /* registers have eight bits, whatever the access */
	pthread_mutex_lock(&gpio->lock);
	value = read_register(&gpio->state, offset);
	pthread_mutex_unlock(&gpio->lock);
	return value;
}

static void write_register(struct gpio_state *state, uint64_t offset, uint8_t value)
{
	uint8_t selected;

	if (offset % 4)
		return;
	if (offset < GPIO_DATA_END) {
		selected = (uint8_t)(offset >> 2) & state->direction;
		state->output = (state->output & (uint8_t)~selected) | (value & selected);
		return;
	}
	switch (offset) {
	case GPIO_DIRECTION:
		state->direction = value;
		break;
	case GPIO_SENSE:
		state->sense = value;
		state->interrupt_raw &= (uint8_t)~value; /* an earlier edge does not count for a level */
		break;
	case GPIO_BOTH_EDGES:
		state->both_edges = value;
		break;
	case GPIO_EVENT:
		state->event = value;
		break;
	case GPIO_INTERRUPT_MASK:
		state->interrupt_mask = value;
		break;
	case GPIO_INTERRUPT_CLEAR:
		state->interrupt_raw &= (uint8_t)~value;
		break;
	case GPIO_ALTERNATE:
		state->alternate = value;
		break;
	default:
		break;
	}
}

static void gpio_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct gpio *gpio = owner;

	(void)size;
	pthread_mutex_lock(&gpio->lock);
	write_register(&gpio->state, offset, (uint8_t)value);
	update_line(gpio);
	pthread_mutex_unlock(&gpio->lock);
}

static const struct bus_ops gpio_bus_ops = {
	.read = gpio_read,
	.write = gpio_write,
};

static void gpio_release(void *owner, int fd, uint32_t events)
{
	struct gpio *gpio = owner;
	uint64_t expirations;

	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	pthread_mutex_lock(&gpio->lock);
	set_input(gpio, gpio->state.input & (uint8_t)~KEYS);
	pthread_mutex_unlock(&gpio->lock);
}

static void set_release_timer(struct gpio *gpio)
{
	const struct itimerspec delay = { .it_value.tv_nsec = PRESS_NANOSECONDS };

	timerfd_settime(gpio->release_fd, 0, &delay, NULL);
}

bool gpio_press(struct gpio *gpio, unsigned line)
{
	uint8_t bit = (uint8_t)(1u << line);
	bool listening;

	pthread_mutex_lock(&gpio->lock);
	listening = gpio->state.interrupt_mask & (uint8_t)~gpio->state.direction & bit;
	if (listening) {
		set_input(gpio, gpio->state.input | bit);
		set_release_timer(gpio);
	}
	pthread_mutex_unlock(&gpio->lock);
	return listening;
}

int gpio_open(struct gpio *gpio, struct bus *bus, struct interrupts *interrupts, unsigned line, uint64_t base,
	      struct loop *loop, struct error *error)
{
	const struct bus_region region = {
		.base = base, .size = GPIO_SIZE, .ops = &gpio_bus_ops, .owner = gpio,
	};
	int result;

	*gpio = (struct gpio){
		.interrupts = interrupts, .bus = bus, .loop = loop,
		.line = line, .base = base, .release_fd = -1,
	};
	state_reset(&gpio_state_table, &gpio->state);
	result = pthread_mutex_init(&gpio->lock, NULL);
	if (result) {
		gpio->bus = NULL;
		return error_system(error, result, "gpio: pthread_mutex_init");
	}
	gpio->release_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (gpio->release_fd < 0)
		error_system(error, errno, "timerfd");
	else if (loop_add(loop, gpio->release_fd, POLLIN, gpio_release, gpio, error) == 0 &&
		 bus_map(bus, &region, error) == 0)
		return 0;
	gpio_close(gpio);
	return error_context(error, "gpio");
}

void gpio_close(struct gpio *gpio)
{
	if (!gpio->bus)
		return;
	bus_unmap(gpio->bus, gpio->base, gpio);
	if (gpio->release_fd >= 0) {
		loop_remove(gpio->loop, gpio->release_fd);
		close(gpio->release_fd);
	}
	pthread_mutex_destroy(&gpio->lock);
	gpio->bus = NULL;
}

void gpio_reset(struct gpio *gpio)
{
	pthread_mutex_lock(&gpio->lock);
	state_reset(&gpio_state_table, &gpio->state);
	update_line(gpio);
	pthread_mutex_unlock(&gpio->lock);
}

void gpio_restored(struct gpio *gpio)
{
	pthread_mutex_lock(&gpio->lock);
	gpio->level = raw_interrupts(&gpio->state) & gpio->state.interrupt_mask;
	interrupts_set_line(gpio->interrupts, gpio->line, gpio->level);
	if (gpio->state.input & KEYS)
		set_release_timer(gpio);
	pthread_mutex_unlock(&gpio->lock);
}

static void write_key(struct fdt_writer *writer, const char *name, unsigned line, unsigned code)
{
	fdt_writer_begin(writer, name);
	fdt_writer_string(writer, "label", name);
	fdt_writer_cell(writer, "linux,code", code);
	FDT_WRITER_CELLS(writer, "gpios", FDT_PHANDLE_GPIO, line, 0);
	fdt_writer_flag(writer, "wakeup-source"); /* lkvm stop and lkvm reboot reach a suspended guest */
	fdt_writer_end(writer);
}

void gpio_fdt(const struct gpio *gpio, struct fdt_writer *writer)
{
	static const char compatible[] = "arm,pl061\0arm,primecell";

	fdt_writer_begin_primecell(writer, "gpio", gpio->base, gpio->line, compatible, sizeof(compatible));
	fdt_writer_flag(writer, "gpio-controller");
	fdt_writer_cell(writer, "#gpio-cells", 2);
	fdt_writer_flag(writer, "interrupt-controller");
	fdt_writer_cell(writer, "#interrupt-cells", 2);
	fdt_writer_cell(writer, "phandle", FDT_PHANDLE_GPIO);
	fdt_writer_end(writer);

	fdt_writer_begin(writer, "gpio-keys");
	fdt_writer_string(writer, "compatible", "gpio-keys");
	write_key(writer, "poweroff", GPIO_LINE_POWER, KEY_POWER);
	write_key(writer, "restart", GPIO_LINE_RESTART, KEY_RESTART);
	fdt_writer_end(writer);
}
