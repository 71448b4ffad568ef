/* SPDX-License-Identifier: MIT */
/* state/fields.c, and sections around fields: damaged bytes that are refused. */
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "state/sections.h"


/* The bytes of one field. */
struct raw {
	uint8_t name_length, element_size;
	uint16_t zero;
	uint32_t count;
	uint8_t rest[64];
};

static const struct raw good = {
	.name_length = 3, .element_size = 2, .count = 3,
	.rest = { 'a', 'b', 'c', 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0 },
};
#define GOOD_SIZE 24u

static int check(const struct raw *raw, size_t size, struct error *error)
{
	/* On the heap in the exact size, so that the sanitizer finds a read after the end. */
	uint8_t *bytes = malloc(size ? size : 1);
	const struct fields fields = { bytes, size };
	int result;

	memcpy(bytes, raw, size);
	memset(error, 0, sizeof(*error));
	result = fields_check(&fields, error);
	free(bytes);
	return result;
}

/* Expects that it is refused, with an error that contains `words`. */
static void expect_refusal(const struct raw *raw, size_t size, const char *words)
{
	struct error error;

	assert_int_equal(check(raw, size, &error), -1);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
}

static void field_has_its_documented_format(void **state)
{
	const uint16_t halves[] = { 0x0201, 0x0403, 0x0605 };
	struct byte_buffer buffer = { 0 };
	struct error error;

	(void)state;
	assert_int_equal(check(&good, GOOD_SIZE, &error), 0);
	assert_int_equal(check(&good, 0, &error), 0);
	field_add(&buffer, "abc", 2, 3, halves);
	assert_int_equal(buffer.size, GOOD_SIZE);
	assert_memory_equal(buffer.bytes, &good, GOOD_SIZE);
	byte_buffer_free(&buffer);
}

static void field_is_refused_when_it_is_cut_short(void **state)
{
	(void)state;
	for (size_t size = 1; size < GOOD_SIZE; size++)
		expect_refusal(&good, size, size < 8 ? "cut short" : size < 16 ? "name" : "more values");
}

static void field_is_refused_when_width_or_count_is_wrong(void **state)
{
	struct raw raw = good;

	(void)state;
	for (unsigned width = 0; width < 256; width++) {
		struct error error;
		bool valid = width == 1 || width == 2 || width == 4 || width == 8;

		raw = good;
		raw.element_size = (uint8_t)width;
		raw.count = 0;
		if (valid)
			assert_int_equal(check(&raw, 16, &error), 0);
		else
			expect_refusal(&raw, 16, "elements of");
	}
	raw = good;
	raw.count = 5;
	expect_refusal(&raw, GOOD_SIZE, "abc has more values");
	raw.count = UINT32_MAX;
	raw.element_size = 8;
	expect_refusal(&raw, GOOD_SIZE, "abc has more values");
	raw.count = 0x20000001; /* times 8 is 8 in 32 bits */
	expect_refusal(&raw, GOOD_SIZE, "abc has more values");
}

static void field_is_refused_when_its_name_is_bad(void **state)
{
	static const char bad[] = { '\0', ' ', '\t', '\n', '"', '\\', 0x7f, (char)0x80, (char)0xff };
	struct raw raw = good;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad); i++) {
		raw = good;
		raw.rest[1] = (uint8_t)bad[i];
		expect_refusal(&raw, GOOD_SIZE, "no proper name");
	}
	raw = good;
	raw.name_length = 0;
	expect_refusal(&raw, GOOD_SIZE, "no proper name");

	memset(&raw, 0, sizeof(raw));
	memset(raw.rest, 'n', sizeof(raw.rest));
	raw.element_size = 1;
	raw.name_length = FIELD_NAME_LENGTH;
	assert_int_equal(check(&raw, 8 + FIELD_NAME_LENGTH, &error), 0);
	raw.name_length = FIELD_NAME_LENGTH + 1;
	expect_refusal(&raw, sizeof(raw), "no proper name");
	raw.name_length = 255;
	expect_refusal(&raw, sizeof(raw), "no proper name");

	raw = good;
	raw.zero = 1;
	expect_refusal(&raw, GOOD_SIZE, "no proper name");
}

static void field_is_refused_when_its_padding_is_not_zero(void **state)
{
	(void)state;
	for (size_t i = 0; i < 16; i++) {
		struct raw raw = good;

		if (good.rest[i])
			continue;
		raw.rest[i] = 0x40;
		expect_refusal(&raw, GOOD_SIZE, "abc is padded with something");
	}
}

static void field_find_compares_whole_names(void **state)
{
	char name[FIELD_NAME_LENGTH + 2] = { 0 };
	struct byte_buffer buffer = { 0 };
	struct field field;

	(void)state;
	memset(name, 'x', FIELD_NAME_LENGTH);
	field_add_number(&buffer, name, 1);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_true(field_find(&fields, name, &field));
	assert_string_equal(field.name, name);
	name[FIELD_NAME_LENGTH - 1] = '\0';
	assert_false(field_find(&fields, name, &field));
	memset(name, 'x', FIELD_NAME_LENGTH + 1);
	assert_false(field_find(&fields, name, &field));
	byte_buffer_free(&buffer);
}

