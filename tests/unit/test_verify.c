/* SPDX-License-Identifier: MIT */
/* `lkvm snapshot verify`: output and exit status for a real guest's snapshot, damaged ones, and ones with other sections. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include "cmd/command.h"
#include "fake/machine.h"
#include "inspect/verify.h"
#include "util/checksum.h"

#define CHUNK FORMAT_RAM_CHUNK

static char path[] = "/tmp/lkvm-verify-XXXXXX";

static struct {
	int status;
	char out[65536];
	char err[4096];
} result;

static void read_all(int fd, char *text, size_t size)
{
	ssize_t got = pread_full(fd, text, size - 1, 0);

	text[got < 0 ? 0 : got] = '\0';
	close(fd);
}

/* Runs the command on the file, with an option or NULL. Returns the exit status. */
static int verify(const char *option)
{
	int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC), status;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (!child) {
		char lkvm[] = "lkvm", snapshot[] = "snapshot", verb[] = "verify", word[16];
		char *words[] = { lkvm, snapshot, verb, path, word, NULL };

		snprintf(word, sizeof(word), "%s", option ? option : "");
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		exit(command_main(command_table, option ? 5 : 4, words)); /* not _exit(): the leak checker runs at exit */
	}
	waitpid(child, &status, 0);
	result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	read_all(out, result.out, sizeof(result.out));
	read_all(err, result.err, sizeof(result.err));
	return result.status;
}

/* Expects "PATH: text" on its own line. */
static void assert_says(const char *text)
{
	char line[512];

	snprintf(line, sizeof(line), "%s: %s\n", path, text);
	if (!strstr(result.out, line))
		fail_msg("no \"%s\" in: %s%s", line, result.out, result.err);
}

static void assert_ends(const char *text)
{
	size_t length = strlen(result.out), end = strlen(text);

	if (length < end || strcmp(result.out + length - end, text) != 0)
		fail_msg("no \"%s\" at the end of: %s%s", text, result.out, result.err);
}

static int set_up(void **state)
{
	char command[128];

	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	close(mkstemp(path));
	memset(&fake_machine, 0, sizeof(fake_machine));
	snprintf(command, sizeof(command), "gzip -dc tests/golden/real-1.lkvm.gz | cp --sparse=always /dev/stdin %s", path);
	return system(command);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void damage(uint64_t offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

/* RAM begins at 64 KiB in the file. */
static void damage_chunk(uint64_t chunk)
{
	damage((chunk + 1) * CHUNK + chunk * 5 % CHUNK);
}

static void verify_accepts_snapshot_of_real_guest(void **state)
{
	(void)state;
	assert_int_equal(verify(NULL), 0);
	assert_string_equal(result.err, "");
	assert_says("good (64 MiB of RAM, 41 sections)");
	assert_int_equal(verify("--json"), 0);
	assert_non_null(strstr(result.out, "{\"faults\": [], \"file\": \"/tmp/lkvm-verify-"));
	assert_non_null(strstr(result.out, "\"good\": true, \"fault_count\": 0, \"sections\": 41, \"ram\": 67108864, "
					   "\"ram_checked\": true, \"contents_checked\": true, \"host_checked\": false, \"changed_disk_files\": 0}"));
}

/* The commit record is valid, so only RAM's checksums find the damage. Adjacent chunks are one range. */
static void verify_reports_ranges_of_damaged_ram(void **state)
{
	(void)state;
	damage_chunk(0);
	damage_chunk(500);
	damage_chunk(501);
	damage_chunk(502);
	damage_chunk(1023);
	assert_int_equal(verify(NULL), 1);
	assert_says("RAM 0x80000000: 64 KiB from here on are damaged: their checksum is wrong");
	assert_says("RAM 0x81f40000: 192 KiB from here on are damaged: each of their checksums is wrong");
	assert_says("RAM 0x83ff0000: 64 KiB from here on are damaged: their checksum is wrong");
	assert_ends("\n3 faults\n");
	assert_int_equal(verify("--json"), 1);
	assert_non_null(strstr(result.out, "{\"place\": \"RAM 0x81f40000\", \"what\": \"192 KiB from here on"));
	assert_non_null(strstr(result.out, "\"good\": false, \"fault_count\": 3"));
}

static void verify_counts_damage_beyond_its_limit(void **state)
{
	(void)state;
	for (uint64_t chunk = 0; chunk < 1024; chunk += 2)
		damage_chunk(chunk);
	assert_int_equal(verify(NULL), 1);
	assert_says("RAM 0x807e0000: 64 KiB from here on are damaged: their checksum is wrong");
	assert_null(strstr(result.out, "RAM 0x80800000"));
	assert_says("RAM: 28672 KiB in 448 other places are damaged, too");
	assert_ends("\n65 faults\n");
}

static void verify_reports_hole_in_place_of_data(void **state)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t data = lseek(fd, 65536, SEEK_DATA) & ~(off_t)(CHUNK - 1);
	char text[128];

	(void)state;
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, data, CHUNK), 0);
	close(fd);
	assert_int_equal(verify(NULL), 1);
	snprintf(text, sizeof(text), "RAM 0x%llx: 64 KiB from here on are a hole in the file, where data was",
		 (unsigned long long)data - CHUNK + 0x80000000);
	assert_says(text);
	assert_ends("\n1 fault\n");
}

