/* SPDX-License-Identifier: MIT */
/* util/options.c: options in each form, operands, refusals and help, with a table of made-up options. */
#include "unit/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/options.h"

struct target {
	bool flag;
	const char *string;
	const char *file;
	uint64_t number;
	uint64_t size;
	unsigned choice;
	char taken[32];
	char maybe[32];
};

static int take(void *field, char *value, struct error *error)
{
	if (!value)
		value = strcpy(field, "nothing") + 7;
	if (!strcmp(value, "bad"))
		return error_set(error, 0, "it is bad");
	strcat(field, value);
	return 0;
}

static bool is_value(const char *word)
{
	return word[0] == '/';
}

static const struct option_entry entries[] = {
	{ .name = "flag", .letter = 'f', .kind = OPTION_FLAG, .offset = offsetof(struct target, flag),
	  .help = "A flag" },
	{ .name = "string", .letter = 's', .kind = OPTION_STRING, .argument = "TEXT",
	  .offset = offsetof(struct target, string), .help = "A string" },
	{ .name = "string-two", .kind = OPTION_FILE, .argument = "FILE",
	  .offset = offsetof(struct target, file), .help = "A long help\nin two lines" },
	{ .name = "number", .letter = 'n', .kind = OPTION_NUMBER, .argument = "N", .minimum = 1, .maximum = 8,
	  .offset = offsetof(struct target, number), .help = "A number" },
	{ .name = "size", .letter = 'm', .kind = OPTION_SIZE, .argument = "SIZE",
	  .offset = offsetof(struct target, size), .help = "A size" },
	{ .name = "choice", .kind = OPTION_CHOICE, .argument = "a|bc|d", .choices = "a|bc|d",
	  .offset = offsetof(struct target, choice), .help = "A choice" },
	{ .name = "take", .letter = 't', .kind = OPTION_PARSED, .argument = "X", .parse = take,
	  .offset = offsetof(struct target, taken), .help = "An option whose name and argument do not fit" },
	{ .name = "maybe", .letter = 'y', .kind = OPTION_PARSED, .argument = "N", .optional = true, .parse = take,
	  .offset = offsetof(struct target, maybe), .help = "An option with or without" },
	{ .name = "place", .kind = OPTION_PARSED, .argument = "N", .optional = true, .parse = take, .is_value = is_value,
	  .offset = offsetof(struct target, maybe), .help = "An option with a next word that it knows" },
	{ .name = "old", .kind = OPTION_IGNORED },
	{ .name = "older", .kind = OPTION_IGNORED, .argument = "X" },
};

static const struct target defaults = { .number = 3 };
static const struct option_table table = OPTION_TABLE(entries, defaults);

/* Parses words separated by spaces. Returns the operands in `words`, and their number in `*count`. */
static enum options_result parse(const char *line, struct target *target, char **words, int *count,
				 struct error *error)
{
	static char text[256];
	char *rest = text;

	snprintf(text, sizeof(text), "%s", line);
	*target = *(const struct target *)table.defaults;
	*count = 0;
	for (char *word; (word = strtok_r(rest, " ", &rest));)
		words[(*count)++] = word;
	return options_parse(&table, target, count, words, error);
}

static struct target parse_good(const char *line)
{
	struct target target;
	struct error error;
	char *words[16];
	int count;

	if (parse(line, &target, words, &count, &error) != OPTIONS_GOOD)
		fail_msg("%s: %s", line, error.text);
	assert_int_equal(count, 0);
	return target;
}

static void assert_refused(const char *line, const char *sentence)
{
	struct target target;
	struct error error;
	char *words[16];
	int count;

	assert_int_equal(parse(line, &target, words, &count, &error), OPTIONS_BAD);
	assert_string_equal(error.text, sentence);
}

static void value_is_parsed_in_each_notation(void **state)
{
	(void)state;
	assert_int_equal(parse_good("--number 5").number, 5);
	assert_int_equal(parse_good("--number=5").number, 5);
	assert_int_equal(parse_good("-n 5").number, 5);
	assert_int_equal(parse_good("-n5").number, 5);
	assert_int_equal(parse_good("-n=5").number, 5);
	assert_int_equal(parse_good("").number, 3);
}

static void options_of_each_kind_are_parsed(void **state)
{
	struct target target = parse_good("-f -s x=y --string-two=--flag --size 2G --choice bc -t one "
					  "--take=,two --old --older x");

	(void)state;
	assert_true(target.flag);
	assert_string_equal(target.string, "x=y");
	assert_string_equal(target.file, "--flag");
	assert_int_equal(target.size, 2ull << 30);
	assert_int_equal(target.choice, 1);
	assert_string_equal(target.taken, "one,two");
}

