/* SPDX-License-Identifier: MIT */
/* machine/config.c: saves a machine's configuration as sections, loads it, and refuses damaged sections. */
#include "unit/test.h"

#include <stdio.h>
#include <string.h>

#include "machine/machine.h"

/* All values differ, so that none is mistaken for another. */
static struct machine_config sample(void)
{
	return (struct machine_config){
		.name = "name", .kernel = "/kernel", .initrd = "/initrd", .parameters = "quiet \"$x\"", .cpus = 3,
		.memory = 64ull << 20, .address_bits = 41, .irqchip = IRQCHIP_GICV3_ITS, .console = CONSOLE_VIRTIO, .pmu = true,
		.watchdog = MACHINE_WATCHDOG_POWER_OFF,
		.sve = true, .sve_lengths = { 1, 2, 3, 4, 5, 6, 7, 1ull << 63 }, .pauth = true, .counter_frequency = 62500001,
		.no_defaults = true, .entropy = true, .balloon = true, .power_buttons = true, .pvpanic = true, .kaslr_seed_given = true,
		.kaslr_seed = UINT64_MAX, .disk_count = 2, .network_count = 2,
		.disks = {
			{ .path = "/first", .read_only = true, .queues = 4, .serial = "serial", .size = 1ull << 40 },
			{ .path = "/second", .queues = 1, .size = 512, .overlay = "/overlay" },
		},
		.networks = {
			{ .mode = NET_USER, .mac = { 2, 3, 4, 5, 6, 7 }, .queues = 1, .passt = "/passt", .passt_options = "-t 22" },
			{ .mode = NET_TAP, .tap = "tap1", .script = "/script", .mac = { 0xfe, 0xff, 0, 0, 0, 1 }, .vhost = true,
			  .vhost_required = true, .queues = 8 },
		},
	};
}

static void expect_text(const char *is, const char *want)
{
	if (want)
		assert_string_equal(is, want);
	else
		assert_null(is);
}

static void expect_same(const struct machine_config *is, const struct machine_config *want)
{
	expect_text(is->name, want->name);
	expect_text(is->kernel, want->kernel);
	expect_text(is->initrd, want->initrd);
	expect_text(is->parameters, want->parameters);
	assert_int_equal(is->cpus, want->cpus);
	assert_int_equal(is->memory, want->memory);
	assert_int_equal(is->address_bits, want->address_bits);
	assert_int_equal(is->irqchip, want->irqchip);
	assert_int_equal(is->console, want->console);
	assert_int_equal(is->watchdog, want->watchdog);
	assert_int_equal(is->pmu, want->pmu);
	assert_int_equal(is->sve, want->sve);
	assert_memory_equal(is->sve_lengths, want->sve_lengths, sizeof(want->sve_lengths));
	assert_int_equal(is->pauth, want->pauth);
	assert_int_equal(is->no_defaults, want->no_defaults);
	assert_int_equal(is->entropy, want->entropy);
	assert_int_equal(is->balloon, want->balloon);
	assert_int_equal(is->power_buttons, want->power_buttons);
	assert_int_equal(is->pvpanic, want->pvpanic);
	assert_int_equal(is->kaslr_seed_given, want->kaslr_seed_given);
	assert_true(is->kaslr_seed == want->kaslr_seed);
	assert_int_equal(is->counter_frequency, want->counter_frequency);
	assert_int_equal(is->disk_count, want->disk_count);
	assert_int_equal(is->network_count, want->network_count);
	for (unsigned i = 0; i < want->disk_count; i++) {
		expect_text(is->disks[i].path, want->disks[i].path);
		expect_text(is->disks[i].serial, want->disks[i].serial);
		expect_text(is->disks[i].overlay, want->disks[i].overlay);
		for (unsigned j = 0; j < VIRTIO_BLOCK_LOWER; j++) {
			expect_text(is->disks[i].lower[j], want->disks[i].lower[j]);
			assert_memory_equal(&is->disks[i].lower_identities[j], &want->disks[i].lower_identities[j],
					    sizeof(want->disks[i].lower_identities[j]));
		}
		assert_int_equal(is->disks[i].read_only, want->disks[i].read_only);
		assert_int_equal(is->disks[i].queues, want->disks[i].queues);
		assert_int_equal(is->disks[i].size, want->disks[i].size);
	}
	for (unsigned i = 0; i < want->network_count; i++) {
		const struct virtio_net_config *a = &is->networks[i], *b = &want->networks[i];

		assert_int_equal(a->mode, b->mode);
		expect_text(a->tap, b->tap);
		expect_text(a->script, b->script);
		expect_text(a->passt, b->passt);
		expect_text(a->passt_options, b->passt_options);
		assert_memory_equal(a->mac, b->mac, 6);
		assert_int_equal(a->vhost, b->vhost);
		assert_int_equal(a->vhost_required, b->vhost_required);
		assert_int_equal(a->queues, b->queues);
		assert_int_equal(a->tap_fd, -1);
	}
}

