/* SPDX-License-Identifier: MIT */
/* `lkvm snapshot diff`: each list and its rows, equal snapshots, and damaged or hostile files. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/command.h"
#include "inspect/diff.h"
#include "util/bits.h"
#include "util/io.h"
#include "snapshot/rewrite.h"

#define BASE 0x80000000u
#define RAM_SIZE (16ull * FORMAT_RAM_CHUNK)
#define VALID (1ull << 63)
#define DEVICES 0x10000u /* this and the following: offsets of the ITS's tables in RAM */
#define COLLECTIONS 0x20000u
#define ITT 0x30000u
#define PROPERTIES 0x40000u
#define PENDING 0x50000u

#define X0 "0x6030000000100000"
#define V1 "0x6040000000100058"
#define CNTV_CTL "0x603000000013df19"

/* The contents of a snapshot, which a test changes before it writes the second one. */
static struct {
	struct machine_config config;
	struct ram ram;
	struct {
		uint32_t group[2], enabled[2], pending[2], active[2], line[2], trigger[4], priority[16], route[64];
		uint64_t control;
	} distributor;
	uint32_t redistributor_enabled;
	uint64_t its_control;
	uint64_t x0, v1[2], timer;
	uint64_t counter;
	uint8_t pci_config[64];
	uint64_t msix_pending;
	void (*more)(struct section_writer *sections);
} made;

static char scratch[40];
static char out[64 << 20], errors[4096];

static void put(uint32_t offset, uint64_t entry)
{
	memcpy(made.ram.host + offset, &entry, sizeof(entry));
}

static uint64_t event_entry(uint64_t next, uint64_t lpi, uint64_t collection)
{
	return next << 48 | lpi << 16 | collection;
}

/* Device 0 has events 0 and 1 on LPIs 8192 and 8193, both enabled, in collection 0 on vCPU 0. */
static void map_events(void)
{
	put(DEVICES, VALID | (uint64_t)(BASE + ITT) >> 8 << 5 | 4);
	put(COLLECTIONS, VALID);
	put(ITT, event_entry(1, 8192, 0));
	put(ITT + 8, event_entry(0, 8193, 0));
	memset(made.ram.host + PROPERTIES, 0xa1, 2);
}

static int set_up(void **state)
{
	struct error error;

	(void)state;
	memset(&made, 0, sizeof(made));
	made.config = (struct machine_config){
		.name = "made", .kernel = "/boot/Image", .cpus = 1, .memory = RAM_SIZE, .address_bits = 40,
		.irqchip = IRQCHIP_GICV3_ITS, .disk_count = 1, .disks = { { .path = "/disk", .queues = 1, .size = 4096 } },
	};
	if (ram_open(&made.ram, BASE, RAM_SIZE, &error) < 0)
		return -1;
	map_events();
	strcpy(scratch, "/tmp/lkvm-diff-XXXXXX");
	return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ram_close(&made.ram);
	unlink("a");
	unlink("b");
	return chdir("/") < 0 || rmdir(scratch) < 0 ? -1 : 0;
}

static void add_gic(struct section_writer *sections)
{
	struct byte_buffer *buffer = &sections->buffer;

	section_begin(sections, "gic/distributor", 1, SECTION_MANDATORY);
	field_add_number(buffer, "CTLR", made.distributor.control);
	field_add(buffer, "IROUTER", 4, 64, made.distributor.route);
	field_add(buffer, "IGROUPR", 4, 2, made.distributor.group);
	field_add(buffer, "ISENABLER", 4, 2, made.distributor.enabled);
	field_add(buffer, "ICFGR", 4, 4, made.distributor.trigger);
	field_add(buffer, "LEVEL_INFO", 4, 2, made.distributor.line);
	field_add(buffer, "ISPENDR", 4, 2, made.distributor.pending);
	field_add(buffer, "ISACTIVER", 4, 2, made.distributor.active);
	field_add(buffer, "IPRIORITYR", 4, 16, made.distributor.priority);
	section_end(sections);
	for (unsigned i = 0; i < made.config.cpus; i++) {
		char name[32];

		snprintf(name, sizeof(name), "gic/redistributor%u", i);
		section_begin(sections, name, 1, SECTION_MANDATORY);
		field_add_number(buffer, "PROPBASER", BASE + PROPERTIES + 15);
		field_add_number(buffer, "PENDBASER", BASE + PENDING);
		field_add(buffer, "ISENABLER", 4, 1, &made.redistributor_enabled);
		section_end(sections);
	}
	if (made.config.irqchip != IRQCHIP_GICV3_ITS)
		return;
	section_begin(sections, "its", 1, SECTION_MANDATORY);
	field_add_number(buffer, "BASER0", VALID | (BASE + DEVICES));
	field_add_number(buffer, "BASER1", VALID | (BASE + COLLECTIONS));
	field_add_number(buffer, "CTLR", made.its_control);
	section_end(sections);
}

