/* SPDX-License-Identifier: MIT */
/*
 * Command-line options, said once in a table that parsing, --help and the shell's completion share.
 * Long options are written --name VALUE or --name=VALUE, short ones -n VALUE, -nVALUE or -n=VALUE.
 */
#ifndef LKVM_UTIL_OPTIONS_H
#define LKVM_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/bits.h"
#include "util/err.h"

/* What a value is, and the type of the field that it goes to. */
enum option_kind {
	OPTION_FLAG,    /* no value; bool, set to true */
	OPTION_STRING,  /* const char *, into argv */
	OPTION_FILE,    /* the same; completed with file names */
	OPTION_NUMBER,  /* uint64_t between minimum and maximum */
	OPTION_SIZE,    /* uint64_t bytes; a number alone is MiB */
	OPTION_CHOICE,  /* unsigned: which of `choices` */
	OPTION_TAKEN,   /* `take` decides; the field is handed to it */
	OPTION_IGNORED, /* accepted for kvmtool's sake */
};

struct option_entry {
	const char *name;     /* without dashes */
	char letter;          /* 0: only the long form */
	bool optional;        /* with OPTION_TAKEN: the value may be left out, and is no next word but one that `is_value` knows */
	enum option_kind kind;
	const char *argument; /* what --help calls the value; NULL: the option takes none */
	const char *choices;  /* "serial|virtio"; with OPTION_TAKEN and OPTION_IGNORED only for completion */
	size_t offset;        /* of the field in the target */
	uint64_t minimum, maximum;
	/* Stores `value` (NULL if there is none; may be cut up) in `field`; an error needs not name
	 * the option. */
	int (*take)(void *field, char *value, struct error *error);
	bool (*is_value)(const char *word); /* or NULL */
	const char *help; /* NULL: shown neither by --help nor by the completion */
};

struct option_table {
	const void *defaults; /* what the target is before the options fill it */
	size_t target_size;
	size_t count;
	const struct option_entry *entries;
};

/* A table out of an array of entries, and the struct with the target's defaults. */
#define OPTION_TABLE(array, target_defaults)                                                               \
	{                                                                                                  \
		.defaults = &(target_defaults), .target_size = sizeof(target_defaults),                    \
		.count = COUNT(array), .entries = (array),                           \
	}

/* What options_parse() gives. */
enum options_result {
	OPTIONS_BAD = -1, /* the sentence says which option and why */
	OPTIONS_GOOD = 0,
	OPTIONS_HELP = 1, /* --help or -h; what came behind it was not looked at */
};

/*
 * Fills `target`, which must hold the defaults, from argv[0..*count); options and operands may be mixed, "--"
 * ends the options. Operands are moved to the front of argv, and *count becomes their number. Of an option
 * that is given twice the later one counts. A long name may be cut short where only one option begins so; a misspelt one
 * is refused with the name that is nearest.
 */
enum options_result options_parse(const struct option_table *table, void *target, int *count, char **argv,
				  struct error *error);

/* The lines of --help. Lines that cannot be written show in ferror(file). */
void options_help(const struct option_table *table, FILE *file);

#endif