/* Returns the offset of a section's body in the file. */
static uint64_t offset_of(const char *name)
{
	const struct section *section;
	struct snapshot snapshot;
	struct error error;
	uint64_t offset;

	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	section = sections_find(&snapshot.sections, name);
	assert_non_null(section);
	offset = (uint64_t)(section->fields.bytes - snapshot.head); /* this file has them before RAM */
	snapshot_close(&snapshot);
	return offset;
}

static void verify_reports_each_damaged_section(void **state)
{
	uint64_t vcpu = offset_of("vcpu1"), rtc = offset_of("rtc");

	(void)state;
	damage(vcpu + 100);
	damage(rtc + 9);
	damage_chunk(7);
	assert_int_equal(verify("--host"), 1);
	assert_says("file: section vcpu1 is damaged: its checksum is wrong");
	assert_says("file: section rtc is damaged: its checksum is wrong");
	assert_says("RAM 0x80070000: 64 KiB from here on are damaged: their checksum is wrong");
	assert_says("file: the contents of its sections were not checked");
	assert_ends("\n3 faults\n");
}

/* With a damaged header, neither the next section nor RAM's checksums can be found. */
static void verify_stops_at_a_damaged_section_header(void **state)
{
	uint64_t its = offset_of("its");

	(void)state;
	damage(its - 64 + 16);
	assert_int_equal(verify(NULL), 1);
	assert_says("file: the header of section 8 is damaged");
	assert_says("file: the contents of its sections were not checked, nor its RAM");
	assert_ends("\n1 fault\n");
}