static int load_from(const struct section_writer *writer, struct machine_config *config, struct error *error)
{
	struct sections sections = { 0 };
	int result;

	*config = (struct machine_config){ 0 };
	memset(error, 0, sizeof(*error));
	assert_int_equal(sections_parse(&sections, writer->buffer.bytes, writer->buffer.size, error), 0);
	result = machine_config_load(config, &sections, error);
	if (result == 0)
		assert_int_equal(sections_check_used(&sections, error), 0);
	sections_free(&sections);
	return result;
}

static void config_is_loaded_as_it_was_saved(void **state)
{
	struct machine_config config = sample(), loaded;
	struct section_writer writer = { 0 };
	struct error error;

	(void)state;
	machine_config_save(&config, &writer);
	if (load_from(&writer, &loaded, &error) < 0)
		fail_msg("%s", error.text);
	/* The loaded configuration has copies of the texts. */
	byte_buffer_free(&writer.buffer);
	expect_same(&loaded, &config);
	machine_config_free(&loaded);
	machine_config_free(&loaded);

	/* The smallest configuration. */
	config = (struct machine_config){ .name = "", .cpus = 1, .memory = 1 };
	machine_config_save(&config, &writer);
	assert_int_equal(load_from(&writer, &loaded, &error), 0);
	expect_same(&loaded, &config);
	machine_config_free(&loaded);
	byte_buffer_free(&writer.buffer);
}

static void config_of_the_largest_machine_is_loaded(void **state)
{
	struct machine_config config = sample(), loaded;
	struct section_writer writer = { 0 };
	struct error error;

	(void)state;
	config.cpus = MACHINE_MAX_VCPUS;
	config.disk_count = MACHINE_MAX_DISKS;
	config.network_count = MACHINE_MAX_NETWORKS;
	for (unsigned i = 0; i < MACHINE_MAX_DISKS; i++)
		config.disks[i] = (struct virtio_block_config){ .path = "path", .serial = "serial", .overlay = "overlay",
			.lower = { "0", "1", "2", "3", "4", "5", "6" } };
	for (unsigned i = 0; i < MACHINE_MAX_NETWORKS; i++)
		config.networks[i] = (struct virtio_net_config){
			.tap = "tap", .script = "script", .passt = "passt", .passt_options = "options",
		};
	machine_config_save(&config, &writer);
	if (load_from(&writer, &loaded, &error) < 0) /* there is storage for each possible text */
		fail_msg("%s", error.text);
	expect_same(&loaded, &config);
	machine_config_free(&loaded);
	byte_buffer_free(&writer.buffer);
}

static void overlay_is_named_after_vm_and_disk(void **state)
{
	struct machine_config config = sample();
	struct error error;

	(void)state;
	config.disks[1].overlay = NULL;
	assert_int_equal(machine_config_overlay(&config, "/folder", &error), 0);
	assert_null(config.disks[0].overlay); /* the disk is read-only */
	assert_string_equal(config.disks[1].overlay, "/folder/name-disk1.overlay");
	machine_config_free(&config);
}

