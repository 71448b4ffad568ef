/* SPDX-License-Identifier: MIT */
/*
 * Makes a golden snapshot, or prints one: tests/golden/README.md.
 *
 *     golden make FILE     saves a machine without a guest on the fake KVM, with devices that a driver uses
 *     golden print FILE    prints the text that is stored beside a golden snapshot
 */
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <unistd.h>

#include "golden.h"

static const struct machine_config config = {
	.name = "golden", .kernel = "/boot/Image", .initrd = "/boot/initrd", .parameters = "console=ttyS0 quiet", .cpus = 1,
	.memory = GOLDEN_RAM_SIZE, .address_bits = 40, .irqchip = IRQCHIP_GICV3_ITS, .console = CONSOLE_SERIAL, .pmu = true,
	.sve_lengths = { 1, 2, 4 }, .pauth = true, .entropy = true, .balloon = true, .power_buttons = true,
	.kaslr_seed_given = true, .kaslr_seed = 0x0123456789abcdef, .counter_frequency = 62500000,
	.disk_count = 1,
	.disks = { { .path = "/disk.raw", .read_only = true, .queues = 2, .serial = "disk", .size = 1 << 20 } },
	.network_count = 1,
	.networks = { { .tap = "tap0", .script = "/etc/up", .mac = { 2, 1, 2, 3, 4, 5 }, .vhost = true, .queues = 2 } },
};

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "golden: %s\n", what);
	exit(1);
}

static void save_board(struct state_writer *saver)
{
	struct machine_clock clock = { .counter = 0x123456789a, .resets = 2 };
	struct serial_state serial = { .interrupt_enable = 5, .fifo_control = 1, .receive_count = 3, .receive_fifo = "abc" };
	struct rtc_state rtc = { .offset = 60, .match = 0x70000000, .interrupt_mask = 1, .armed = 1 };
	struct gpio_state gpio = { .input = 8, .event = 0x18, .interrupt_mask = 0x18, .interrupt_raw = 8 };
	struct vmgenid_state generation = { .id = { 0x0123456789abcdef, 0xfedcba9876543210 } };
	struct error error;

	state_write(&saver->visitor, "clock", &machine_clock_table, &clock, &error);
	state_write(&saver->visitor, "serial", &serial_state_table, &serial, &error);
	state_write(&saver->visitor, "rtc", &rtc_state_table, &rtc, &error);
	state_write(&saver->visitor, "gpio", &gpio_state_table, &gpio, &error);
	state_write(&saver->visitor, "generation", &vmgenid_state_table, &generation, &error);
}

/* Saves a device with a running driver and a request in each queue. */
static void save_device(struct state_writer *saver, struct fake_machine *machine, struct virtio_device *device)
{
	struct fake_function function;
	struct fake_queue queue;
	struct error error;

	must(device != NULL, "a device cannot be opened");
	fake_probe(&function, machine, device->pci.slot);
	fake_enable_msix(&function);
	fake_negotiate(&function, 0);
	for (uint16_t i = 0; i < device->queue_count; i++) {
		fake_queue_init(&queue, &machine->vm.ram, FAKE_RAM_BASE + 0x4000 * i, 32);
		fake_set_queue(&function, i, &queue, i);
		fake_offer(&queue, 0);
	}
	fake_driver_ok(&function);
	if (device->ops->id == VIRTIO_INPUT)
		must(virtio_input_press(device, KEY_POWER), "no key can be pressed");
	must(virtio_visit(device, &saver->visitor, &error) == 0, "a device's state cannot be had");
	virtio_close(device);
	free(device);
}

/* Writes to one page of the first chunk, to all of the second chunk, and to the last bytes. The rest becomes a hole. */
static void fill(struct ram *ram)
{
	memcpy(ram->host + 0x3000, "golden", 6);
	for (size_t i = 0; i < FORMAT_RAM_CHUNK; i++)
		ram->host[FORMAT_RAM_CHUNK + i] = (uint8_t)(i / 7);
	memcpy(ram->host + ram->size - 6, "golden", 6);
}

static void make(const char *path)
{
	struct section_writer writer = { 0 };
	struct state_writer saver = { .visitor.visit = state_write, .sections = &writer };
	struct golden_machine machine;
	struct fake_machine devices;
	struct snapshot_writer file = {
		.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666),
	};
	struct error error;

	must(file.fd >= 0, "the file is there already, or cannot be made");
	must(golden_open(&machine, &error) == 0, "no machine");
	const struct migrate migrate = golden_migration(&machine);

	machine_config_save(&config, &writer);
	must(migrate_save(&migrate, &writer, &error) == 0, "KVM's state cannot be had");
	save_board(&saver);
	fake_machine_open(&devices, true);
	save_device(&saver, &devices, virtio_entropy_open(&devices.vm, &devices.pci, &error));
	save_device(&saver, &devices, virtio_balloon_open(&devices.vm, &devices.pci, &error));
	save_device(&saver, &devices, virtio_input_open(&devices.vm, &devices.pci, &error));
	fake_machine_close(&devices);
	fill(&machine.vm.ram);
	file.ram = &machine.vm.ram;
	must(snapshot_write(&file, &writer.buffer, &error) == 0, "it cannot be written");
	snapshot_end(&file);
	byte_buffer_free(&writer.buffer);
	vm_close(&machine.vm);
	close(file.fd);
}

static void print(const char *path)
{
	struct snapshot snapshot;
	struct error error;

	must(snapshot_open(&snapshot, path, &error) == 0, error.text);
	golden_print(stdout, &snapshot);
	snapshot_close(&snapshot);
}

int main(int count, char **words)
{
	if (count == 3 && !strcmp(words[1], "make")) {
		make(words[2]);
	} else if (count == 3 && !strcmp(words[1], "print")) {
		print(words[2]);
	} else {
		fprintf(stderr, "usage: golden make FILE | golden print FILE\n");
		return 2;
	}
	return 0;
}
