/* SPDX-License-Identifier: MIT */
/* util/parse.c: values that users write, and the errors for invalid ones. */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bits.h"
#include "util/parse.h"

static void size_is_parsed_with_each_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "256", 256ull << 20 }, { "512M", 512ull << 20 }, { "512m", 512ull << 20 }, { "2G", 2ull << 30 },
		{ "4096b", 4096 }, { "8K", 8192 }, { "1t", 1ull << 40 }, { "3P", 3ull << 50 }, { "0", 0 },
		{ "00000000000000000000000001B", 1 }, { "18446744073709551615B", UINT64_MAX },
		{ "17592186044415", 17592186044415ull << 20 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error error = { 0 };
		uint64_t bytes = 0;

		if (parse_size(cases[i].text, &bytes, &error))
			fail_msg("%s: %s", cases[i].text, error.text);
		assert_true(bytes == cases[i].bytes);
	}
}

static void parse_size_names_bad_value(void **state)
{
	static const char *const cases[] = {
		"", "M", "x", "-1", "+1", " 1", "1 ", "1.5G", "1GG", "1GiB", "0x10", "1Q",
		"17592186044416", "18446744073709551616B", "99999999999999999999999999", "16384P",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error error;
		uint64_t bytes;

		if (parse_size(cases[i], &bytes, &error) != -1)
			fail_msg("%s was taken", cases[i]);
		assert_non_null(strstr(error.text, cases[i]));
		assert_int_equal(error.code, i < 12 ? EINVAL : ERANGE);
	}
}

static void range_is_parsed_by_end_or_by_length(void **state)
{
	static const char *const bad[] = {
		"", "-", "+", "0x80000000", "0x80000000-", "-0x80000000", "0x80000000-0x80000000", "0x2-0x1", "0x1+0", "2G-2G",
		"0xffffffffffffffff+1B", "0x1-0x2-0x3", "0x1 -0x2", "0x1-1G ", "00000000000000000000000000000000000x1-0x2",
	};
	uint64_t from, end;
	struct error error;

	(void)state;
	assert_int_equal(parse_range("0x80000000-0x80100000", &from, &end, &error), 0);
	assert_true(from == 0x80000000 && end == 0x80100000);
	assert_int_equal(parse_range("0x80000000+1M", &from, &end, &error), 0);
	assert_true(from == 0x80000000 && end == 0x80100000);
	assert_int_equal(parse_range("2G+4k", &from, &end, &error), 0);
	assert_true(from == 0x80000000 && end == 0x80001000);
	assert_int_equal(parse_range("0x0+0xffffffffffffffff", &from, &end, &error), 0);
	assert_true(from == 0 && end == UINT64_MAX);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (parse_range(bad[i], &from, &end, &error) != -1)
			fail_msg("%s was taken", bad[i]);
}

static void number_is_parsed_as_decimal_or_hexadecimal(void **state)
{
	struct error error;
	uint64_t value;

	(void)state;
	assert_int_equal(parse_number("1", 1, 512, &value, &error), 0);
	assert_int_equal(value, 1);
	assert_int_equal(parse_number("512", 1, 512, &value, &error), 0);
	assert_int_equal(value, 512);
	assert_int_equal(parse_number("010", 1, 512, &value, &error), 0);
	assert_int_equal(value, 10); /* not octal */
	assert_int_equal(parse_number("0xFfffFFFFffffffff", 0, UINT64_MAX, &value, &error), 0);
	assert_true(value == UINT64_MAX);
}

static void parse_number_names_bad_value(void **state)
{
	static const char *const no_numbers[] = { "", "0x", "x", "-1", "+1", " 1", "1 ", "1a", "0xg", "1e3" };
	struct error error;
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < COUNT(no_numbers); i++) {
		char sentence[64];

		if (parse_number(no_numbers[i], 0, UINT64_MAX, &value, &error) != -1)
			fail_msg("%s was taken", no_numbers[i]);
		snprintf(sentence, sizeof(sentence), "\"%s\" is not a number", no_numbers[i]);
		assert_string_equal(error.text, sentence);
	}
	assert_int_equal(parse_number("513", 1, 512, &value, &error), -1);
	assert_string_equal(error.text, "513 is not in the range from 1 to 512");
	assert_int_equal(error.code, ERANGE);
	assert_int_equal(parse_number("0", 1, 512, &value, &error), -1);
	assert_int_equal(parse_number("18446744073709551616", 0, UINT64_MAX, &value, &error), -1);
	assert_int_equal(parse_number("0x10000000000000001", 0, UINT64_MAX, &value, &error), -1);
	assert_int_equal(error.code, ERANGE);
}