static void write_snapshot(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct section_writer sections = { 0 };
	struct snapshot_writer writer = { .fd = fd, .ram = &made.ram };
	struct byte_buffer *buffer = &sections.buffer;
	struct error error;

	machine_config_save(&made.config, &sections);
	add_gic(&sections);
	section_begin(&sections, "vcpu0", 1, SECTION_MANDATORY);
	field_add_number(buffer, "mp_state", 0);
	field_add_number(buffer, X0, made.x0);
	field_add(buffer, V1, 8, 2, made.v1);
	field_add_number(buffer, CNTV_CTL, made.timer);
	section_end(&sections);
	section_begin(&sections, "clock", 1, SECTION_MANDATORY);
	field_add_number(buffer, "counter", made.counter);
	section_end(&sections);
	section_begin(&sections, "virtio-blk0/pci", 1, SECTION_MANDATORY);
	field_add(buffer, "config", 1, sizeof(made.pci_config), made.pci_config);
	field_add_number(buffer, "msix_pending", made.msix_pending);
	section_end(&sections);
	if (made.more)
		made.more(&sections);
	assert_int_equal(snapshot_write(&writer, buffer, &error), 0);
	snapshot_end(&writer);
	byte_buffer_free(buffer);
	close(fd);
}

/* The command. */

static void read_all(int fd, char *text, size_t size)
{
	ssize_t got = pread_full(fd, text, size - 1, 0);

	assert_in_range(got, 0, size - 1);
	text[got] = '\0';
	close(fd);
}

static int redirect(FILE *stream, int to)
{
	int kept = dup(fileno(stream));

	fflush(stream);
	dup2(to, fileno(stream));
	return kept;
}

static void put_back(FILE *stream, int kept)
{
	fflush(stream);
	dup2(kept, fileno(stream));
	close(kept);
	clearerr(stream);
}

/* Runs lkvm snapshot diff with these arguments. Its output goes to the file `to`, its messages to `errors`. */
static int call_to(int to, const char *line)
{
	static const struct command commands[] = {
		{ .name = "snapshot diff", .run = cmd_snapshot_diff, .options = &snapshot_diff_options_table, .most = 2 },
		{ .name = NULL },
	};
	int err = memfd_create("err", MFD_CLOEXEC), kept_out = redirect(stdout, to), kept_err = redirect(stderr, err);
	char text[256], *words[16], *rest = text;
	int count = 0, status;

	snprintf(text, sizeof(text), "lkvm snapshot diff %s", line);
	for (char *word; (word = strtok_r(rest, " ", &rest));)
		words[count++] = word;
	status = command_main(commands, count, words);
	put_back(stdout, kept_out);
	put_back(stderr, kept_err);
	read_all(err, errors, sizeof(errors));
	return status;
}

static int call(const char *line)
{
	int to = memfd_create("out", MFD_CLOEXEC), status = call_to(to, line);

	read_all(to, out, sizeof(out));
	return status;
}

#define assert_says(text, part)                                                                            \
	do {                                                                                               \
		if (!strstr(text, part))                                                                   \
			fail_msg("no \"%s\" in: %s", part, text);                                          \
	} while (0)