static void getter_names_the_field_when_it_fails(void **state)
{
	struct byte_buffer buffer = { 0 };
	const uint8_t two[] = { 1, 2 };
	struct error error;
	uint64_t number;
	char text[8];

	(void)state;
	field_add(&buffer, "two", 1, 2, two);
	field_add(&buffer, "none", 8, 0, NULL);
	field_add(&buffer, "byte", 1, 1, two);
	field_add(&buffer, "hole", 1, 3, "a\0b");
	field_add_text(&buffer, "eight", "12345678");
	field_add_text(&buffer, "seven", "1234567");
	field_add_text(&buffer, "empty", "");
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(field_get_number(&fields, "byte", &number, &error), 0);
	assert_int_equal(number, 1);
	assert_int_equal(field_get_number(&fields, "two", &number, &error), -1);
	assert_string_equal(error.text, "two has 2 values, not one");
	assert_int_equal(field_get_number(&fields, "none", &number, &error), -1);
	assert_string_equal(error.text, "none has 0 values, not one");
	assert_int_equal(field_get_number(&fields, "other", &number, &error), -1);
	assert_string_equal(error.text, "other is missing");

	assert_int_equal(field_get_text(&fields, "seven", text, sizeof(text), &error), 0);
	assert_string_equal(text, "1234567");
	assert_int_equal(field_get_text(&fields, "empty", text, sizeof(text), &error), 0);
	assert_string_equal(text, "");
	assert_int_equal(field_get_text(&fields, "eight", text, sizeof(text), &error), -1);
	assert_non_null(strstr(error.text, "eight is not text"));
	assert_int_equal(field_get_text(&fields, "hole", text, sizeof(text), &error), -1);
	assert_int_equal(field_get_text(&fields, "none", text, sizeof(text), &error), -1);
	assert_int_equal(field_get_text(&fields, "other", text, sizeof(text), &error), -1);
	assert_string_equal(error.text, "other is missing");
	byte_buffer_free(&buffer);
}

static void byte_buffer_stays_failed_when_memory_ran_out(void **state)
{
	struct byte_buffer buffer = { 0 };

	(void)state;
	field_add_number(&buffer, "number", 1);
	assert_null(byte_buffer_add(&buffer, NULL, SIZE_MAX - 4096));
	assert_true(buffer.failed);
	assert_null(byte_buffer_add(&buffer, "x", 1));
	assert_int_equal(buffer.size, 24);
	byte_buffer_free(&buffer);
	assert_false(buffer.failed);
}

static int parse(const struct byte_buffer *buffer, struct error *error)
{
	struct sections sections = { 0 };
	int result = sections_parse(&sections, buffer->bytes, buffer->size, error);

	sections_free(&sections);
	return result;
}

static void section_is_refused_when_it_is_there_twice_or_damaged(void **state)
{
	struct section_writer writer = { 0 };
	struct error error;

	(void)state;
	section_begin(&writer, "one", 1, 0);
	section_end(&writer);
	assert_int_equal(parse(&writer.buffer, &error), 0);
	section_begin(&writer, "one", 1, 0);
	section_end(&writer);
	assert_int_equal(parse(&writer.buffer, &error), -1);
	assert_string_equal(error.text, "section one occurs twice");
	byte_buffer_free(&writer.buffer);

	section_begin(&writer, "with space", 1, 0);
	section_end(&writer);
	assert_int_equal(parse(&writer.buffer, &error), -1);
	byte_buffer_free(&writer.buffer);

	section_begin(&writer, "damaged", 1, 0);
	byte_buffer_add(&writer.buffer, "\1\3\0\0\1\0\0\0abcdefgh", 16); /* elements of 3 bytes */
	section_end(&writer);
	assert_int_equal(parse(&writer.buffer, &error), -1);
	assert_non_null(strstr(error.text, "section damaged: the field at byte 0 has elements of 3 bytes"));
	byte_buffer_free(&writer.buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_has_its_documented_format),
		cmocka_unit_test(field_is_refused_when_it_is_cut_short),
		cmocka_unit_test(field_is_refused_when_width_or_count_is_wrong),
		cmocka_unit_test(field_is_refused_when_its_name_is_bad),
		cmocka_unit_test(field_is_refused_when_its_padding_is_not_zero),
		cmocka_unit_test(field_find_compares_whole_names),
		cmocka_unit_test(getter_names_the_field_when_it_fails),
		cmocka_unit_test(byte_buffer_stays_failed_when_memory_ran_out),
		cmocka_unit_test(section_is_refused_when_it_is_there_twice_or_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
