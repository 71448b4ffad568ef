/* SPDX-License-Identifier: MIT */
/*
 * Opens a complete snapshot file, checks its RAM, reads everything in it, and loads its machine's configuration.
 *
 * Input: struct plan; header and commit record, if the plan uses them unchanged; the head's sections, the first bytes of RAM,
 * the tail's sections. The rest of RAM is a hole in the file, so inputs are small for any size of RAM.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "inspect/verify.h"
#include "mutate.h"
#include "snapshot/working_set.h"
#include "util/checksum.h"

struct plan {
	uint8_t as_it_is; /* AS_...: parts that are not repaired */
	uint8_t chunks;   /* of RAM, up to 15 */
	uint16_t head, ram; /* bytes of the head's sections, and of RAM in the input */
	uint16_t zero;
};

enum { AS_HEADER = 1, AS_OFFSETS = 2, AS_COMMIT = 4, AS_SECTIONS = 8, AS_CUT = 16 };
#define AS_GIVEN (AS_HEADER | AS_OFFSETS | AS_COMMIT) /* with any of these the input has a header and a commit record */

/* Offsets: docs/snapshot-format.md, "Header" and "Commit record". */
enum {
	HEADER_VERSION = 8, HEADER_IDENTITY = 16, HEADER_CHECKSUM = 60,
	COMMIT_IDENTITY = 8, COMMIT_HEAD_END = 24, COMMIT_TAIL = 32, COMMIT_SIZE = 40, COMMIT_SECTIONS = 48,
	COMMIT_CHECKSUM = 60,
};

static void repair_header(uint8_t *header)
{
	const uint32_t version = FORMAT_VERSION, architecture = FORMAT_ARCHITECTURE;
	uint32_t crc;

	memcpy(header, "lkvmSNAP", 8);
	memcpy(header + HEADER_VERSION, &version, sizeof(version));
	memcpy(header + HEADER_VERSION + 4, &architecture, sizeof(architecture));
	crc = checksum(0, header, HEADER_CHECKSUM);
	memcpy(header + HEADER_CHECKSUM, &crc, sizeof(crc));
}

static void put64(uint8_t *to, uint64_t value)
{
	memcpy(to, &value, sizeof(value));
}

/* By the plan, makes a commit record that fits the file, one that is only well-formed, or keeps any bytes. */
static void repair_commit(const struct plan *plan, uint8_t *commit, const uint8_t *header, uint64_t head_end,
			  uint64_t tail, uint64_t size, uint32_t sections)
{
	uint32_t crc;

	if (!(plan->as_it_is & AS_OFFSETS)) {
		memcpy(commit, "lkvmDONE", 8);
		memcpy(commit + COMMIT_IDENTITY, header + HEADER_IDENTITY, 16);
		put64(commit + COMMIT_HEAD_END, head_end);
		put64(commit + COMMIT_TAIL, tail);
		put64(commit + COMMIT_SIZE, size);
		memcpy(commit + COMMIT_SECTIONS, &sections, sizeof(sections));
	}
	if (!(plan->as_it_is & AS_COMMIT)) {
		crc = checksum(0, commit, COMMIT_CHECKSUM);
		memcpy(commit + COMMIT_CHECKSUM, &crc, sizeof(crc));
	}
}

static void put(int fd, const void *bytes, size_t size, uint64_t offset)
{
	fuzz_must(pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size);
}

/* `bytes` has the parts that the plan describes. `identity` is each byte of the identity if the header is not given. */
static void write_file(int fd, const struct plan *plan, uint8_t *bytes, size_t size, uint8_t identity)
{
	uint8_t zeroes[128] = { 0 };
	uint8_t *header = plan->as_it_is & AS_GIVEN ? bytes : zeroes, *commit = header + 64;
	uint8_t *head = plan->as_it_is & AS_GIVEN ? bytes + 128 : bytes;
	size_t left = (size_t)(bytes + size - head);
	size_t head_size = plan->head < left ? plan->head : left;
	size_t ram_size = plan->ram < left - head_size ? plan->ram : left - head_size;
	uint8_t *tail = head + head_size + ram_size;
	size_t tail_size = left - head_size - ram_size;
	uint64_t head_end = 64 + head_size;
	uint64_t ram = (head_end + FORMAT_RAM_ALIGNMENT - 1) & ~(uint64_t)(FORMAT_RAM_ALIGNMENT - 1);
	uint64_t tail_at = ram + (plan->chunks & 15u) * (uint64_t)FORMAT_RAM_CHUNK;
	uint64_t end = tail_at + tail_size;
	uint32_t crc;

	memset(zeroes + HEADER_IDENTITY, identity, 16);
	if (!(plan->as_it_is & AS_HEADER))
		repair_header(header);
	if (!(plan->as_it_is & AS_SECTIONS)) {
		fuzz_repair_sections(head, head_size);
		fuzz_repair_sections(tail, tail_size);
	}
	crc = checksum(checksum(checksum(0, header, 64), head, head_size), tail, tail_size);
	repair_commit(plan, commit, header, head_end, tail_at, end + 64, crc);
	put(fd, header, 64, 0);
	put(fd, head, head_size, 64);
	put(fd, head + head_size, ram_size, ram);
	put(fd, tail, tail_size, tail_at);
	put(fd, commit, plan->as_it_is & AS_CUT ? 40 : 64, end);
}

