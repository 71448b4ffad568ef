/* SPDX-License-Identifier: MIT */
/* Parses command line options by tables. */
#include "util/options.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/parse.h"
#include "util/suggestion.h"

/* Returns the index of the value in "a|b|c", or -1. */
static int find_choice(const char *choices, const char *value)
{
	size_t length = strlen(value);
	int index = 0;

	for (const char *at = choices;; index++) {
		const char *end = strchrnul(at, '|');

		if ((size_t)(end - at) == length && !memcmp(at, value, length))
			return index;
		if (!*end)
			return -1;
		at = end + 1;
	}
}

static int store(const struct option_entry *entry, void *target, char *value, struct error *error)
{
	void *field = (char *)target + entry->offset;
	int choice;

	switch (entry->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_STRING:
	case OPTION_FILE:
		*(const char **)field = value;
		return 0;
	case OPTION_NUMBER:
		return parse_number(value, entry->minimum, entry->maximum, field, error);
	case OPTION_SIZE:
		return parse_size(value, field, error);
	case OPTION_CHOICE:
		assert(value); /* fails if the table's entry has no `argument` */
		choice = find_choice(entry->choices, value);
		if (choice < 0)
			return error_set(error, EINVAL, "\"%.100s\" is none of %s", value, entry->choices);
		*(unsigned *)field = (unsigned)choice;
		return 0;
	case OPTION_PARSED:
		return entry->parse(field, value, error);
	case OPTION_IGNORED:
		return 0;
	}
	return 0;
}

/* Whether `name` is a beginning of "help". Every command has --help, which is in no table. */
static bool begins_help(const char *name, size_t length)
{
	return length > 0 && length <= strlen("help") && strncmp("help", name, length) == 0;
}

/*
 * Returns the option of that name, or the only one whose name begins with it, as with kvmtool. NULL if none or several fit.
 */
static const struct option_entry *find_long(const struct option_table *table, const char *name, size_t length)
{
	const struct option_entry *found = NULL;
	unsigned beginnings = begins_help(name, length);

	for (size_t i = 0; i < table->count; i++) {
		const struct option_entry *entry = &table->entries[i];

		if (strncmp(entry->name, name, length) != 0)
			continue;
		if (!entry->name[length])
			return entry;
		found = entry;
		beginnings++;
	}
	return length && beginnings == 1 ? found : NULL;
}

static const struct option_entry *find_short(const struct option_table *table, char letter)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i].letter == letter)
			return &table->entries[i];
	return NULL;
}

/* The parts of one word of the command line: "--mem=256", "-m256", "-m". */
struct word {
	char *text;                       /* as the user wrote it, for error messages */
	int shown;                        /* the number of its bytes that name the option */
	const struct option_entry *entry; /* NULL: the option is unknown */
	char *value;                      /* NULL: the word has no value */
};

static struct word split_word(const struct option_table *table, char *text)
{
	struct word word = { .text = text };
	char *equals;

	if (text[1] != '-') {
		word.shown = 2;
		word.entry = find_short(table, text[1]);
		if (text[2])
			word.value = text + 2 + (text[2] == '=');
		return word;
	}
	equals = strchrnul(text, '=');
	word.shown = (int)(equals - text);
	word.entry = find_long(table, text + 2, (size_t)word.shown - 2);
	if (*equals)
		word.value = equals + 1;
	return word;
}

#define MOST_SHOWN 6 /* names of options in an error */

/* Sets the error "--di may be --disk, --disable-sve". Returns false if no option begins with the word. */
static bool set_ambiguous(const struct option_table *table, const struct word *word, struct error *error)
{
	size_t length = (size_t)word->shown - 2;
	char names[256] = "";
	unsigned count = 0;

	if (!length)
		return false;
	for (size_t i = 0; i < table->count; i++) {
		size_t used = strlen(names);

		if (strncmp(table->entries[i].name, word->text + 2, length) != 0)
			continue;
		if (count++ < MOST_SHOWN)
			snprintf(names + used, sizeof(names) - used, "%s--%s", used ? ", " : "", table->entries[i].name);
	}
	if (count)
		error_set(error, EINVAL, "%.*s may be %s%s%s", word->shown, word->text, names,
			  begins_help(word->text + 2, length) ? ", --help" : "", count > MOST_SHOWN ? ", ..." : "");
	return count > 0;
}

static int set_unknown(const struct option_table *table, const struct word *word, struct error *error)
{
	struct suggestion suggestion;

	if (word->text[1] != '-')
		return error_set(error, EINVAL, "unknown option %.*s", word->shown, word->text);
	if (set_ambiguous(table, word, error))
		return -1;
	suggestion = suggestion_for(word->text + 2, (size_t)word->shown - 2);
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i].help)
			suggestion_consider(&suggestion, table->entries[i].name);
	suggestion_consider(&suggestion, "help");
	if (suggestion.best)
		return error_set(error, EINVAL, "unknown option %.*s; did you mean --%s?", word->shown, word->text,
				 suggestion.best);
	return error_set(error, EINVAL, "unknown option %.*s", word->shown, word->text);
}

enum options_result options_parse(const struct option_table *table, void *target, int *count, char **argv,
				  struct error *error)
{
	int operands = 0;
	bool options = true;

	for (int i = 0; i < *count; i++) {
		struct word word;

		if (!options || argv[i][0] != '-' || !argv[i][1]) {
			argv[operands++] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			options = false;
			continue;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return OPTIONS_HELP;

		word = split_word(table, argv[i]);
		if (!word.entry)
			return set_unknown(table, &word, error);
		if (!word.entry->argument && word.value)
			return error_set(error, EINVAL, "%.*s takes no value", word.shown, word.text);
		if (word.entry->is_value && !word.value && i + 1 < *count && word.entry->is_value(argv[i + 1]))
			word.value = argv[++i];
		if (word.entry->argument && !word.value && !word.entry->optional) {
			if (i + 1 == *count)
				return error_set(error, EINVAL, "%.*s needs a value: %s", word.shown,
						 word.text, word.entry->argument);
			word.value = argv[++i];
		}
		if (store(word.entry, target, word.value, error) < 0)
			return error_context(error, "%.*s", word.shown, word.text);
	}
	*count = operands;
	return OPTIONS_GOOD;
}

#define HELP_COLUMN 32

void options_help(const struct option_table *table, FILE *file)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_entry *entry = &table->entries[i];
		int width = 0;

		if (!entry->help)
			continue;
		if (entry->letter)
			width += fprintf(file, "  -%c, ", entry->letter);
		else
			width += fprintf(file, "      ");
		width += fprintf(file, "--%s", entry->name);
		if (entry->argument)
			width += fprintf(file, entry->optional ? "[=%s]" : " %s", entry->argument);
		if (width + 2 > HELP_COLUMN) {
			fputc('\n', file);
			width = 0;
		}
		/* Each further line of the text begins at the same column. */
		for (const char *at = entry->help; at;) {
			const char *end = strchrnul(at, '\n');

			fprintf(file, "%*s%.*s\n", HELP_COLUMN - width, "", (int)(end - at), at);
			at = *end ? end + 1 : NULL;
			width = 0;
		}
	}
}
