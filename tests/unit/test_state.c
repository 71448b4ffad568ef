/* SPDX-License-Identifier: MIT */
/* snapshot/state.c; and every device's table, which must leave no gap in its struct. */
#include "unit/test.h"

#include <string.h>

#include "lkvm/gpio.h"
#include "lkvm/rtc.h"
#include "lkvm/serial.h"
#include "lkvm/state.h"

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

static void reset_sets_what_runs_and_keeps_the_rest(void **state)
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

/* Whether the sample's table is complete with one field changed. */
static bool complete_with(unsigned index, struct state_field field)
{
	struct state_field fields[6];
	struct state_table table = sample_table;

	memcpy(fields, sample_fields, sizeof(fields));
	fields[index] = field;
	table.fields = fields;
	return state_table_is_complete(&table);
}

static void gaps_are_found(void **state)
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

	/* Sizes that add up do not make up for places that do not. */
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

static void device_tables_are_complete(void **state)
{
	(void)state;
	assert_true(state_table_is_complete(&serial_state_table));
	assert_true(state_table_is_complete(&rtc_state_table));
	assert_true(state_table_is_complete(&gpio_state_table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_sets_what_runs_and_keeps_the_rest),
		cmocka_unit_test(gaps_are_found),
		cmocka_unit_test(device_tables_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