static void mac_address_is_parsed_or_refused(void **state)
{
	static const uint8_t expected[6] = { 0x52, 0x54, 0x00, 0xAB, 0xcd, 0xef };
	static const char *const bad[] = {
		"", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:56:", "52:54:00:12:34:56:78", "52-54-00-12-34-56",
		"52:54:00:12:34:5g", "525400123456", " 52:54:00:12:34:56", "5:54:00:12:34:56", "01:00:5e:00:00:01",
		"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff",
	};
	struct error error;
	uint8_t mac[6];

	(void)state;
	assert_int_equal(parse_mac("52:54:00:AB:cd:ef", mac, &error), 0);
	assert_memory_equal(mac, expected, 6);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (parse_mac(bad[i], mac, &error) != -1)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(error.text, bad[i]));
	}
}

static void pair_is_split_at_its_first_equals_sign(void **state)
{
	char text[] = "mode=tap,tapif=x=y,vhost,script=";
	char *list = text;
	const char *key, *value;
	struct error error;

	(void)state;
	assert_int_equal(parse_pair(&list, &key, &value, &error), 1);
	assert_string_equal(key, "mode");
	assert_string_equal(value, "tap");
	assert_int_equal(parse_pair(&list, &key, &value, &error), 1);
	assert_string_equal(key, "tapif");
	assert_string_equal(value, "x=y");
	assert_int_equal(parse_pair(&list, &key, &value, &error), 1);
	assert_string_equal(key, "vhost");
	assert_null(value);
	assert_int_equal(parse_pair(&list, &key, &value, &error), 1);
	assert_string_equal(key, "script");
	assert_string_equal(value, "");
	assert_int_equal(parse_pair(&list, &key, &value, &error), 0);
	assert_int_equal(parse_pair(&list, &key, &value, &error), 0);
}

static void parse_pair_refuses_pair_without_a_name(void **state)
{
	static const char *const bad[] = { ",", "=x", ",mode=tap", "mode=tap,", "mode=tap,,a", "mode=tap,=x" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char text[32];
		char *list = text;
		const char *key, *value;
		struct error error;
		int result;

		strcpy(text, bad[i]);
		do
			result = parse_pair(&list, &key, &value, &error);
		while (result > 0);
		if (result != -1)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(error.text, "without a name"));
	}
}

static void size_is_formatted_in_a_given_unit(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *given, *text;
	} cases[] = {
		{ 0, "0", "0 MiB" },
		{ 1ull << 31, "2048", "2048 MiB" },
		{ 1ull << 31, "2G", "2 GiB" },
		{ 1ull << 31, "2g", "2 GiB" },
		{ 5ull << 28, "1", "1280 MiB" },
		{ 5ull << 28, "1G", "1.25 GiB" },
		{ (1ull << 30) - 1, "1G", "1 GiB" },
		{ 1023, "7b", "1023 bytes" },
		{ UINT64_MAX, "1P", "16384 PiB" },
	};
	char text[PARSE_SIZE_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		format_size(cases[i].bytes, parse_size_unit(cases[i].given), text);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_is_formatted_in_a_given_unit),
		cmocka_unit_test(size_is_parsed_with_each_unit),
		cmocka_unit_test(parse_size_names_bad_value),
		cmocka_unit_test(range_is_parsed_by_end_or_by_length),
		cmocka_unit_test(number_is_parsed_as_decimal_or_hexadecimal),
		cmocka_unit_test(parse_number_names_bad_value),
		cmocka_unit_test(mac_address_is_parsed_or_refused),
		cmocka_unit_test(pair_is_split_at_its_first_equals_sign),
		cmocka_unit_test(parse_pair_refuses_pair_without_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
