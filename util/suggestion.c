/* SPDX-License-Identifier: MIT */
/* Finds the known word that is most like a misspelt one. */
#include "util/suggestion.h"

#include <string.h>

#include "util/bits.h"

#define LONGEST 40u /* letters: no candidate is longer */

/* Returns the number of letters to insert, delete, replace, or swap with their neighbour (optimal string alignment). */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= b_length; j++)
		before[j] = last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = MIN(MIN(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_length];
}

struct suggestion suggestion_for(const char *word, size_t length)
{
	return (struct suggestion){ .word = word, .length = length };
}

void suggestion_consider(struct suggestion *suggestion, const char *candidate)
{
	size_t length = strlen(candidate);
	unsigned wrong, allowed = suggestion->length < 6 ? 1 : (unsigned)suggestion->length / 3;

	if (suggestion->length < 2 || suggestion->length > LONGEST || length > LONGEST)
		return;
	wrong = distance(suggestion->word, suggestion->length, candidate, length);
	if (wrong > allowed || (suggestion->best && wrong >= suggestion->distance))
		return;
	suggestion->best = candidate;
	suggestion->distance = wrong;
}
