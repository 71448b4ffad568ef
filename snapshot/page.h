/* SPDX-License-Identifier: MIT */
/* Compares aligned pages, two words at a time. Comparing them takes most of the time of a save's pause. */
#ifndef LKVM_SNAPSHOT_PAGE_H
#define LKVM_SNAPSHOT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/format.h"

typedef uint64_t page_words __attribute__((vector_size(16), may_alias));

static inline bool page_is_zero(const uint8_t *page)
{
	const page_words *words = (const void *)page;

	for (size_t i = 0; i < FORMAT_RAM_PAGE / sizeof(page_words); i += 8) {
		page_words any = { 0 };

#pragma GCC unroll 8
		for (size_t j = 0; j < 8; j++)
			any |= words[i + j];
		if (any[0] | any[1])
			return false;
	}
	return true;
}

static inline bool page_is_equal(const uint8_t *page, const uint8_t *other)
{
	const page_words *one = (const void *)page, *two = (const void *)other;

	for (size_t i = 0; i < FORMAT_RAM_PAGE / sizeof(page_words); i += 8) {
		page_words any = { 0 };

#pragma GCC unroll 8
		for (size_t j = 0; j < 8; j++)
			any |= one[i + j] ^ two[i + j];
		if (any[0] | any[1])
			return false;
	}
	return true;
}

#endif
