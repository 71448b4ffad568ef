/* SPDX-License-Identifier: MIT */
/* Opens the snapshots of earlier versions, compares them with their texts, and loads them. See tests/golden/README.md. */
#include "unit/test.h"

#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "golden/golden.h"
#include "golden/unpack.h"
#include "util/bits.h"
#include "virtio/net.h"

/* One device of each kind, opened for its state table. */
struct kinds {
	struct fake_machine machine;
	struct loop loop;
	struct terminal terminal;
	int in[2], out[2];
	struct virtio_device *devices[5];
	unsigned count;
};

static void kinds_open(struct kinds *kinds, const char *disk)
{
	const struct virtio_block_config block = { .path = disk, .read_only = true, .queues = 1, .raw = true };
	struct vm *vm = &kinds->machine.vm;
	struct pci_bus *pci = &kinds->machine.pci;
	struct error error;

	fake_machine_open(&kinds->machine, true);
	loop_open(&kinds->loop);
	assert_int_equal(pipe(kinds->in) | pipe(kinds->out), 0);
	assert_int_equal(terminal_open(&kinds->terminal, &kinds->loop, kinds->in[0], kinds->out[1], &error), 0);
	kinds->devices[kinds->count++] = virtio_block_open(vm, pci, 0, &block, &error);
	kinds->devices[kinds->count++] = virtio_console_open(vm, pci, &kinds->terminal, &error);
	kinds->devices[kinds->count++] = virtio_entropy_open(vm, pci, &error);
	kinds->devices[kinds->count++] = virtio_balloon_open(vm, pci, &error);
	kinds->devices[kinds->count++] = virtio_input_open(vm, pci, &error);
	for (unsigned i = 0; i < kinds->count; i++)
		assert_non_null(kinds->devices[i]);
}

static void kinds_close(struct kinds *kinds)
{
	while (kinds->count > 0) {
		virtio_close(kinds->devices[--kinds->count]);
		free(kinds->devices[kinds->count]);
	}
	terminal_close(&kinds->terminal);
	for (unsigned i = 0; i < 2; i++) {
		close(kinds->in[i]);
		close(kinds->out[i]);
	}
	fake_machine_close(&kinds->machine);
}

/* Returns the table of a device's section, or NULL for other sections. */
static const struct state_table *table_of(const struct kinds *kinds, const char *name)
{
	const struct state_table *board[] = {
		&machine_clock_table, &serial_state_table, &rtc_state_table, &gpio_state_table,
		&vmgenid_state_table,
	};
	const char *part = strchr(name, '/');

	for (size_t i = 0; i < COUNT(board); i++)
		if (!strcmp(name, board[i]->name))
			return board[i];
	if (strncmp(name, "virtio-", 7) != 0)
		return NULL;
	if (!part)
		return &virtio_state_table;
	if (!strcmp(part, "/pci"))
		return &pci_state_table;
	if (!strncmp(part, "/queue", 6))
		return &virtqueue_state_table;
	if (!strncmp(name, "virtio-net", 10))
		return &net_state_table;
	for (unsigned i = 0; i < kinds->count; i++) {
		const struct virtio_ops *ops = kinds->devices[i]->ops;

		if (!strncmp(name + 7, ops->name, strlen(ops->name)))
			return ops->state_table;
	}
	fail_msg("section %s is of no device", name);
	return NULL;
}

/* Sets the fields of an object that are configuration to the section's values, as in the saved one. */
static void configure(const struct state_table *table, uint8_t *object, const struct section *section)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct state_field *known = &table->fields[i];
		struct field saved;

		if (known->kind == STATE_CONFIG && field_find(&section->fields, known->name, &saved) &&
		    saved.size == known->size && saved.count == known->count)
			memcpy(object + known->offset, saved.values, (size_t)saved.size * saved.count);
	}
}

