/* SPDX-License-Identifier: MIT */
/* Parses fields or sections. Input: a byte that selects one of them, seven unused bytes, the bytes to parse. */
#include "fuzz.h"
#include "mutate.h"

static void sections(uint8_t *bytes, size_t size)
{
	struct sections sections = { 0 };
	struct error error;

	fuzz_repair_sections(bytes, size);
	if (sections_parse(&sections, bytes, size, &error) == 0) {
		fuzz_must(size == 0 || sections.count > 0);
		for (size_t i = 0; i < sections.count; i++) {
			fuzz_read_fields(&sections.items[i].fields);
			fuzz_must(sections_find(&sections, sections.items[i].name) == &sections.items[i]);
		}
		fuzz_must(sections_check_used(&sections, &error) == 0);
	}
	sections_free(&sections);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes;

	if (size < 8)
		return 0;
	/* A copy of the exact size, so that the sanitizer finds reads after the end. */
	bytes = malloc(size - 8 ? size - 8 : 1);
	fuzz_must(bytes != NULL);
	memcpy(bytes, data + 8, size - 8);
	if (data[0] & 1) {
		sections(bytes, size - 8);
	} else {
		const struct fields fields = { bytes, size - 8 };

		fuzz_read_fields(&fields);
	}
	free(bytes);
	return 0;
}