static void verify_refuses_files_that_are_no_snapshot(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(stat(path, &status), 0);
	damage((uint64_t)status.st_size - 30);
	assert_int_equal(verify(NULL), 1);
	assert_says("file: the commit record is damaged: its checksum is wrong");
	assert_ends("\n1 fault\n");
	assert_int_equal(truncate(path, status.st_size - 4096), 0);
	assert_int_equal(verify(NULL), 1);
	assert_says("file: it has no commit record at its end: cut short, or never finished");
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(verify("--json"), 1);
	assert_non_null(strstr(result.out, "\"what\": \"this is not an lkvm snapshot\""));
	unlink(path);
	assert_int_equal(verify(NULL), 1);
	assert_string_equal(result.out, "");
	assert_non_null(strstr(result.err, "cannot open it: No such file"));
	assert_int_equal(verify("--nonsense"), 2);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* Adds the event collector in the state before a guest uses it. */
static void add_collector(struct section_writer *writer)
{
	static const struct pci_state none;

	section_begin(writer, "event-collector/pci", pci_state_table.version, SECTION_MANDATORY);
	state_save(&pci_state_table, &none, &writer->buffer);
	section_end(writer);
}

static void add_raw(struct section_writer *writer, const struct section *section)
{
	section_begin(writer, section->name, section->version, section->flags);
	byte_buffer_add(&writer->buffer, section->fields.bytes, section->fields.size);
	section_end(writer);
}

/* Writes the file again without a section, with another one, and for a machine with another size of RAM. */
static void write_again(const char *without, const char *more, uint64_t memory)
{
	struct machine_config config = { 0 };
	struct section_writer writer = { 0 };
	struct snapshot_writer file = { .fd = -1 };
	struct snapshot snapshot;
	struct error error;
	struct ram ram;
	bool passes = more && !strncmp(more, "vfio0/", 6);

	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_int_equal(machine_config_load(&config, &snapshot.sections, &error), 0);
	config.memory = memory ? memory : config.memory;
	if (passes)
		config.vfio = (struct vfio_config){ .count = 1, .devices = { "0000:01:00.0" } };
	machine_config_save(&config, &writer);
	for (size_t i = 0; i < snapshot.sections.count; i++) {
		const struct section *section = &snapshot.sections.items[i];

		if (strcmp(section->name, without) != 0 && strcmp(section->name, "machine") != 0 && strcmp(section->name, "a-note") != 0 &&
		    strncmp(section->name, "disk", 4) != 0 && strncmp(section->name, "network", 7) != 0 &&
		    strcmp(section->name, "vfio0") != 0 && strncmp(section->name, "ram", 3) != 0)
			add_raw(&writer, section);
	}
	if (passes && !sections_find(&snapshot.sections, "event-collector/pci"))
		add_collector(&writer);
	if (more) {
		section_begin(&writer, more, 1, SECTION_MANDATORY);
		section_end(&writer);
	}
	section_begin(&writer, "a-note", 1, 0);
	section_end(&writer);
	unlink(path);
	file.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file.ram = &ram;
	assert_int_equal(snapshot_write(&file, &writer.buffer, &error), 0);
	snapshot_end(&file);
	close(file.fd);
	byte_buffer_free(&writer.buffer);
	machine_config_free(&config);
	ram_close(&ram);
	snapshot_close(&snapshot);
}

static void verify_compares_sections_with_the_machine(void **state)
{
	(void)state;
	write_again("", NULL, 0);
	assert_int_equal(verify(NULL), 0);
	assert_says("good (64 MiB of RAM, 42 sections)"); /* an unknown optional section is no fault */
	write_again("gic/redistributor1", "novelty", 32 << 20);
	assert_int_equal(verify(NULL), 1);
	assert_says("sections: it has no section gic/redistributor1");
	assert_says("sections: section novelty is unknown to this lkvm, and must not be skipped");
	assert_says("RAM: there are 67108864 bytes of it, but its machine has 33554432");
	assert_ends("\n3 faults\n");
}

/* The required and optional sections of a passed-through device. */
static void verify_checks_sections_of_passed_through_devices(void **state)
{
	(void)state;
	write_again("", "vfio0/pci", 0);
	assert_int_equal(verify(NULL), 1);
	assert_says("vfio0/pci: its configuration space is missing or of another size");
	assert_ends("\n1 fault\n");
	write_again("vfio0/pci", "vfio0/data", 0);
	assert_int_equal(verify(NULL), 1);
	assert_says("sections: it has no section vfio0/pci");
	assert_says("vfio0/data: data is missing, or is not of bytes; a restore refuses it");
	assert_ends("\n2 faults\n");
}

static void verify_checks_the_host_when_host_is_given(void **state)
{
	(void)state;
	assert_int_equal(verify("--host"), 0);
	assert_says("good (64 MiB of RAM, 41 sections, and this host can restore it)");
	fake_machine.refuses = "vCPU 0: CTR_EL0 is another";
	assert_int_equal(verify("--host"), 1);
	assert_says("host: vCPU 0: CTR_EL0 is another");
	assert_ends("\n1 fault\n");
	assert_int_equal(verify(NULL), 0);
	fake_machine.open_fails = true;
	assert_int_equal(verify("--host"), 1);
	assert_string_equal(result.out, "");
	assert_non_null(strstr(result.err, ": no KVM\n"));
}

/* The file is truncated between opening and reading. The result is an error, not a signal. */
static void verify_fails_when_the_file_shrinks(void **state)
{
	struct verdict verdict = { .faults = 0 };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(truncate(path, 40 << 20), 0);
	assert_int_equal(verify_ram(&snapshot, NULL, &verdict, &error), -1);
	assert_non_null(strstr(error.text, "cut short"));
	snapshot_close(&snapshot);
}

static bool lose_patience(void *owner, uint64_t done, uint64_t total)
{
	assert_true(done <= total);
	return ++*(unsigned *)owner > 1;
}

static void check_stops_when_it_is_cancelled(void **state)
{
	unsigned steps = 0;
	const struct snapshot_progress progress = { .step = lose_patience, .owner = &steps };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_check_ram(&snapshot, &progress, &error), -1);
	assert_non_null(strstr(error.text, "cancelled"));
	assert_int_equal(steps, 1);
	snapshot_close(&snapshot);
}

static void checksum_equals_crc32_of_zlib(void **state)
{
	uint8_t bytes[700];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i * 31 + i / 3);
	for (size_t at = 0; at < 17; at++)
		for (size_t size = 0; at + size <= sizeof(bytes); size++) {
			uint32_t begin = size % 3 ? (uint32_t)(size * 0x9e3779b9) : 0;

			assert_int_equal(checksum(begin, bytes + at, size), crc32_z(begin, bytes + at, size));
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verify_accepts_snapshot_of_real_guest),
		TEST(verify_reports_ranges_of_damaged_ram),
		TEST(verify_counts_damage_beyond_its_limit),
		TEST(verify_reports_hole_in_place_of_data),
		TEST(verify_reports_each_damaged_section),
		TEST(verify_stops_at_a_damaged_section_header),
		TEST(verify_refuses_files_that_are_no_snapshot),
		TEST(verify_compares_sections_with_the_machine),
		TEST(verify_checks_sections_of_passed_through_devices),
		TEST(verify_checks_the_host_when_host_is_given),
		TEST(verify_fails_when_the_file_shrinks),
		TEST(check_stops_when_it_is_cancelled),
		cmocka_unit_test(checksum_equals_crc32_of_zlib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