static void expect_refusal(struct machine_config config, const char *words)
{
	struct section_writer writer = { 0 };
	struct machine_config loaded;
	struct error error;

	machine_config_save(&config, &writer);
	assert_int_equal(load_from(&writer, &loaded, &error), -1);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	machine_config_free(&loaded);
	byte_buffer_free(&writer.buffer);
}

/* The new overlay lies over the disk's overlays, which keep their identities. */
static void overlay_lies_over_those_that_disk_has(void **state)
{
	struct machine_config config = sample(), loaded;
	struct section_writer writer = { 0 };
	struct error error;

	(void)state;
	config.disks[1].overlay_identity = (struct disk_identity){ .known = true, .size = 5, .modified = 6, .digest = { 7, 8 } };
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER; i++) {
		char folder[] = "/folder0";

		folder[7] = (char)('0' + i);
		assert_int_equal(machine_config_overlay(&config, folder, &error), 0);
		assert_int_equal(machine_config_overlay(&config, folder, &error), -1);
		assert_non_null(strstr(error.text, "-disk1.overlay already: choose another folder"));
	}
	assert_int_equal(machine_config_overlay(&config, "/folder0", &error), -1);
	assert_string_equal(error.text, "disk 1 has the overlay /folder0/name-disk1.overlay already: choose another folder");
	assert_string_equal(config.disks[1].overlay, "/folder6/name-disk1.overlay");
	assert_string_equal(config.disks[1].lower[0], "/overlay");
	assert_string_equal(config.disks[1].lower[1], "/folder0/name-disk1.overlay");
	assert_int_equal(config.disks[1].lower_identities[0].size, 5);
	assert_false(config.disks[1].overlay_identity.known || config.disks[1].lower_identities[1].known);
	assert_int_equal(machine_config_overlay(&config, "/other", &error), -1);
	assert_string_equal(error.text, "disk 1 has 8 overlays already, and cannot have more");

	machine_config_save(&config, &writer);
	if (load_from(&writer, &loaded, &error) < 0)
		fail_msg("%s", error.text);
	expect_same(&loaded, &config);
	machine_config_free(&loaded);
	byte_buffer_free(&writer.buffer);
	config.disks[1].lower[2] = NULL;
	expect_refusal(config, "section disk1: lower3 is incomplete");
	memset(config.disks[1].lower, 0, sizeof(config.disks[1].lower));
	config.disks[1].lower[0] = "/lower";
	config.disks[1].overlay = NULL;
	expect_refusal(config, "section disk1: lower0 is incomplete");
	machine_config_free(&config);
}

#define REFUSE(member, value, words)                    \
	do {                                            \
		struct machine_config config = sample(); \
		config.member = (value);                \
		expect_refusal(config, words);          \
	} while (0)

static void config_load_refuses_impossible_values(void **state)
{
	(void)state;
	REFUSE(cpus, MACHINE_MAX_VCPUS + 1, "section machine: cpus is 513");
	REFUSE(cpus, 0, "a vCPU");
	REFUSE(memory, 0, "memory");
	REFUSE(memory, (1ull << 52) + 1, "memory is");
	REFUSE(name, NULL, "name");
	REFUSE(address_bits, 53, "address_bits is 53");
	REFUSE(irqchip, IRQCHIP_GICV3_ITS + 1, "irqchip is 2");
	REFUSE(console, CONSOLE_VIRTIO + 1, "console is 2");
	REFUSE(disks[1].path, NULL, "section disk1: path is missing");
	REFUSE(disks[0].queues, 9, "section disk0: queues is 9");
	REFUSE(networks[1].queues, 9, "section network1: queues is 9");
	REFUSE(networks[0].mode, NET_USER + 1, "section network0: mode is 2");
}