static void value_is_optional_when_the_option_allows_it(void **state)
{
	struct target target;
	struct error error;
	char *words[16];
	int count;

	(void)state;
	assert_string_equal(parse_good("--maybe=3").maybe, "3");
	assert_string_equal(parse_good("--maybe=").maybe, "");
	assert_string_equal(parse_good("--maybe").maybe, "nothing");
	assert_string_equal(parse_good("-y -f").maybe, "nothing");
	assert_string_equal(parse_good("-y3").maybe, "3");
	/* An optional value must be attached: the next word is an operand. */
	assert_int_equal(parse("--maybe 3", &target, words, &count, &error), OPTIONS_GOOD);
	assert_string_equal(target.maybe, "nothing");
	assert_int_equal(count, 1);
	assert_refused("--maybe=bad", "--maybe: it is bad");
}

static void value_may_look_like_an_option(void **state)
{
	(void)state;
	assert_string_equal(parse_good("--string --help").string, "--help");
	assert_string_equal(parse_good("-s --").string, "--");
	assert_string_equal(parse_good("--string=").string, "");
}

static void option_takes_its_last_value(void **state)
{
	(void)state;
	assert_int_equal(parse_good("-n 1 --number=7").number, 7);
}

static void operands_are_collected_in_order(void **state)
{
	struct target target;
	struct error error;
	char *words[16];
	int count;

	(void)state;
	assert_int_equal(parse("one -f two - -- --flag -n", &target, words, &count, &error), OPTIONS_GOOD);
	assert_int_equal(count, 5);
	assert_string_equal(words[0], "one");
	assert_string_equal(words[1], "two");
	assert_string_equal(words[2], "-");
	assert_string_equal(words[3], "--flag");
	assert_string_equal(words[4], "-n");
}

static void help_option_ends_the_parse(void **state)
{
	struct target target;
	struct error error;
	char *words[16];
	int count;

	(void)state;
	assert_int_equal(parse("-f --help --nonsense", &target, words, &count, &error), OPTIONS_HELP);
	assert_int_equal(parse("-h", &target, words, &count, &error), OPTIONS_HELP);
	assert_int_equal(parse("-- -h", &target, words, &count, &error), OPTIONS_GOOD);
}

static void refusal_names_the_option(void **state)
{
	(void)state;
	assert_refused("--nonsense", "unknown option --nonsense");
	assert_refused("--nonsense=4", "unknown option --nonsense");
	assert_refused("--strin x", "--strin may be --string, --string-two");
	assert_refused("--stringy x", "unknown option --stringy; did you mean --string?");
	assert_refused("--nubmer=4", "unknown option --nubmer; did you mean --number?");
	assert_refused("--hel", "unknown option --hel; did you mean --help?");
	assert_refused("--olds", "unknown option --olds"); /* a hidden option is not suggested */
	assert_refused("-x", "unknown option -x");
	assert_refused("--=x", "unknown option --");
	assert_refused("--flag=1", "--flag takes no value");
	assert_refused("-f1", "-f takes no value");
	assert_refused("--number", "--number needs a value: N");
	assert_refused("-n", "-n needs a value: N");
	assert_refused("--number=9", "--number: 9 is not in the range from 1 to 8");
	assert_refused("-n x", "-n: \"x\" is not a number");
	assert_refused("--choice b", "--choice: \"b\" is none of a|bc|d");
	assert_refused("--choice=", "--choice: \"\" is none of a|bc|d");
	assert_refused("--choice bcd", "--choice: \"bcd\" is none of a|bc|d");
	assert_refused("--take bad", "--take: it is bad");
}

static void help_omits_hidden_options(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	options_help(&table, file);
	fclose(file);
	assert_non_null(strstr(text, "  -f, --flag                    A flag\n"));
	assert_non_null(strstr(text, "      --string-two FILE         A long help\n"
			       "                                in two lines\n"));
	assert_non_null(strstr(text, "  -t, --take X                  An option"));
	assert_non_null(strstr(text, "  -y, --maybe[=N]               An option with"));
	assert_null(strstr(text, "old"));
	free(text);
}

static void options_parse_accepts_unambiguous_short_forms(void **state)
{
	(void)state;
	assert_int_equal(parse_good("--num=5").number, 5);
	assert_int_equal(parse_good("--siz 1").size, 1 << 20);
	assert_string_equal(parse_good("--string x").string, "x"); /* an exact match, although --string-two begins with it */
	assert_string_equal(parse_good("--string- x").file, "x");
	assert_true(parse_good("--fl").flag);
	assert_string_equal(parse_good("--place /x").maybe, "/x");
	assert_string_equal(parse_good("--place").maybe, "nothing");
	assert_string_equal(parse_good("--place --flag").maybe, "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_is_parsed_in_each_notation),
		cmocka_unit_test(options_of_each_kind_are_parsed),
		cmocka_unit_test(value_is_optional_when_the_option_allows_it),
		cmocka_unit_test(value_may_look_like_an_option),
		cmocka_unit_test(option_takes_its_last_value),
		cmocka_unit_test(operands_are_collected_in_order),
		cmocka_unit_test(help_option_ends_the_parse),
		cmocka_unit_test(refusal_names_the_option),
		cmocka_unit_test(help_omits_hidden_options),
		cmocka_unit_test(options_parse_accepts_unambiguous_short_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
