/* SPDX-License-Identifier: MIT */
/*
 * Writes the fuzzers' seeds with the code that writes snapshots: make_seeds FOLDER writes FOLDER/NAME/SEED. The seeds are in
 * git. `make fuzz-seeds` writes them again after a change of the format.
 */
#include <linux/input-event-codes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "fake/driver.h"
#include "fuzz.h"
#include "hw/rcec.h"
#include "hw/gpio.h"
#include "machine/machine.h"
#include "snapshot/rewrite.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "snapshot/working_set.h"
#include "state/names.h"

static const char *folder;

static void store(const char *harness, const char *name, const void *start, size_t start_size, const void *bytes,
		  size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, harness);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, harness, name);
	file = fopen(path, "wb");
	fuzz_must(file && fwrite(start, 1, start_size, file) == start_size && fwrite(bytes, 1, size, file) == size);
	fuzz_must(fclose(file) == 0);
}

static void make_sections(void)
{
	const uint8_t fields = 0, sections = 1;
	const uint16_t halves[] = { 1, 2, 3 };
	struct section_writer writer = { 0 };
	uint8_t start[8] = { fields };

	section_begin(&writer, "one", 1, SECTION_MANDATORY);
	field_add_number(&writer.buffer, "number", 42);
	field_add_text(&writer.buffer, "text", "hello");
	field_add(&writer.buffer, "halves", 2, 3, halves);
	field_add(&writer.buffer, "nothing", 4, 0, NULL);
	section_end(&writer);
	store("sections", "fields", start, sizeof(start), writer.buffer.bytes + SECTION_HEADER,
	      writer.buffer.size - SECTION_HEADER);
	section_begin(&writer, "two/with-a-longer-name", 1, 0);
	section_end(&writer);
	section_begin(&writer, "three", 2, 0);
	field_add_number(&writer.buffer, "number", UINT64_MAX);
	section_end(&writer);
	start[0] = sections;
	store("sections", "sections", start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
}

static void make_snapshot(const char *name, bool with_machine, bool with_working_set)
{
	static const struct machine_config config = {
		.name = "seed", .kernel = "/boot/Image", .parameters = "quiet", .cpus = 2, .memory = 2 * FORMAT_RAM_CHUNK,
		.address_bits = 40, .irqchip = IRQCHIP_GICV3_ITS, .disk_count = 1, .network_count = 1,
		.disks = { { .path = "/disk", .queues = 1, .size = 1 << 20 } },
		.networks = { { .tap = "tap0", .queues = 2, .vhost = true } },
	};
	static uint8_t ram[2 * FORMAT_RAM_CHUNK] = { "what is in RAM" };
	const uint8_t chunks = 2;
	struct section_writer writer = { 0 };
	struct {
		uint8_t as_it_is, chunks;
		uint16_t head, ram, zero;
	} start = { .chunks = 2, .ram = 16 };

	if (with_machine)
		machine_config_save(&config, &writer);
	if (with_working_set)
		working_set_save(&chunks, sizeof(ram), &writer);
	fuzz_add_ram(&writer, MACHINE_RAM, sizeof(ram));
	start.head = (uint16_t)writer.buffer.size;
	byte_buffer_add(&writer.buffer, ram, start.ram);
	fuzz_add_checksums(&writer, ram);
	store("snapshot", name, &start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
}

/* A compressed file with frames of 64 KiB: the first one has data, the second one is zero. */
static void make_frames(void)
{
	static uint8_t ram[2 * FORMAT_RAM_CHUNK] = { "what is in RAM" };
	const uint64_t offsets[2] = { FORMAT_RAM_ALIGNMENT };
	uint8_t packed[256];
	uLongf size = sizeof(packed);
	struct section_writer writer = { 0 };
	struct {
		uint8_t as_it_is, chunks;
		uint16_t head, ram, zero;
	} start = { .chunks = 1 };
	uint32_t sizes[2] = { 0 };

	fuzz_must(compress(packed, &size, ram, FORMAT_RAM_CHUNK) == Z_OK);
	sizes[0] = (uint32_t)size;
	start.ram = (uint16_t)((size + 7) / 8 * 8);
	fuzz_add_ram(&writer, MACHINE_RAM, sizeof(ram));
	start.head = (uint16_t)writer.buffer.size;
	byte_buffer_add(&writer.buffer, packed, start.ram);
	fuzz_add_checksums(&writer, ram);
	section_begin(&writer, SECTION_RAM_FRAMES, 1, SECTION_MANDATORY);
	field_add_number(&writer.buffer, "frame", FORMAT_RAM_CHUNK);
	field_add(&writer.buffer, "offset", sizeof(offsets[0]), 2, offsets);
	field_add(&writer.buffer, "size", sizeof(sizes[0]), 2, sizes);
	section_end(&writer);
	store("snapshot", "frames", &start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
}

/* A file with a base. The first page is in the file, the rest in the base. */
static void make_based(void)
{
	static uint8_t ram[2 * FORMAT_RAM_CHUNK] = { "what is in RAM" };
	const uint8_t pages[sizeof(ram) / FORMAT_RAM_PAGE / 8] = { 1 };
	struct section_writer writer = { 0 };
	uint8_t identity[16];
	struct {
		uint8_t as_it_is, chunks;
		uint16_t head, ram, zero;
	} start = { .chunks = 2, .ram = 16 };

	memset(identity, FUZZ_BASE_IDENTITY, sizeof(identity));
	fuzz_add_ram(&writer, MACHINE_RAM, sizeof(ram));
	start.head = (uint16_t)writer.buffer.size;
	byte_buffer_add(&writer.buffer, ram, start.ram);
	fuzz_add_checksums(&writer, ram);
	section_begin(&writer, SECTION_RAM_BASE, 1, SECTION_MANDATORY);
	field_add(&writer.buffer, "identity", 1, sizeof(identity), identity);
	field_add_text(&writer.buffer, "path", FUZZ_BASE);
	field_add(&writer.buffer, "pages", 1, sizeof(pages), pages);
	section_end(&writer);
	store("snapshot", "based", &start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
}

/* A stream of one page of data. Its identity differs in each run. */
static void make_stream(const char *name, int level)
{
	const uint8_t start[8] = { 0 };
	struct section_writer sections = { 0 };
	struct snapshot_writer writer = { .fd = memfd_create("plain", MFD_CLOEXEC) };
	struct rewrite rewrite = { .fd = memfd_create("stream", MFD_CLOEXEC), .stream = true, .level = level };
	struct snapshot snapshot;
	struct error error;
	struct ram ram;
	uint8_t *bytes;
	size_t size;

	fuzz_must(ram_open(&ram, MACHINE_RAM, 4 * FORMAT_RAM_CHUNK, &error) == 0);
	memset(ram.host + FORMAT_RAM_CHUNK, 0x42, FORMAT_RAM_PAGE);
	writer.ram = &ram;
	section_begin(&sections, "thing", 1, SECTION_MANDATORY);
	section_end(&sections);
	fuzz_must(snapshot_write(&writer, &sections.buffer, &error) == 0);
	snapshot_end(&writer);
	byte_buffer_free(&sections.buffer);
	fuzz_must(snapshot_open_file(&snapshot, writer.fd, "plain", &error) == 0);
	fuzz_must(snapshot_rewrite(&snapshot, &rewrite, &error) == 0);
	snapshot_close(&snapshot);
	ram_close(&ram);
	size = (size_t)lseek(rewrite.fd, 0, SEEK_END);
	bytes = malloc(size);
	fuzz_must(bytes && pread(rewrite.fd, bytes, size, 0) == (ssize_t)size);
	store("stream", name, start, sizeof(start), bytes, size);
	free(bytes);
	close(rewrite.fd);
}

static void make_boot(void)
{
	const uint8_t much = 0, with_initrd = 4;
	uint8_t image[256] = { 0 }, packed[512] = { 0 };
	const uint32_t magic = 0x644d5241, offset = 64;
	const uint64_t text_offset = 0x1000, image_size = 0x20000;
	z_stream stream = { .next_in = image, .avail_in = sizeof(image), .next_out = packed + offset,
			    .avail_out = sizeof(packed) - offset };
	uint32_t size;

	memcpy(image + 8, &text_offset, sizeof(text_offset));
	memcpy(image + 16, &image_size, sizeof(image_size));
	memcpy(image + 56, &magic, sizeof(magic));
	store("boot", "image", &with_initrd, 1, image, sizeof(image));
	memset(image + 8, 0, 16); /* an old Image without a size */
	store("boot", "old-image", &much, 1, image, sizeof(image));
	store("boot", "flat", &much, 1, "\x14", 1);

	fuzz_must(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	fuzz_must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	size = (uint32_t)stream.total_out;
	deflateEnd(&stream);
	store("boot", "gzip", &much, 1, packed + offset, size);
	memcpy(packed, "MZ\0\0zimg", 8);
	memcpy(packed + 8, &offset, sizeof(offset));
	memcpy(packed + 12, &size, sizeof(size));
	memcpy(packed + 24, "gzip", 5);
	store("boot", "zboot", &much, 1, packed, offset + size);
}

struct saver {
	struct state_visitor visitor; /* first */
	struct section_writer *writer;
	bool without_pci; /* leaves out the PCI state, which is large and equal in all devices */
};

static int save_object(struct state_visitor *visitor, const char *name, const struct state_table *table, void *object,
		       struct error *error)
{
	struct section_writer *writer = ((struct saver *)visitor)->writer;

	(void)error;
	if (((struct saver *)visitor)->without_pci && table == &pci_state_table)
		return 0;
	section_begin(writer, name, table->version, SECTION_MANDATORY);
	state_save(table, object, &writer->buffer);
	section_end(writer);
	return 0;
}

/* A device with a running driver and a buffer in each queue. */
static void make_device(uint8_t which, const char *name, bool with_pci,
			struct virtio_device *(*open)(struct vm *, struct pci_bus *, struct error *))
{
	const uint16_t queue_size = 16;
	struct section_writer writer = { 0 };
	struct saver saver = { .visitor.visit = save_object, .writer = &writer, .without_pci = !with_pci };
	struct fake_machine machine;
	struct fake_function function;
	struct fake_queue queue;
	struct virtio_device *device;
	uint8_t start[8] = { which };
	struct error error;

	fake_machine_open(&machine, true);
	device = open(&machine.vm, &machine.pci, &error);
	fuzz_must(device != NULL);
	fake_probe(&function, &machine, device->pci.slot);
	fake_enable_msix(&function);
	fake_negotiate(&function, 0);
	for (uint16_t i = 0; i < device->queue_count; i++) {
		fake_queue_init(&queue, &machine.vm.ram, FAKE_RAM_BASE + 0x400 * i, queue_size);
		fake_set_queue(&function, i, &queue, i);
		fake_descriptor(&queue, 0, FAKE_RAM_BASE + 0x1000, 64, i == 0 ? 2 : 0, 0); /* 2: the device writes it */
		fake_offer(&queue, 0);
	}
	fake_driver_ok(&function); /* it is still paused, and takes no buffer */
	if (device->ops->id == VIRTIO_INPUT)
		fuzz_must(virtio_input_press(device, KEY_POWER));
	pci_device_quiesce(&device->pci);
	fuzz_must(virtio_visit(device, &saver.visitor, &error) == 0);
	section_begin(&writer, "memory", 1, 0);
	field_add(&writer.buffer, "bytes", 1, 0x400 * device->queue_count, machine.vm.ram.host);
	section_end(&writer);
	store("devices", name, start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
	virtio_close(device);
	free(device);
	fake_machine_close(&machine);
}

static void make_board(void)
{
	const struct serial_state serial = {
		.fifo_control = 1, .receive_count = 2, .transmit_count = 1, .interrupt_enable = 3,
	};
	const struct rtc_state rtc = { .offset = 1, .armed = 1, .interrupt_mask = 1 };
	const struct gpio_state gpio = { .input = 8, .interrupt_mask = 0xff, .event = 0xff };
	struct section_writer writer = { 0 };
	const uint8_t start[8] = { 0 };

	section_begin(&writer, "serial", 1, 0);
	state_save(&serial_state_table, &serial, &writer.buffer);
	section_end(&writer);
	section_begin(&writer, "rtc", 1, 0);
	state_save(&rtc_state_table, &rtc, &writer.buffer);
	section_end(&writer);
	section_begin(&writer, "gpio", 1, 0);
	state_save(&gpio_state_table, &gpio, &writer.buffer);
	section_end(&writer);
	store("devices", "board", start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
}

/* An event collector with an enabled message, and an error. */
static void make_collector(void)
{
	struct section_writer writer = { 0 };
	struct saver saver = { .visitor.visit = save_object, .writer = &writer };
	struct rcec collector;
	struct fake_machine machine;
	struct fake_function function = { .machine = &machine };
	const uint8_t start[8] = { 0 };
	struct error error;

	fake_machine_open(&machine, true);
	fuzz_must(rcec_open(&collector, &machine.pci, &error) == 0);
	function.msix = collector.pci.msix_capability;
	fake_config_write(&function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_enable_msix(&function);
	fake_config_write(&function, 0x100 + PCI_ERR_ROOT_COMMAND, 4, PCI_ERR_ROOT_CMD_FATAL_EN);
	fuzz_must(rcec_report(&collector, 8, RCEC_FATAL));
	rcec_quiesce(&collector);
	fuzz_must(rcec_visit(&collector, &saver.visitor, &error) == 0);
	store("devices", "collector", start, sizeof(start), writer.buffer.bytes, writer.buffer.size);
	byte_buffer_free(&writer.buffer);
	rcec_close(&collector);
	fake_machine_close(&machine);
}

/* One device with two mapped events. The LPI of the second one is pending. its_table.h describes the entries. */
static void make_tables(const char *name, bool indirect)
{
	enum { DEVICES = 0x80010000, COLLECTIONS = 0x80020000, SECOND = 0x80030000, ITT = 0x80040000, PENDING = 0x80060000 };
	const uint64_t valid = 1ull << 63, device = valid | (uint64_t)ITT >> 8 << 5 | 4;
	const struct {
		uint64_t device_baser, collection_baser, propbaser, pendbasers[4];
		uint32_t ram_size, vcpu_count;
		uint64_t broken;
	} start = {
		.device_baser = valid | (indirect ? 1ull << 62 : 0) | DEVICES, .collection_baser = valid | COLLECTIONS,
		.propbaser = 0x80050000 | 15, .pendbasers = { PENDING, PENDING + 0x10000, PENDING, PENDING },
		.ram_size = 0x100000, .vcpu_count = 2,
	};
	const struct {
		uint64_t address, words[15];
	} pieces[] = {
		{ indirect ? SECOND : DEVICES, { 0, device } },
		{ COLLECTIONS, { valid, valid | 1 << 16 | 1 } },
		{ ITT, { 3ull << 48 | 8192ull << 16, 0, 0, 8200ull << 16 | 1 } },
		{ PENDING + 0x10000 + 1024, { 1 << 8 } },
		{ DEVICES, { valid | SECOND } },
	};

	store("tables", name, &start, sizeof(start), pieces, sizeof(pieces) - (indirect ? 0 : sizeof(pieces[0])));
}

/* Each kind of inspection, with a few edits: kind, section, field, element, value. */
static void make_inspect(void)
{
	enum { LOOKS = 19, VALUE = 0, TWICE = 2, WORD = 8 };
	static const struct {
		uint8_t kind, section;
		uint16_t field;
		uint32_t element;
		uint64_t value;
	} edits[] = {
		{ VALUE, 39, 3, 0, 0xb900000000000600 }, { TWICE, 10, 1, 0, 1 }, { WORD, 0, 100, 1, 0x1234 },
		{ VALUE, 13, 0, 0x34, 0x40 },
	}, passed[] = { /* MSI-X is enabled, and no event maps a vector */
		{ VALUE, 42, 0, 0x43, PCI_MSIX_FLAGS_ENABLE >> 8 }, { VALUE, 43, 0, 6, 0x12345 }, { VALUE, 44, 0, 7, 1 },
	};

	for (unsigned i = 0; i < LOOKS; i++) {
		const uint8_t start[8] = { (uint8_t)i };
		char name[16];

		snprintf(name, sizeof(name), "look%u", i);
		store("inspect", name, start, sizeof(start), edits, sizeof(edits));
		snprintf(name, sizeof(name), "passed%u", i);
		store("inspect", name, start, sizeof(start), passed, sizeof(passed));
	}
}

int main(int count, char **words)
{
	if (count != 2) {
		fprintf(stderr, "usage: make_seeds FOLDER\n");
		return 2;
	}
	folder = words[1];
	mkdir(folder, 0777);
	make_sections();
	make_snapshot("ram-only", false, false);
	make_snapshot("machine", true, false);
	make_snapshot("working-set", false, true);
	make_frames();
	make_based();
	make_stream("plain", 0);
	make_stream("compressed", 6);
	make_boot();
	make_tables("flat", false);
	make_tables("indirect", true);
	make_inspect();
	make_board();
	make_collector();
	make_device(1, "input", false, virtio_input_open);
	make_device(2, "balloon", false, virtio_balloon_open);
	make_device(3, "entropy", false, virtio_entropy_open);
	make_device(3, "entropy-with-pci", true, virtio_entropy_open);
	return 0;
}
