/* SPDX-License-Identifier: MIT */
/* state/state_table.c: reset, save and load. Every device's table must cover its struct without gaps. */
#include "unit/test.h"

#include <stdio.h>
#include <string.h>

#include "hw/gpio.h"
#include "machine/machine.h"
#include "virtio/net.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "state/state_table.h"

struct sample {
	uint64_t wide;
	uint32_t fixed;
	uint16_t halves[3];
	uint8_t byte;
	uint8_t padding;
	uint32_t word;
};

static const struct state_field sample_fields[] = {
	STATE_FIELD(struct sample, wide, STATE_RUNTIME, 0x1122334455667788),
	STATE_FIELD(struct sample, fixed, STATE_CONFIG, 0),
	STATE_ARRAY(struct sample, halves, STATE_RUNTIME, 0xfffe),
	STATE_FIELD(struct sample, byte, STATE_RUNTIME, 0x80),
	STATE_FIELD(struct sample, padding, STATE_PADDING, 0),
	STATE_FIELD(struct sample, word, STATE_RUNTIME, 0xdeadbeef),
};

static const struct state_table sample_table = STATE_TABLE(struct sample, "sample", 1, sample_fields);

static void reset_sets_running_state_and_keeps_the_rest(void **state)
{
	struct sample sample;

	(void)state;
	memset(&sample, 0x55, sizeof(sample));
	state_reset(&sample_table, &sample);
	assert_true(sample.wide == 0x1122334455667788);
	assert_int_equal(sample.fixed, 0x55555555);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sample.halves[i], 0xfffe);
	assert_int_equal(sample.byte, 0x80);
	assert_int_equal(sample.padding, 0x55);
	assert_int_equal(sample.word, 0xdeadbeef);
}

/* Returns whether the sample's table is complete after one field is changed. */
static bool complete_with(unsigned index, struct state_field field)
{
	struct state_field fields[6];
	struct state_table table = sample_table;

	memcpy(fields, sample_fields, sizeof(fields));
	fields[index] = field;
	table.fields = fields;
	return state_table_is_complete(&table);
}

static void state_table_is_incomplete_when_it_has_a_gap_or_an_overlap(void **state)
{
	struct state_table table = sample_table;
	struct state_field field;

	(void)state;
	assert_true(state_table_is_complete(&sample_table));
	table.count--; /* the end is missing */
	assert_false(state_table_is_complete(&table));
	table = sample_table;
	table.fields++; /* the beginning is missing */
	table.count--;
	assert_false(state_table_is_complete(&table));
	table = sample_table;
	table.size--;
	assert_false(state_table_is_complete(&table));

	field = sample_fields[2];
	field.count = 2; /* a gap */
	assert_false(complete_with(2, field));
	field.count = 4; /* an overlap */
	assert_false(complete_with(2, field));
	field.count = 0;
	assert_false(complete_with(2, field));
	field = sample_fields[2];
	field.size = 3;
	field.count = 2;
	assert_false(complete_with(2, field));
	field = sample_fields[2];
	field.reset = 0x10000; /* does not fit */
	assert_false(complete_with(2, field));
	field = sample_fields[2];
	field.name = NULL;
	assert_false(complete_with(2, field));
	field = sample_fields[5];
	field.size = 4;
	field.count = UINT32_MAX;
	assert_false(complete_with(5, field));
	field.count = 0x40000001; /* times 4 is 4 in 32 bits */
	assert_false(complete_with(5, field));
	assert_true(complete_with(5, sample_fields[5]));

	/* The sizes add up, but the offsets are wrong. */
	struct state_field two[] = {
		{ .name = "first", .offset = 0, .size = 4, .count = 1 },
		{ .name = "second", .offset = 4, .size = 4, .count = 1 },
	};
	table = (struct state_table){ .name = "two", .size = 8, .count = 2, .fields = two };
	assert_true(state_table_is_complete(&table));
	two[1].offset = 2;
	assert_false(state_table_is_complete(&table));
	two[1].offset = 6;
	assert_false(state_table_is_complete(&table));
}

static const struct sample full = {
	.wide = 0xfedcba9876543210, .fixed = 7, .halves = { 1, 2, 0xffff }, .byte = 0xff, .word = 0x80000001,
};

/* Loads `buffer` into a sample with the configuration of `full`. */
static int load(const struct byte_buffer *buffer, uint32_t version, struct sample *sample, struct error *error)
{
	const struct fields fields = { buffer->bytes, buffer->size };

	memset(sample, 0xaa, sizeof(*sample));
	sample->fixed = full.fixed;
	return state_load(&sample_table, sample, &fields, version, error);
}

static void state_is_loaded_as_it_was_saved(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct sample sample;
	struct error error;

	(void)state;
	state_save(&sample_table, &full, &buffer);
	assert_int_equal(load(&buffer, 1, &sample, &error), 0);
	assert_int_equal(sample.padding, 0xaa); /* in no field */
	sample.padding = full.padding;
	assert_memory_equal(&sample, &full, sizeof(full));
	const struct fields fields = { buffer.bytes, buffer.size };
	struct field field;

	assert_false(field_find(&fields, "padding", &field));
	assert_true(field_find(&fields, "halves", &field));
	assert_int_equal(field.size, 2);
	assert_int_equal(field.count, 3);
	byte_buffer_free(&buffer);
}