/* Returns the number of changes between a and b. */
static unsigned changes(void)
{
	static const char *const paths[] = { "a", "b" };
	struct snapshot snapshots[2];
	struct inspection sides[2];
	struct report report;
	struct error error;
	uint64_t count;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(snapshot_open(&snapshots[i], paths[i], &error), 0);
		assert_int_equal(inspection_open(&sides[i], &snapshots[i], &error), 0);
	}
	report_open(&report, false);
	assert_int_equal(diff_snapshots(&sides[0], &sides[1], false, &report, &count, &error), 0);
	report_close(&report);
	for (unsigned i = 0; i < 2; i++) {
		inspection_close(&sides[i]);
		snapshot_close(&snapshots[i]);
	}
	return (unsigned)count;
}

/* Writes b with the current contents, and expects `count` changes since a. One of them is this row of this list. */
static void assert_row(unsigned count, const char *list, const char *row)
{
	char expected[64];

	write_snapshot("b");
	assert_int_equal(call("a b"), 1);
	assert_string_equal(errors, "");
	snprintf(expected, sizeof(expected), "\n%s\n", list);
	assert_says(out, expected);
	assert_says(out, row);
	assert_int_equal(changes(), count);
}

/* A file and its compressed form do not differ. Changed RAM is also found in the compressed form. */
static void diff_ignores_the_form_of_a_snapshot(void **state)
{
	struct rewrite rewrite = { .level = 1 };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	write_snapshot("a");
	assert_int_equal(snapshot_open(&snapshot, "a", &error), 0);
	rewrite.fd = open("b", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(snapshot_rewrite(&snapshot, &rewrite, &error), 0);
	close(rewrite.fd);
	snapshot_close(&snapshot);
	assert_int_equal(changes(), 0);
	made.ram.host[0x5000] ^= 1;
	write_snapshot("a");
	assert_int_equal(changes(), 1);
}

static void assert_nothing(void)
{
	write_snapshot("b");
	assert_int_equal(call("a b"), 0);
	assert_string_equal(out, "");
	assert_string_equal(errors, "");
	assert_int_equal(call("--json a b"), 0);
	assert_string_equal(out, "{\"identical\": true}\n");
	assert_int_equal(changes(), 0);
}

/* Tests. */

static void diff_ignores_identity_and_time(void **state)
{
	(void)state;
	write_snapshot("a");
	assert_nothing();
	made.counter++;
	write_snapshot("b");
	assert_int_equal(call("a b"), 1);
	assert_says(out, "snapshots\n  snapshot  file  identity");
	assert_says(out, "\n  before    a     ");
	assert_says(out, "\n  after     b     ");
}

static void diff_shows_configuration(void **state)
{
	(void)state;
	write_snapshot("a");
	made.config.pmu = true;
	assert_row(1, "machine", "  machine  pmu    0       1\n");
	made.config.pmu = false;
	made.config.disks[0].path = "/elsewhere";
	assert_row(1, "machine", "  disk0    path   /disk   /elsewhere\n");
	made.config.disks[0].path = "/disk";
	made.config.kernel = "x"; /* in a configuration, one byte is a text, too */
	assert_row(1, "machine", "  machine  kernel  /boot/Image  x\n");
	made.config.kernel = NULL;
	assert_row(1, "machine", "  machine  kernel  /boot/Image  -\n");
	made.config.kernel = "/boot/Image";
	assert_nothing();
}

static void diff_shows_registers_of_vcpus(void **state)
{
	(void)state;
	write_snapshot("a");
	made.x0 = 0x123456789abcdef;
	assert_row(1, "vcpus", "  0     x0        0x0     0x123456789abcdef  -\n");
	made.v1[1] = 0x77;
	assert_row(2, "vcpus", "0x00000000000000770000000000000000  -\n");
	made.x0 = made.v1[1] = 0;
	made.timer = 4; /* ISTATUS: no difference */
	assert_nothing();
	made.timer = 5;
	assert_row(1, "vcpus", "  0     CNTV_CTL_EL0  0x0     0x5    ENABLE 0 -> 1, ISTATUS 0 -> 1\n");
}

static void diff_shows_state_of_interrupts(void **state)
{
	(void)state;
	write_snapshot("a");
	made.distributor.enabled[1] = 2;
	made.distributor.priority[8] = 0xa000;
	assert_row(2, "interrupts", "  SPI 33     65     -     enabled   no      yes\n");
	assert_says(out, "  SPI 33     65     -     priority  0x0     0xa0\n");
	memset(&made.distributor, 0, sizeof(made.distributor));
	made.distributor.group[0] = 1;
	made.distributor.pending[0] = 1;
	made.distributor.active[0] = 1;
	made.distributor.line[0] = 1;
	made.distributor.trigger[0] = 2;
	made.distributor.route[0] = 3;
	assert_row(6, "interrupts", "  SPI 0      32     -     group     0       1\n");
	assert_says(out, "  SPI 0      32     -     pending   no      yes\n");
	assert_says(out, "  SPI 0      32     -     active    no      yes\n");
	assert_says(out, "  SPI 0      32     -     line      low     high\n");
	assert_says(out, "  SPI 0      32     -     trigger   level   edge\n");
	assert_says(out, "  SPI 0      32     -     route     0x0     0x3\n");
	memset(&made.distributor, 0, sizeof(made.distributor));
	made.redistributor_enabled = 1u << 27 | 1;
	assert_row(2, "interrupts", "  PPI 11     27     0     enabled   no      yes\n");
	assert_says(out, "  SGI 0      0      0     enabled   no      yes\n");
}

static void diff_shows_registers_of_gic_and_its(void **state)
{
	(void)state;
	write_snapshot("a");
	made.distributor.control = 0x52;
	made.its_control = 1;
	assert_row(2, "interrupt controller", "  gic/distributor  CTLR      0x0     0x52   EnableGrp1 0 -> 1, ARE 0 -> 1, DS 0 -> 1\n");
	assert_says(out, "  its              CTLR      0x0     0x1    Enabled 0 -> 1\n");
}

static void diff_shows_its_events(void **state)
{
	(void)state;
	write_snapshot("a");
	/* LPI 8193 becomes disabled and pending, and its priority changes from 0xa0. RAM also differs, in a range for each table. */
	made.ram.host[PROPERTIES + 1] = 0x80;
	made.ram.host[PENDING + 8193 / 8] = 2;
	assert_row(5, "its events", "  0x0     virtio-blk0  1      enabled   yes     no\n");
	assert_says(out, "  0x0     virtio-blk0  1      priority  160     128\n");
	assert_says(out, "  0x0     virtio-blk0  1      pending   no      yes\n");
	made.ram.host[PENDING + 8193 / 8] = 0;
	made.ram.host[PROPERTIES + 1] = 0xa1;
	/* Event 1 is removed, event 2 is added. */
	put(ITT, event_entry(2, 8192, 0));
	put(ITT + 16, event_entry(0, 8194, 0));
	assert_row(3, "its events", "  0x0     virtio-blk0  1      mapping   LPI 8193, vCPU 0, enabled  -\n");
	assert_says(out, "  0x0     virtio-blk0  2      mapping   -                          LPI 8194, vCPU 0\n");
}

static void diff_shows_its_devices_and_collections(void **state)
{
	(void)state;
	write_snapshot("a");
	made.config.cpus = 1;
	put(DEVICES, VALID | 8ull << 49 | (uint64_t)(BASE + ITT) >> 8 << 5 | 3);
	put(DEVICES + 64, VALID | (uint64_t)(BASE + ITT + 0x1000) >> 8 << 5 | 4);
	put(COLLECTIONS + 8, VALID | 1);
	assert_row(5, "its devices", "  0x0     virtio-blk0  events    32");
	assert_says(out, "  0x8     -            mapping   -       events 32, ITT 0x80031000\n");
	assert_says(out, "its collections\n  collection  property  before  after\n  1           mapping   -       vCPU 0\n");
	/* The collection has no vCPU. */
	put(COLLECTIONS, VALID | 0xffffffffull << 16);
	assert_row(8, "its collections", "  0           vCPU      0       none\n");
	assert_says(out, "  0x0     virtio-blk0  1      vCPU      0       none\n");
}

static void diff_shows_faults_of_its_tables(void **state)
{
	(void)state;
	write_snapshot("a");
	put(DEVICES, VALID | (uint64_t)(BASE - 0x10000u) >> 8 << 5 | 4);
	write_snapshot("b");
	assert_int_equal(call("a b"), 1);
	assert_says(out, "its faults\n");
	assert_says(out, "0x7fff0000  mapping   -       an interrupt translation table is not in RAM\n");
}

static void diff_shows_missing_section_when_one_machine_has_no_its(void **state)
{
	(void)state;
	write_snapshot("a");
	made.config.irqchip = IRQCHIP_GICV3;
	/* Changes: irqchip, two events, a device, a collection, the section. */
	assert_row(6, "sections", "  its      presence  there   -\n");
}

static uint8_t device_data[1 << 20];
static uint32_t device_data_size, device_entry;

static void add_passed_through(struct section_writer *sections)
{
	const uint32_t entries[4] = { 0x3ffe0040, 0, device_entry };

	section_begin(sections, "vfio0/msix", 1, SECTION_MANDATORY);
	field_add(&sections->buffer, "entries", 4, 4, entries);
	section_end(sections);
	if (!device_data_size)
		return;
	section_begin(sections, "vfio0/data", 1, SECTION_MANDATORY);
	field_add(&sections->buffer, "data", 1, device_data_size, device_data);
	section_end(sections);
}

/* The data of a device's host driver is one row. */
static void diff_shows_data_of_passed_through_devices(void **state)
{
	(void)state;
	made.more = add_passed_through;
	made.config.vfio = (struct vfio_config){ .count = 1, .devices = { "0000:01:00.0" } };
	memset(device_data, 'x', sizeof(device_data)); /* which is too long for a text */
	device_entry = 1;
	device_data_size = sizeof(device_data);
	write_snapshot("a");
	assert_nothing();
	strcpy(made.config.vfio.devices[0], "0000:02:00.0");
	assert_row(1, "machine", "  vfio0    address  0000:01:00.0  0000:02:00.0\n");
	strcpy(made.config.vfio.devices[0], "0000:01:00.0");
	device_entry = 2;
	assert_row(1, "devices", "  vfio0/msix  entries[2]  0x1     0x2\n");
	device_entry = 1;
	for (size_t i = 0; i < sizeof(device_data); i += 2)
		device_data[i] = 'y';
	assert_row(1, "devices", "  vfio0/data  data   1048576 bytes, CRC-32 0x153b9c32  1048576 bytes, CRC-32 0x");
	device_data_size = 5;
	assert_row(1, "devices", "  vfio0/data  data   1048576 bytes, CRC-32 0x153b9c32  5 bytes, CRC-32 0x");
	device_data_size = 0;
	assert_row(1, "sections", "  vfio0/data  presence  there   -\n");
	made.more = NULL;
}

static void diff_shows_fields_of_devices(void **state)
{
	(void)state;
	write_snapshot("a");
	made.counter = 7;
	assert_row(1, "devices", "  clock    counter  0x0     0x7\n");
	made.counter = 0;
	made.msix_pending = 1;
	made.pci_config[4] = 6;
	made.pci_config[0x10] = 1;
	made.pci_config[0x11] = 2;
	assert_row(3, "devices", "  virtio-blk0/pci  config[0x10-0x11]  00 00   01 02\n");
	assert_says(out, "  virtio-blk0/pci  config[0x4]        00      06\n");
	assert_says(out, "  virtio-blk0/pci  msix_pending       0x0     0x1\n");
}

/* Fields of other sizes, with the same name, in another order, and missing. */

static void add_odd(struct section_writer *sections)
{
	const uint32_t words[] = { 1, 2, 3, 4 };

	section_begin(sections, "odd", 1, 0);
	field_add(&sections->buffer, "words", 4, 4, words);
	field_add_number(&sections->buffer, "twice", 1);
	field_add_number(&sections->buffer, "twice", 2);
	field_add_text(&sections->buffer, "text", "one");
	field_add(&sections->buffer, "nothing", 8, 0, NULL);
	section_end(sections);
}

static void add_odder(struct section_writer *sections)
{
	const uint16_t words[] = { 1, 7 };

	section_begin(sections, "odd", 2, 0);
	field_add_text(&sections->buffer, "text", "another");
	field_add_number(&sections->buffer, "twice", 1);
	field_add_number(&sections->buffer, "twice", 3);
	field_add(&sections->buffer, "words", 2, 2, words);
	field_add_number(&sections->buffer, "new", 1);
	section_end(sections);
}

static void add_reordered(struct section_writer *sections)
{
	const uint32_t words[] = { 1, 2, 3, 4 };

	section_begin(sections, "odd", 1, 0);
	field_add(&sections->buffer, "nothing", 8, 0, NULL);
	field_add_text(&sections->buffer, "text", "one");
	field_add_number(&sections->buffer, "twice", 1);
	field_add(&sections->buffer, "words", 4, 4, words);
	field_add_number(&sections->buffer, "twice", 2);
	section_end(sections);
}

static void diff_shows_fields_of_any_shape(void **state)
{
	(void)state;
	made.more = add_odd;
	write_snapshot("a");
	assert_nothing();
	made.more = add_reordered;
	assert_nothing();
	made.more = add_odder;
	assert_row(7, "devices", "  odd      words     4 x 4 bytes  2 x 2 bytes\n");
	assert_says(out, "  odd      words[1]  0x2          0x7\n");
	assert_says(out, "  odd      twice     0x2          0x3\n");
	assert_says(out, "  odd      text      one          another\n");
	assert_says(out, "  odd      new       -            0x1\n");
	assert_says(out, "sections\n  section  what     before  after\n  odd      version  1       2\n");
	made.more = NULL;
	assert_row(1, "sections", "  odd      presence  there   -\n");
}

static uint64_t value; /* of each of many fields */

static void add_many(struct section_writer *sections)
{
	section_begin(sections, "many", 1, 0);
	for (unsigned i = 0; i < DIFF_MAX_FIELDS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		field_add_number(&sections->buffer, name, value);
	}
	section_end(sections);
}

static void add_too_many(struct section_writer *sections)
{
	add_many(sections);
	section_begin(sections, "too-many", 1, 0);
	for (unsigned i = 0; i < DIFF_MAX_FIELDS + 1; i++)
		field_add_number(&sections->buffer, "same", value);
	section_end(sections);
}

static void diff_limits_fields_that_it_shows(void **state)
{
	(void)state;
	value = 0;
	made.more = add_too_many;
	write_snapshot("a");
	value = 1;
	assert_row(DIFF_MAX_FIELDS + 1, "devices", "  many     f255   0x0     0x1\n");
	assert_null(strstr(out, "f256"));
	assert_says(out, "\ndevices not shown  16129\n");
	assert_int_equal(call("--all a b"), 1);
	assert_says(out, "  many      f16383  ");
	assert_says(out, "  too-many  fields  too many to compare  too many to compare\n");
	assert_null(strstr(out, "not shown"));
	assert_int_equal(call("--json a b"), 1);
	assert_says(out, "\"field\": \"f16383\", \"before\": \"0x0\", \"after\": \"0x1\"}");
}

/* Arrays with an element for each interrupt, in sizes that no machine has. */
static uint32_t hostile_count, hostile_bits;
static unsigned hostile_size;

static void add_hostile(struct section_writer *sections)
{
	uint8_t *values = calloc(hostile_count, hostile_size);

	values[0] = (uint8_t)hostile_bits;
	section_begin(sections, "gic/redistributor7", 1, 0);
	field_add(&sections->buffer, "IPRIORITYR", hostile_size, hostile_count, values);
	section_end(sections);
	free(values);
}

static void diff_compares_shapes_when_arrays_do_not_match(void **state)
{
	static const struct {
		uint32_t count;
		unsigned size;
	} shapes[] = { { 1, 8 }, { 9, 4 }, { 1 << 20, 4 }, { 1 << 24, 1 }, { 40, 2 } };

	(void)state;
	made.more = add_hostile;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		hostile_count = shapes[i].count;
		hostile_size = shapes[i].size;
		hostile_bits = 0;
		write_snapshot("a");
		hostile_bits = 0x70;
		assert_row(1, "interrupt controller", "  gic/redistributor7  IPRIORITYR");
	}
	/* One change of the shape, one of the elements. */
	hostile_count = 8;
	hostile_size = 4;
	assert_row(2, "interrupt controller", "  gic/redistributor7  IPRIORITYR     40 x 2 bytes  8 x 4 bytes  -\n");
}