/* Writes the "machine" section with one field changed, left out or added, and expects a refusal. */
static void expect_field_refusal(const char *name, const char *as, unsigned size, uint32_t count, const char *words)
{
	struct section_writer whole = { 0 }, writer = { 0 };
	struct machine_config config = { .name = "name", .cpus = 1, .memory = 1 }, loaded;
	struct sections sections = { 0 };
	const uint8_t zeroes[64] = { 0 };
	struct field field;
	struct error error;
	size_t offset = 0;

	machine_config_save(&config, &whole);
	assert_int_equal(sections_parse(&sections, whole.buffer.bytes, whole.buffer.size, &error), 0);
	section_begin(&writer, "machine", 1, SECTION_MANDATORY);
	while (field_next(&sections.items[0].fields, &offset, &field, &error) > 0) {
		if (strcmp(field.name, name) != 0)
			field_add(&writer.buffer, field.name, field.size, field.count, field.values);
		else if (as)
			field_add(&writer.buffer, as, size, count, zeroes);
	}
	section_end(&writer);
	assert_int_equal(load_from(&writer, &loaded, &error), -1);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	machine_config_free(&loaded);
	sections_free(&sections);
	byte_buffer_free(&whole.buffer);
	byte_buffer_free(&writer.buffer);
}

static void config_load_names_fields_that_it_refuses(void **state)
{
	(void)state;
	expect_field_refusal("pmu", NULL, 0, 0, "section machine: pmu is missing");
	expect_field_refusal("name", "names", 1, 3, "section machine: names is unknown to this lkvm");
	expect_field_refusal("cpus", "cpus", 8, 2, "cpus has 2 values, not one");
	expect_field_refusal("name", "name", 2, 3, "name is not text");
	expect_field_refusal("name", "name", 1, 3, "name is not text"); /* of zeroes */
	expect_field_refusal("sve_lengths", "sve_lengths", 8, 7, "sve_lengths has 7 values of 8 bytes");
	expect_field_refusal("sve_lengths", "sve_lengths", 4, 8, "sve_lengths has 8 values of 4 bytes");
}

static void config_load_names_a_missing_section(void **state)
{
	struct machine_config config = sample(), loaded;
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct error error;

	(void)state;
	machine_config_save(&config, &writer);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(sections.count, 5);
	for (size_t i = 0; i < sections.count; i++) {
		char name[SECTION_NAME_LENGTH + 1];

		memcpy(name, sections.items[i].name, sizeof(name));
		sections.items[i].name[0] = 'X';
		loaded = (struct machine_config){ 0 };
		assert_int_equal(machine_config_load(&loaded, &sections, &error), -1);
		assert_non_null(strstr(error.text, name));
		machine_config_free(&loaded);
		sections.items[i].name[0] = name[0];
	}
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

static void config_keeps_addresses_of_passed_through_devices(void **state)
{
	struct machine_config config = { .name = "g", .cpus = 1, .memory = 1 << 20 }, loaded = { 0 };
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct error error;

	(void)state;
	config.vfio = (struct vfio_config){ .count = 2, .devices = { "0000:01:00.0", "0001:02:1f.7" } };
	machine_config_save(&config, &writer);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(machine_config_load(&loaded, &sections, &error), 0);
	assert_int_equal(loaded.vfio.count, 2);
	assert_string_equal(loaded.vfio.devices[0], "0000:01:00.0");
	assert_string_equal(loaded.vfio.devices[1], "0001:02:1f.7");
	machine_config_free(&loaded);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);

	memset(&writer, 0, sizeof(writer));
	memcpy(config.vfio.devices[1], "../../mem", sizeof("../../mem"));
	machine_config_save(&config, &writer);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(machine_config_load(&loaded, &sections, &error), -1);
	assert_non_null(strstr(error.text, "section vfio1: \"../../mem\""));
	machine_config_free(&loaded);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_is_loaded_as_it_was_saved),
		cmocka_unit_test(config_of_the_largest_machine_is_loaded),
		cmocka_unit_test(overlay_is_named_after_vm_and_disk),
		cmocka_unit_test(overlay_lies_over_those_that_disk_has),
		cmocka_unit_test(config_load_refuses_impossible_values),
		cmocka_unit_test(config_load_names_fields_that_it_refuses),
		cmocka_unit_test(config_load_names_a_missing_section),
		cmocka_unit_test(config_keeps_addresses_of_passed_through_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