/* The file may have the fields in any order. */
static void fields_may_come_in_any_order(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct sample sample;
	struct error error;

	(void)state;
	for (uint32_t i = sample_table.count; i-- > 0;) {
		const struct state_field *field = &sample_fields[i];

		if (field->kind != STATE_PADDING)
			field_add(&buffer, field->name, field->size, field->count, (const uint8_t *)&full + field->offset);
	}
	assert_int_equal(load(&buffer, 1, &sample, &error), 0);
	sample.padding = full.padding;
	assert_memory_equal(&sample, &full, sizeof(full));
	byte_buffer_free(&buffer);
}

/* Saves `full` with another name, size, count or values of field `index`. Expects a refusal that contains `words`. */
static void expect_refusal(uint32_t index, const char *name, unsigned size, uint32_t count, const void *values,
			   const char *words)
{
	struct byte_buffer buffer = { 0 };
	struct sample sample;
	struct error error = { 0 };

	for (uint32_t i = 0; i < sample_table.count; i++) {
		const struct state_field *field = &sample_fields[i];

		if (i == index && name)
			field_add(&buffer, name, size, count, values);
		else if (i != index && field->kind != STATE_PADDING)
			field_add(&buffer, field->name, field->size, field->count, (const uint8_t *)&full + field->offset);
	}
	assert_int_equal(load(&buffer, 1, &sample, &error), -1);
	assert_string_equal(error.text, words);
	byte_buffer_free(&buffer);
}

static void state_load_names_field_that_it_refuses(void **state)
{
	static const uint16_t halves[4] = { 1, 2, 3, 4 };
	const uint32_t other = 8;

	(void)state;
	for (uint32_t i = 0; i < sample_table.count; i++) {
		char words[64];

		snprintf(words, sizeof(words), "%s is missing", sample_fields[i].name);
		if (sample_fields[i].kind != STATE_PADDING)
			expect_refusal(i, NULL, 0, 0, NULL, words);
	}
	expect_refusal(4, "more", 1, 1, halves, "more is unknown to this lkvm");
	expect_refusal(4, "padding", 1, 1, halves, "padding is unknown to this lkvm");
	expect_refusal(2, "halves", 2, 4, halves, "halves has 4 values of 2 bytes, not 3 of 2");
	expect_refusal(2, "halves", 2, 2, halves, "halves has 2 values of 2 bytes, not 3 of 2");
	expect_refusal(2, "halves", 1, 3, halves, "halves has 3 values of 1 bytes, not 3 of 2");
	expect_refusal(0, "wide", 4, 2, halves, "wide has 2 values of 4 bytes, not 1 of 8");
	expect_refusal(1, "fixed", 4, 1, &other, "fixed is 0x8 in the snapshot, but 0x7 here");
}

/* Fields that an earlier version of the table did not have get their reset values. */
static void fields_of_older_version_may_be_missing(void **state)
{
	struct state_table newer = sample_table;
	struct byte_buffer buffer = { 0 };
	struct sample sample = { .fixed = full.fixed };
	struct error error;

	(void)state;
	newer.version = 2;
	field_add(&buffer, "wide", 8, 1, &full.wide);
	field_add(&buffer, "fixed", 4, 1, &full.fixed);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(&newer, &sample, &fields, 1, &error), 0);
	assert_true(sample.wide == full.wide);
	assert_int_equal(sample.halves[1], 0xfffe);
	assert_int_equal(sample.word, 0xdeadbeef);
	assert_int_equal(state_load(&newer, &sample, &fields, 2, &error), -1);
	assert_string_equal(error.text, "halves is missing");
	byte_buffer_free(&buffer);
}

static void state_load_names_array_element_that_differs(void **state)
{
	static const struct state_field fields_here[] = {
		{ .name = "lengths", .size = 8, .count = 3, .kind = STATE_CONFIG },
	};
	const struct state_table table = { .name = "array", .version = 1, .size = 24, .count = 1, .fields = fields_here };
	uint64_t saved[] = { 1, 2, 3 }, here[] = { 1, 5, 3 };
	struct byte_buffer buffer = { 0 };
	struct error error;

	(void)state;
	state_save(&table, saved, &buffer);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(&table, saved, &fields, 1, &error), 0);
	assert_int_equal(state_load(&table, here, &fields, 1, &error), -1);
	assert_string_equal(error.text, "lengths[1] is 0x2 in the snapshot, but 0x5 here");
	byte_buffer_free(&buffer);
}

static void device_tables_are_complete(void **state)
{
	(void)state;
	assert_true(state_table_is_complete(&serial_state_table));
	assert_true(state_table_is_complete(&rtc_state_table));
	assert_true(state_table_is_complete(&gpio_state_table));
	assert_true(state_table_is_complete(&vmgenid_state_table));
	assert_true(state_table_is_complete(&watchdog_state_table));
	assert_true(state_table_is_complete(&machine_clock_table));
	assert_true(state_table_is_complete(&pci_state_table));
	assert_true(state_table_is_complete(&virtio_state_table));
	assert_true(state_table_is_complete(&virtqueue_state_table));
	assert_true(state_table_is_complete(&net_state_table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_sets_running_state_and_keeps_the_rest),
		cmocka_unit_test(state_table_is_incomplete_when_it_has_a_gap_or_an_overlap),
		cmocka_unit_test(state_is_loaded_as_it_was_saved),
		cmocka_unit_test(fields_may_come_in_any_order),
		cmocka_unit_test(state_load_names_field_that_it_refuses),
		cmocka_unit_test(fields_of_older_version_may_be_missing),
		cmocka_unit_test(state_load_names_array_element_that_differs),
		cmocka_unit_test(device_tables_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