static void add_array_twice(struct section_writer *sections)
{
	const uint32_t word = 0, other = hostile_bits;

	section_begin(sections, "gic/redistributor7", 1, 0);
	field_add(&sections->buffer, "ISENABLER", 4, 1, &word);
	field_add(&sections->buffer, "ISENABLER", 4, 1, &other);
	section_end(sections);
}

static void diff_shows_array_once_when_it_is_there_twice(void **state)
{
	(void)state;
	made.more = add_array_twice;
	hostile_bits = 0;
	write_snapshot("a");
	hostile_bits = 1;
	assert_row(1, "interrupt controller", "  gic/redistributor7  ISENABLER  0x0     0x1    -\n");
}

static void diff_ends_when_its_tables_are_endless(void **state)
{
	(void)state;
	write_snapshot("a");
	/* The device table has 256 pages, more than RAM. Each entry is a device with 65536 events, all in the same ITT. */
	for (uint32_t at = 0; at < RAM_SIZE; at += 8)
		put(at, VALID | 1ull << 49 | (uint64_t)BASE >> 8 << 5 | 15);
	write_snapshot("b");
	assert_int_equal(call("a b"), 1);
	assert_says(out, "its devices\n");
	assert_int_equal(call("b a"), 1);
}

/* Maps 8192 devices with 64 events each, all in one ITT. */
static void map_many(uint64_t lpi, int properties)
{
	for (uint32_t id = 0; id < 8192; id++)
		put(DEVICES + id * 8, VALID | 1ull << 49 | (uint64_t)(BASE + ITT) >> 8 << 5 | 5);
	for (uint32_t id = 0; id < 64; id++)
		put(ITT + id * 8, event_entry(1, lpi + id, 0));
	memset(made.ram.host + PROPERTIES, properties, 256);
}

