/* SPDX-License-Identifier: MIT */
/* The devices of the board as components: serial port, real-time clock, GPIO and VM generation ID. */
#include "components.h"
#include "state/names.h"

static int component_serial_open(struct machine *machine, struct error *error)
{
	/* It is always there, for early messages; the terminal belongs to one console. */
	struct terminal *terminal = machine->config.console == CONSOLE_SERIAL ? machine->terminal : NULL;

	return serial_open(&machine->serial, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_UART, MACHINE_UART,
			   terminal, error);
}

static void component_serial_close(struct machine *machine)
{
	serial_close(&machine->serial);
}

static void component_serial_reset(struct machine *machine)
{
	serial_reset(&machine->serial);
}

static int component_serial_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	return visitor->visit(visitor, SECTION_SERIAL, &serial_state_table, &machine->serial.state, error);
}

static int component_serial_restored(struct machine *machine, struct error *error)
{
	return serial_restored(&machine->serial, error);
}

static void component_serial_fdt(struct machine *machine, struct fdt_writer *writer)
{
	serial_fdt(&machine->serial, writer);
}

const struct component component_serial = {
	.open = component_serial_open,
	.close = component_serial_close,
	.reset = component_serial_reset,
	.visit = component_serial_visit,
	.restored = component_serial_restored,
	.fdt = component_serial_fdt,
};

static int component_rtc_open(struct machine *machine, struct error *error)
{
	return rtc_open(&machine->rtc, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_RTC, MACHINE_RTC,
			machine->loop, error);
}

static void component_rtc_close(struct machine *machine)
{
	rtc_close(&machine->rtc);
}

static void component_rtc_reset(struct machine *machine)
{
	rtc_reset(&machine->rtc);
}

static int component_rtc_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	return visitor->visit(visitor, SECTION_RTC, &rtc_state_table, &machine->rtc.state, error);
}

static int component_rtc_restored(struct machine *machine, struct error *error)
{
	(void)error;
	rtc_restored(&machine->rtc);
	return 0;
}

static void component_rtc_fdt(struct machine *machine, struct fdt_writer *writer)
{
	rtc_fdt(&machine->rtc, writer);
}

const struct component component_rtc = {
	.open = component_rtc_open,
	.close = component_rtc_close,
	.reset = component_rtc_reset,
	.visit = component_rtc_visit,
	.restored = component_rtc_restored,
	.fdt = component_rtc_fdt,
};

static int component_gpio_open(struct machine *machine, struct error *error)
{
	return gpio_open(&machine->gpio, &machine->vm.bus, &machine->vm.interrupts, MACHINE_LINE_GPIO, MACHINE_GPIO,
			 machine->loop, error);
}

static void component_gpio_close(struct machine *machine)
{
	gpio_close(&machine->gpio);
}

static void component_gpio_reset(struct machine *machine)
{
	gpio_reset(&machine->gpio);
}

static int component_gpio_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	return visitor->visit(visitor, SECTION_GPIO, &gpio_state_table, &machine->gpio.state, error);
}

static int component_gpio_restored(struct machine *machine, struct error *error)
{
	(void)error;
	gpio_restored(&machine->gpio);
	return 0;
}

static void component_gpio_fdt(struct machine *machine, struct fdt_writer *writer)
{
	gpio_fdt(&machine->gpio, writer);
}

const struct component component_gpio = {
	.open = component_gpio_open,
	.close = component_gpio_close,
	.reset = component_gpio_reset,
	.visit = component_gpio_visit,
	.restored = component_gpio_restored,
	.fdt = component_gpio_fdt,
};

/* It has no reset: what a guest starts with again belongs to the same machine. */
static int component_vmgenid_open(struct machine *machine, struct error *error)
{
	return vmgenid_open(&machine->vmgenid, &machine->vm, MACHINE_LINE_VMGENID, MACHINE_VMGENID, error);
}

static void component_vmgenid_close(struct machine *machine)
{
	vmgenid_close(&machine->vmgenid);
}

static void component_vmgenid_resume(struct machine *machine)
{
	vmgenid_resume(&machine->vmgenid);
}

static void component_vmgenid_reset(struct machine *machine)
{
	vmgenid_reset(&machine->vmgenid);
}

static int component_vmgenid_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	return visitor->visit(visitor, SECTION_VMGENID, &vmgenid_state_table, &machine->vmgenid.state, error);
}

static int component_vmgenid_restored(struct machine *machine, struct error *error)
{
	bool listens;

	if (gic_spi_enabled(&machine->vm, MACHINE_LINE_VMGENID, &listens, error) < 0)
		return -1;
	return vmgenid_restored(&machine->vmgenid, listens, error);
}

static void component_vmgenid_fdt(struct machine *machine, struct fdt_writer *writer)
{
	vmgenid_fdt(&machine->vmgenid, writer);
}

const struct component component_vmgenid = {
	.open = component_vmgenid_open,
	.close = component_vmgenid_close,
	.resume = component_vmgenid_resume,
	.reset = component_vmgenid_reset,
	.visit = component_vmgenid_visit,
	.restored = component_vmgenid_restored,
	.fdt = component_vmgenid_fdt,
};
