/* SPDX-License-Identifier: MIT */
/*
 * Restores devices from a hostile state: a virtio device with its PCI function and queues, and the board's serial line, RTC,
 * GPIO and event collector. The harness restores the sections of the input. Then the guest accesses the device, the device
 * serves its rings, and a reset must make it work again.
 *
 * Input: a byte that selects the device, seven unused bytes, sections. A section "memory" with a field "bytes" has the first
 * bytes of guest RAM. A part without a section keeps its initial state.
 */
#include <linux/pci_regs.h>
#include <stdio.h>

#include "fake/driver.h"
#include "fake/kvm.h"
#include "fuzz.h"
#include "hw/rcec.h"
#include "hw/gpio.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "mutate.h"

#define BOARD 0x01000000ull

struct loader {
	struct state_visitor visitor; /* first */
	struct sections *sections;
};

static int load_object(struct state_visitor *visitor, const char *name, const struct state_table *table, void *object,
		       struct error *error)
{
	const struct section *section = sections_find(((struct loader *)visitor)->sections, name);

	return section ? state_load(table, object, &section->fields, section->version, error) : 0;
}

/* Reads everything that a guest may read, and writes it back. */
static void poke(struct bus *bus, uint64_t base, uint64_t size)
{
	for (uint64_t offset = 0; offset + 4 <= size; offset += 4) {
		uint64_t value = 0;

		bus_read(bus, base + offset, 4, &value);
		if (offset % 16 == 0)
			bus_write(bus, base + offset, 4, value);
	}
}

/* All of the collector's state is in config space. After a reset it reports no errors. */
static void collector(struct fake_machine *machine, struct loader *loader)
{
	struct rcec collector;
	struct error error;

	fuzz_must(rcec_open(&collector, &machine->pci, &error) == 0);
	if (rcec_visit(&collector, &loader->visitor, &error) == 0 &&
	    rcec_restored(&collector, &error) == 0) {
		rcec_report(&collector, 8, RCEC_FATAL);
		poke(&machine->vm.bus, machine->pci.layout.ecam, 0x200);
		rcec_quiesce(&collector);
		rcec_resume(&collector);
		rcec_reset(&collector);
		fuzz_must(!rcec_report(&collector, 8, RCEC_FATAL));
	}
	rcec_close(&collector);
}

static void board(struct sections *sections)
{
	struct loader loader = { .visitor.visit = load_object, .sections = sections };
	struct fake_machine machine;
	struct interrupts *interrupts = &machine.vm.interrupts;
	struct bus *bus = &machine.vm.bus;
	struct error error;
	struct serial serial;
	struct gpio gpio;
	struct loop loop;
	struct rtc rtc;

	fake_machine_open(&machine, true);
	loop_open(&loop);
	fuzz_must(serial_open(&serial, bus, interrupts, 0, BOARD, NULL, &error) == 0);
	fuzz_must(rtc_open(&rtc, bus, interrupts, 1, BOARD + 0x1000, &loop, &error) == 0);
	fuzz_must(gpio_open(&gpio, bus, interrupts, 2, BOARD + 0x2000, &loop, &error) == 0);
	if (load_object(&loader.visitor, "serial", &serial_state_table, &serial.state, &error) == 0 &&
	    load_object(&loader.visitor, "rtc", &rtc_state_table, &rtc.state, &error) == 0 &&
	    load_object(&loader.visitor, "gpio", &gpio_state_table, &gpio.state, &error) == 0 &&
	    serial_restored(&serial, &error) == 0) {
		rtc_restored(&rtc);
		gpio_restored(&gpio);
		poke(bus, BOARD, 0x40);
		poke(bus, BOARD + 0x1000, 0x40);
		poke(bus, BOARD + 0x2000, 0x440);
		serial_reset(&serial);
		rtc_reset(&rtc);
		gpio_reset(&gpio);
	}
	collector(&machine, &loader);
	gpio_close(&gpio);
	rtc_close(&rtc);
	serial_close(&serial);
	fake_machine_close(&machine);
}

/* The function's structures are in its BARs. */
static void use(struct virtio_device *device, struct fake_machine *machine)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (device->pci.bars[i].mapped)
			poke(&machine->vm.bus, device->pci.bars[i].address,
			     device->pci.bars[i].size < 0x2100 ? device->pci.bars[i].size : 0x2100);
	pci_device_quiesce(&device->pci);
	pci_device_resume(&device->pci);
	/* Runs the worker's function on this thread, while the worker is parked. */
	worker_pause(&device->worker);
	atomic_store(&device->worker.wanted, false);
	device->worker.work(device->worker.owner);
	atomic_store(&device->worker.wanted, true);
}

static void virtio(struct sections *sections, uint8_t which)
{
	struct loader loader = { .visitor.visit = load_object, .sections = sections };
	const struct section *memory = sections_find(sections, "memory");
	struct virtio_device *device;
	struct fake_machine machine;
	struct error error;
	struct field bytes;

	fake_machine_open(&machine, true);
	if (memory && field_find(&memory->fields, "bytes", &bytes) && bytes.size == 1 && bytes.count < FAKE_RAM_SIZE)
		memcpy(machine.vm.ram.host, bytes.values, bytes.count);
	device = which == 1 ? virtio_input_open(&machine.vm, &machine.pci, &error) :
		 which == 2 ? virtio_balloon_open(&machine.vm, &machine.pci, &error) :
			      virtio_entropy_open(&machine.vm, &machine.pci, &error);
	fuzz_must(device != NULL);
	if (virtio_visit(device, &loader.visitor, &error) == 0 && virtio_restored(device, &error) == 0) {
		use(device, &machine);
		virtio_reset(device);
		fuzz_must(device->state.status == 0 && !device->running);
	}
	virtio_close(device);
	free(device);
	fake_machine_close(&machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sections sections = { 0 };
	struct error error;
	uint8_t *bytes;

	if (size < 8)
		return 0;
	fake_kvm_reset();
	size -= 8;
	bytes = malloc(size ? size : 1);
	fuzz_must(bytes != NULL);
	memcpy(bytes, data + 8, size);
	fuzz_repair_sections(bytes, size);
	if (sections_parse(&sections, bytes, size, &error) == 0) {
		if (data[0] % 4 == 0)
			board(&sections);
		else
			virtio(&sections, data[0] % 4);
	}
	sections_free(&sections);
	free(bytes);
	return 0;
}