static void diff_limits_its_events_that_it_compares(void **state)
{
	size_t shown = 0;

	(void)state;
	map_many(8192, 0xa1);
	write_snapshot("a");
	map_many(8256, 0x80);
	write_snapshot("b");
	assert_int_equal(call("--json a b"), 1);
	for (const char *at = out; *at; at++) /* strstr() would search all of it each time */
		shown += *at == '"' && !strncmp(at, "\"before\": ", 10);
	assert_int_equal(shown, DIFF_MAX_ROWS);
	/* Each event differs in LPI, enabled and priority. */
	assert_int_equal(changes(), 3 * DIFF_MAX_EVENTS + 2);
	assert_says(out, "\"its_events_not_shown\": 131072, \"its_events_compared_up_to\": 131072,");
	assert_says(out, "\"ram\": [], \"ram_not_shown\": 2, \"ram_pages\": 2,");
}

static void diff_shows_ranges_of_ram(void **state)
{
	(void)state;
	write_snapshot("a");
	made.ram.host[0x60000] = 1;
	memset(made.ram.host + 0x6f000, 1, 0x2001); /* across the end of a chunk */
	assert_row(2, "ram", "  0x80060000  4 KiB   1\n");
	assert_says(out, "  0x8006f000  12 KiB  3\n");
	assert_says(out, "ram pages  4\nram bytes  16 KiB\n");
	assert_int_equal(call("--json a b"), 1);
	assert_says(out, "{\"address\": \"0x8006f000\", \"size\": 12288, \"pages\": 3}], \"ram_pages\": 4, \"ram_bytes\": 16384}");
}

