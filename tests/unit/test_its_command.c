/* SPDX-License-Identifier: MIT */
/* arm/its_command.c: texts of commands, which are encoded by hand from ARM IHI 0069, section 5.3. */
#include "arm/its_command.h"

#include <string.h>

#include "test.h"

static void expect(uint64_t word0, uint64_t word1, uint64_t word2, uint64_t word3, const char *expected)
{
	const uint64_t command[4] = { word0, word1, word2, word3 };
	char text[ITS_COMMAND_TEXT];

	its_command_text(command, text);
	assert_string_equal(text, expected);
}

static void command_is_printed_with_its_operands(void **state)
{
	(void)state;
	expect(0x0800000001, 3, 2, 0, "MOVI device 0x8 event 3 collection 2");
	expect(0x0800000003, 3, 0, 0, "INT device 0x8 event 3");
	expect(0x0800000004, 3, 0, 0, "CLEAR device 0x8 event 3");
	expect(5, 0, 1ull << 16, 0, "SYNC vCPU 1");
	expect(0x1000000008, 4, 1ull << 63 | 0x80001100, 0, "MAPD device 0x10 ITT 0x80001100 bits 5 valid");
	expect(0x1000000008, 4, 0x80001100, 0, "MAPD device 0x10 ITT 0x80001100 bits 5 invalid");
	expect(9, 0, 1ull << 63 | 3ull << 16 | 7, 0, "MAPC collection 7 vCPU 3 valid");
	expect(0x080000000a, 8195ull << 32 | 3, 1, 0, "MAPTI device 0x8 event 3 LPI 8195 collection 1");
	expect(0x080000000b, 8195, 1, 0, "MAPI device 0x8 event 8195 collection 1");
	expect(0x080000000c, 3, 0, 0, "INV device 0x8 event 3");
	expect(0x0d, 0, 4, 0, "INVALL collection 4");
	expect(0x0e, 0, 1ull << 16, 2ull << 16, "MOVALL vCPU 1 to vCPU 2");
	expect(0x080000000f, 3, 0, 0, "DISCARD device 0x8 event 3");
	expect(0x42, 0, 0, 0, "unknown command 0x42");
	expect(0xffffffff000000ff, ~0ull, ~0ull, ~0ull, "unknown command 0xff");
	expect(~0ull << 8 | 8, ~0ull, ~0ull, ~0ull, "MAPD device 0xffffffff ITT 0xfffffffffff00 bits 32 valid");
}

static void queue_is_decoded_from_its_registers(void **state)
{
	struct its_queue queue = its_queue_decode(0xb8000000802d0401, 0x641, 0x1fe0);

	(void)state;
	assert_true(queue.valid);
	assert_int_equal(queue.address, 0x802d0000);
	assert_int_equal(queue.size, 0x2000);
	assert_int_equal(queue.read, 0x640);
	assert_true(queue.stalled);
	assert_int_equal(queue.write, 0x1fe0);
	assert_true(its_queue_is_sound(&queue));
}

static void queue_is_unsound_when_an_offset_is_after_its_end(void **state)
{
	struct its_queue read = its_queue_decode(1ull << 63, 0x1000, 0), write = its_queue_decode(1ull << 63, 0, 0x1000);
	struct its_queue invalid = its_queue_decode(0, 0, 0);

	(void)state;
	assert_false(its_queue_is_sound(&read));
	assert_false(its_queue_is_sound(&write));
	assert_false(its_queue_is_sound(&invalid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_is_printed_with_its_operands),
		cmocka_unit_test(queue_is_decoded_from_its_registers),
		cmocka_unit_test(queue_is_unsound_when_an_offset_is_after_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