static void read_all(struct snapshot *snapshot)
{
	struct machine_config config = { 0 };
	struct error error;

	fuzz_must(snapshot->frames.size || snapshot->ram_offset + snapshot->ram_size <= snapshot->file_size);
	snapshot_check_ram(snapshot, NULL, &error);
	fuzz_must(working_set_count(snapshot) <= snapshot->ram_size / FORMAT_RAM_CHUNK);
	fuzz_must(!working_set_has(snapshot, snapshot->ram_size));
	for (size_t i = 0; i < snapshot->sections.count; i++)
		fuzz_read_fields(&snapshot->sections.items[i].fields);
	machine_config_load(&config, &snapshot->sections, &error);
	fuzz_must(config.disk_count <= MACHINE_MAX_DISKS && config.network_count <= MACHINE_MAX_NETWORKS);
	machine_config_free(&config);
	sections_check_used(&snapshot->sections, &error);
}

static void tell(void *owner, const char *place, const char *what)
{
	(void)owner;
	fuzz_must(place[0] && what[0]);
}

static void tell_fault(void *owner, const struct error *error)
{
	verdict_fault(owner, "file", "%s", error->text);
}

/* snapshot_examine() must find a fault exactly if the file does not open. RAM must lie inside the file. */
static void verify(const char *path, bool opens)
{
	struct verdict verdict = { .report = tell };
	const struct error_collector faults = { .report = tell_fault, .owner = &verdict };
	struct snapshot snapshot;
	struct error error;

	fuzz_must(snapshot_examine(&snapshot, path, &faults, &error) == 0);
	fuzz_must((verdict.faults == 0) == opens);
	fuzz_must(snapshot.frames.size || snapshot.ram_offset + snapshot.ram_size <= snapshot.file_size);
	if (opens && verify_sections(&snapshot, &verdict, &error) == 0)
		verify_ram(&snapshot, NULL, &verdict, &error);
	snapshot_close(&snapshot);
}

/* Creates a base for inputs whose sections name it. */
int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	static uint8_t ram[2 * FORMAT_RAM_CHUNK] = { "what the base has" };
	struct section_writer writer = { 0 };
	struct plan plan = { .chunks = 2, .ram = 32 };
	int fd = memfd_create("base", MFD_CLOEXEC);
	struct snapshot snapshot;
	struct error error;

	(void)count;
	(void)arguments;
	fuzz_add_ram(&writer, MACHINE_RAM, sizeof(ram));
	plan.head = (uint16_t)writer.buffer.size;
	byte_buffer_add(&writer.buffer, ram, plan.ram);
	fuzz_add_checksums(&writer, ram);
	write_file(fd, &plan, writer.buffer.bytes, writer.buffer.size, FUZZ_BASE_IDENTITY);
	fuzz_must(dup2(fd, FUZZ_BASE_FD) == FUZZ_BASE_FD);
	close(fd);
	byte_buffer_free(&writer.buffer);
	fuzz_must(snapshot_open(&snapshot, FUZZ_BASE, &error) == 0);
	snapshot_close(&snapshot);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot snapshot;
	struct error error;
	struct plan plan;
	uint8_t *bytes;
	char path[32];
	int fd;

	if (size < sizeof(plan))
		return 0;
	memcpy(&plan, data, sizeof(plan));
	size -= sizeof(plan);
	if ((plan.as_it_is & AS_GIVEN) && size < 128)
		return 0;
	bytes = malloc(size + 1);
	fd = memfd_create("snapshot", MFD_CLOEXEC);
	fuzz_must(bytes && fd >= 0);
	memcpy(bytes, data + sizeof(plan), size);
	write_file(fd, &plan, bytes, size, 0);
	free(bytes);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	error.text[0] = '\0';
	if (snapshot_open(&snapshot, path, &error) == 0) {
		read_all(&snapshot);
		snapshot_close(&snapshot);
		verify(path, true);
	} else {
		fuzz_must(error.text[0] != '\0' && snapshot.fd == -1);
		verify(path, false);
	}
	close(fd);
	return 0;
}
