/* SPDX-License-Identifier: MIT */
/*
 * Command-line options. They are declared once, in a table that parsing, --help and the shell's completion share. Long
 * options are written --name VALUE or --name=VALUE, short ones -n VALUE, -nVALUE or -n=VALUE.
 */
#ifndef LKVM_UTIL_OPTIONS_H
#define LKVM_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/bits.h"
#include "util/err.h"

/* The kind of an option's value, and the type of the field that stores it. */
enum option_kind {
	OPTION_FLAG,    /* no value; bool, set to true */
	OPTION_STRING,  /* const char *, into argv */
	OPTION_FILE,    /* the same; completed with file names */
	OPTION_NUMBER,  /* uint64_t between minimum and maximum */
	OPTION_SIZE,    /* uint64_t bytes; a number alone is MiB */
	OPTION_CHOICE,  /* unsigned: the index in `choices` */
	OPTION_PARSED,   /* `parse` parses the value and stores it in the field */
	OPTION_IGNORED, /* accepted for compatibility with kvmtool, without effect */
};

struct option_entry {
	const char *name;     /* without dashes */
	char letter;          /* 0: only the long form */
	bool optional;        /* with OPTION_PARSED: needs no value; only a next word that `is_value` accepts is its value */
	enum option_kind kind;
	const char *argument; /* the value's name in --help; NULL: the option takes no value */
	const char *choices;  /* as "serial|virtio"; with OPTION_PARSED and OPTION_IGNORED only for completion */
	size_t offset;        /* of the field in the target */
	uint64_t minimum, maximum;
	/* Parses `value` and stores it in `field`. `value` is NULL if there is none; `parse` may change its
	 * characters. The error need not name the option. */
	int (*parse)(void *field, char *value, struct error *error);
	bool (*is_value)(const char *word); /* or NULL */
	const char *help; /* NULL: neither --help nor the completion shows the option */
};

struct option_table {
	const void *defaults; /* the target's value before options_parse() */
	size_t target_size;
	size_t count;
	const struct option_entry *entries;
};

/* Makes a table from an array of entries and the struct with the target's defaults. */
#define OPTION_TABLE(array, target_defaults)                                                               \
	{                                                                                                  \
		.defaults = &(target_defaults), .target_size = sizeof(target_defaults),                    \
		.count = COUNT(array), .entries = (array),                           \
	}

/* The result of options_parse(). */
enum options_result {
	OPTIONS_BAD = -1, /* the error names the option and the reason */
	OPTIONS_GOOD = 0,
	OPTIONS_HELP = 1, /* --help or -h; the words after it were not parsed */
};

/*
 * Fills `target`, which must have the defaults, from argv[0..*count). Options and operands may be mixed; "--" ends the
 * options. Operands move to the front of argv, and *count becomes their number. If an option is given twice, the later value
 * wins. A long name may be abbreviated if only one option begins with that. An unknown name is an error, which suggests the
 * nearest name.
 */
enum options_result options_parse(const struct option_table *table, void *target, int *count, char **argv,
				  struct error *error);

/* Prints the lines of --help. After a failed write ferror(file) is true. */
void options_help(const struct option_table *table, FILE *file);

#endif
