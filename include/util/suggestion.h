/* SPDX-License-Identifier: MIT */
/* Which known word a user meant who misspelt it. */
#ifndef LKVM_UTIL_SUGGESTION_H
#define LKVM_UTIL_SUGGESTION_H

#include <stddef.h>

struct suggestion {
	const char *word; /* as it was written; not terminated */
	size_t length;
	const char *best; /* NULL as long as no candidate is near */
	unsigned distance;
};

struct suggestion suggestion_for(const char *word, size_t length);

/* Keeps the candidate if it is nearer than all before, and near: a third of the letters may be wrong, at least one. */
void suggestion_consider(struct suggestion *suggestion, const char *candidate);

#endif