static void diff_limits_ranges_of_ram_unless_all_is_given(void **state)
{
	(void)state;
	write_snapshot("a");
	for (uint32_t at = 0x60000; at < 0x60000 + 40 * 8192; at += 8192)
		made.ram.host[at] = 1;
	assert_row(40, "ram", "  0x8009e000  4 KiB  1\n");
	assert_null(strstr(out, "0x800a0000"));
	assert_says(out, "ram not shown  8\nram pages      40\n");
	assert_int_equal(call("--all a b"), 1);
	assert_says(out, "0x800ae000");
	assert_null(strstr(out, "not shown"));
}

static void diff_compares_common_part_of_ram(void **state)
{
	struct error error;

	(void)state;
	memset(made.ram.host + 0xf0000, 7, 4096);
	write_snapshot("a");
	/* The common part of RAM is equal. */
	ram_close(&made.ram);
	assert_int_equal(ram_open(&made.ram, BASE, RAM_SIZE / 2, &error), 0);
	map_events();
	assert_row(1, "ram place", "  size  0x100000  0x80000\n");
	assert_null(strstr(out, "ram pages"));
	made.ram.host[0x70000] = 1;
	assert_row(2, "ram", "  0x80070000  4 KiB  1\n");
	/* RAM has no common part. */
	ram_close(&made.ram);
	assert_int_equal(ram_open(&made.ram, BASE + RAM_SIZE, RAM_SIZE, &error), 0);
	write_snapshot("b");
	assert_int_equal(call("a b"), 1);
	assert_says(out, "  base  0x80000000  0x80100000\n");
}

