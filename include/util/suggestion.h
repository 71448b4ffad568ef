/* SPDX-License-Identifier: MIT */
/* Finds the known word that is nearest to a misspelt one. */
#ifndef LKVM_UTIL_SUGGESTION_H
#define LKVM_UTIL_SUGGESTION_H

#include <stddef.h>

struct suggestion {
	const char *word; /* as the user wrote it; not terminated */
	size_t length;
	const char *best; /* the nearest candidate so far; NULL if none is near enough */
	unsigned distance; /* wrong letters of `best` */
};

struct suggestion suggestion_for(const char *word, size_t length);

/* Keeps the candidate if it is nearer than all before, and at most a third of the word's letters, or one, are wrong. */
void suggestion_consider(struct suggestion *suggestion, const char *candidate);

#endif