static unsigned load_devices(struct snapshot *snapshot, const char *disk)
{
	struct kinds kinds = { .count = 0 };
	unsigned loaded = 0;

	kinds_open(&kinds, disk);
	for (size_t i = 0; i < snapshot->sections.count; i++) {
		struct section *section = &snapshot->sections.items[i];
		const struct state_table *table = table_of(&kinds, section->name);
		struct error error;
		uint8_t *object;

		if (!table)
			continue;
		object = calloc(1, table->size);
		configure(table, object, section);
		if (state_load(table, object, &section->fields, section->version, &error) < 0)
			fail_msg("%s: %s", section->name, error.text);
		free(object);
		section->used = true;
		loaded++;
	}
	kinds_close(&kinds);
	return loaded;
}

/*
 * Restores a snapshot that was made without a guest, without its disk and network interface. The fake KVM accepts its KVM
 * sections. It does not have the registers of a real snapshot.
 */
static void restore_made(struct snapshot *snapshot, const struct machine_config *saved)
{
	struct machine_config config = *saved;
	struct machine machine;
	struct loop loop;
	struct error error;

	config.snapshot = snapshot;
	config.disk_count = config.network_count = 0;
	config.pmu = false; /* the fake KVM has none */
	config.counter_frequency = vcpus_counter_frequency();
	fake_kvm_reset();
	loop_open(&loop);
	if (machine_open(&machine, &config, &loop, NULL, &error) < 0 ||
	    machine_load(&machine, &snapshot->sections, &error) < 0)
		fail_msg("%s", error.text);
	machine_close(&machine);
	fake_kvm_reset();
}

/* Compares the snapshot's text with the stored one. Fails with the first line that differs. */
static void compare(const char *kept_path, const struct snapshot *snapshot)
{
	FILE *kept = fopen(kept_path, "r"), *printed = tmpfile();
	char want[512], is[512];
	unsigned line = 0;
	char *more, *mine;

	if (!kept)
		fail_msg("%s is missing", kept_path);
	golden_print(printed, snapshot);
	rewind(printed);
	do {
		line++;
		more = fgets(want, sizeof(want), kept);
		mine = fgets(is, sizeof(is), printed);
		if (!more != !mine || (more && strcmp(want, is) != 0))
			fail_msg("%s, line %u: %s is now %s", kept_path, line, more ? want : "the end", mine ? is : "the end");
	} while (more);
	assert_true(line > 10);
	fclose(kept);
	fclose(printed);
}

static void check(const char *packed, const char *path)
{
	size_t stem = strlen(packed) - strlen(".lkvm.gz");
	struct machine_config config = { 0 };
	struct snapshot snapshot;
	struct error error;
	char text[256];

	golden_unpack(packed, path);
	if (snapshot_open(&snapshot, path, &error) < 0 || snapshot_check_ram(&snapshot, NULL, &error) < 0)
		fail_msg("%s: %s", packed, error.text);
	snprintf(text, sizeof(text), "%.*s.txt", (int)stem, packed);
	compare(text, &snapshot);
	if (machine_config_load(&config, &snapshot.sections, &error) < 0)
		fail_msg("%s: %s", packed, error.text);
	assert_int_equal(config.memory, snapshot.ram_size);
	assert_int_equal(snapshot.ram_base, MACHINE_RAM);
	assert_true(load_devices(&snapshot, path) >= 4);
	if (strstr(packed, "/made-"))
		restore_made(&snapshot, &config);
	machine_config_free(&config);
	snapshot_close(&snapshot);
}

static void snapshot_of_earlier_version_is_read(void **state)
{
	char path[] = "/tmp/lkvm-golden-XXXXXX";
	glob_t found;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(glob("tests/golden/*.lkvm.gz", 0, NULL, &found), 0); /* finding none is a failure */
	for (size_t i = 0; i < found.gl_pathc; i++) {
		print_message("%s\n", found.gl_pathv[i]);
		check(found.gl_pathv[i], path);
	}
	globfree(&found);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshot_of_earlier_version_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