static void diff_exits_with_2_when_ram_is_damaged(void **state)
{
	uint8_t byte = 1;
	int fd;

	(void)state;
	write_snapshot("a");
	made.ram.host[0x60000] = byte;
	write_snapshot("b");
	fd = open("a", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, 0x10000 + 0x60000), 1);
	close(fd);
	assert_int_equal(call("a b"), 2);
	assert_string_equal(out, "");
	assert_string_equal(errors, "lkvm: snapshot diff: a, b: RAM at 0x80060000 is damaged in one of them: the bytes are the "
				    "same, the checksums are not\n");
}

static void diff_exits_with_2_when_it_cannot_compare(void **state)
{
	int full;

	(void)state;
	write_snapshot("a");
	assert_int_equal(call("a"), 2);
	assert_string_equal(errors, "lkvm: snapshot diff: two files are required; see 'lkvm snapshot diff --help'\n");
	assert_int_equal(call("a a a"), 2);
	assert_int_equal(call("--what a a"), 2);
	assert_int_equal(call("nowhere a"), 2);
	assert_says(errors, "lkvm: snapshot diff: nowhere: cannot open it");
	assert_int_equal(call("a nowhere"), 2);
	made.config.cpus = 0;
	write_snapshot("b");
	assert_int_equal(call("a b"), 2);
	assert_says(errors, "lkvm: snapshot diff: b: section machine: ");
	/* The output cannot be written. */
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(call_to(full, "--json a a"), 2);
	assert_string_equal(errors, "lkvm: standard output cannot be written\n");
	close(full);
	assert_int_equal(call("a a"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(diff_ignores_identity_and_time),
		TEST(diff_ignores_the_form_of_a_snapshot),
		TEST(diff_shows_configuration),
		TEST(diff_shows_registers_of_vcpus),
		TEST(diff_shows_state_of_interrupts),
		TEST(diff_shows_registers_of_gic_and_its),
		TEST(diff_shows_its_events),
		TEST(diff_shows_its_devices_and_collections),
		TEST(diff_shows_faults_of_its_tables),
		TEST(diff_shows_missing_section_when_one_machine_has_no_its),
		TEST(diff_shows_fields_of_devices),
		TEST(diff_shows_data_of_passed_through_devices),
		TEST(diff_shows_fields_of_any_shape),
		TEST(diff_limits_fields_that_it_shows),
		TEST(diff_compares_shapes_when_arrays_do_not_match),
		TEST(diff_shows_array_once_when_it_is_there_twice),
		TEST(diff_ends_when_its_tables_are_endless),
		TEST(diff_limits_its_events_that_it_compares),
		TEST(diff_shows_ranges_of_ram),
		TEST(diff_limits_ranges_of_ram_unless_all_is_given),
		TEST(diff_compares_common_part_of_ram),
		TEST(diff_exits_with_2_when_ram_is_damaged),
		TEST(diff_exits_with_2_when_it_cannot_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
