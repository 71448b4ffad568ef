/* SPDX-License-Identifier: MIT */
/* Unpacks a golden snapshot to the original file with holes. For unit tests, as it uses cmocka's assertions. */
#ifndef TESTS_GOLDEN_UNPACK_H
#define TESTS_GOLDEN_UNPACK_H

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <zlib.h>

#define GOLDEN_REAL "tests/golden/real-1.lkvm.gz" /* a guest that uses its ITS; tests run in the top folder */

static inline void golden_unpack(const char *packed, const char *path)
{
	static const uint8_t zeroes[4096];
	uint8_t page[sizeof(zeroes)];
	gzFile from = gzopen(packed, "rb");
	FILE *to = fopen(path, "wb");
	off_t end = 0;
	int got;

	assert_non_null(from);
	assert_non_null(to);
	while ((got = gzread(from, page, sizeof(page))) > 0) {
		if (got < (int)sizeof(page) || memcmp(page, zeroes, sizeof(page)) != 0) /* else a hole, as lkvm writes it */
			assert_int_equal(pwrite(fileno(to), page, (size_t)got, end), got);
		end += got;
	}
	assert_int_equal(gzclose(from), Z_OK);
	assert_int_equal(ftruncate(fileno(to), end), 0);
	fclose(to);
}

#endif
