/* SPDX-License-Identifier: MIT */
/* memory/guest_memory.c: exact limits of RAM, and windows. */
#include "unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/guest_memory.h"

/* RAM of `size` bytes, on the heap so that the sanitizer finds reads beside it. */
struct ram {
	struct guest_memory memory;
	uint8_t *bytes;
	unsigned reads;
	int code; /* error of each read, or 0 */
};

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	struct ram *ram = owner;

	assert_true(guest_memory_has(&ram->memory, address, size));
	ram->reads++;
	if (ram->code)
		return error_set(error, ram->code, "a broken disk");
	memcpy(to, ram->bytes + (address - ram->memory.base), size);
	return 0;
}

static void ram_open(struct ram *ram, uint64_t base, uint64_t size)
{
	*ram = (struct ram){ .memory = { .base = base, .size = size, .read = read_ram, .owner = ram } };
	ram->bytes = malloc(size ? size : 1);
	for (uint64_t i = 0; i < size; i++)
		ram->bytes[i] = (uint8_t)(i % 251);
}

/* Little-endian. */
static uint64_t number_at(const struct ram *ram, uint64_t address, unsigned size)
{
	uint64_t number = 0;

	memcpy(&number, ram->bytes + (address - ram->memory.base), size);
	return number;
}

static void guest_memory_has_exactly_the_bytes_of_ram(void **state)
{
	const struct guest_memory memory = { .base = 0x80000000, .size = 0x3000 };
	const struct guest_memory none = { .base = 0x80000000, .size = 0 };
	const struct guest_memory top = { .base = UINT64_MAX - 0xfff, .size = 0xfff };
	const struct guest_memory bottom = { .base = 0, .size = 0x1000 };

	(void)state;
	assert_true(guest_memory_has(&memory, 0x80000000, 1));
	assert_true(guest_memory_has(&memory, 0x80000000, 0x3000));
	assert_true(guest_memory_has(&memory, 0x80002fff, 1));
	assert_true(guest_memory_has(&memory, 0x80003000, 0));
	assert_false(guest_memory_has(&memory, 0x80003000, 1));
	assert_false(guest_memory_has(&memory, 0x80003001, 0));
	assert_false(guest_memory_has(&memory, 0x7fffffff, 1));
	assert_false(guest_memory_has(&memory, 0x7fffffff, 2));
	assert_false(guest_memory_has(&memory, 0x80000000, 0x3001));
	assert_false(guest_memory_has(&memory, 0x80000001, 0x3000));
	assert_false(guest_memory_has(&memory, 0x80000000, UINT64_MAX));
	assert_false(guest_memory_has(&memory, 0x80001000, UINT64_MAX - 0x80000fff)); /* its end is 0 */
	assert_false(guest_memory_has(&memory, UINT64_MAX, 1));
	assert_false(guest_memory_has(&memory, 0, 1));
	assert_false(guest_memory_has(&none, 0x80000000, 1));
	assert_true(guest_memory_has(&top, UINT64_MAX - 1, 1));
	assert_false(guest_memory_has(&top, UINT64_MAX, 1));
	assert_false(guest_memory_has(&top, UINT64_MAX - 1, 2));
	assert_true(guest_memory_has(&bottom, 0, 0x1000));
	assert_false(guest_memory_has(&bottom, UINT64_MAX, 2));
}

static void guest_memory_read_copies_or_reports_error(void **state)
{
	struct error error = { 0 };
	uint8_t bytes[16];
	struct ram ram;

	(void)state;
	ram_open(&ram, 0x1000, 0x20);
	assert_int_equal(guest_memory_read(&ram.memory, 0x1010, bytes, 16, &error), 0);
	assert_memory_equal(bytes, ram.bytes + 0x10, 16);
	assert_int_equal(guest_memory_read(&ram.memory, 0x1011, bytes, 16, &error), -1);
	assert_int_equal(error.code, EFAULT);
	assert_string_equal(error.text, "0x1011 is not in RAM");
	assert_int_equal(ram.reads, 1);
	ram.code = EIO;
	assert_int_equal(guest_memory_read(&ram.memory, 0x1010, bytes, 16, &error), -1);
	assert_int_equal(error.code, EIO);
	free(ram.bytes);
}

/* Reads every size at every address in and around RAM, in ascending and descending order. */
static void expect_all_pieces(uint64_t base, uint64_t size)
{
	struct guest_window up = { 0 }, down = { 0 };
	struct error error;
	struct ram ram;

	ram_open(&ram, base, size);
	up.memory = down.memory = &ram.memory;
	for (unsigned piece = 1; piece <= 8; piece++) {
		for (uint64_t i = 0; i < size + 32; i++) {
			uint64_t places[2] = { base - 16 + i, base + size + 15 - i };
			struct guest_window *windows[2] = { &up, &down };

			for (unsigned way = 0; way < 2; way++) {
				uint64_t value = 0x5a;
				int result = guest_window_read(windows[way], places[way], piece, &value, &error);

				if (!guest_memory_has(&ram.memory, places[way], piece)) {
					assert_int_equal(result, -1);
					assert_int_equal(error.code, EFAULT);
				} else {
					assert_int_equal(result, 0);
					assert_int_equal(value, number_at(&ram, places[way], piece));
				}
			}
		}
	}
	free(ram.bytes);
}

static void window_reads_each_byte_of_ram(void **state)
{
	(void)state;
	expect_all_pieces(0x80000000, 3 * GUEST_WINDOW_SIZE);
	expect_all_pieces(0x80000000, 64);
	expect_all_pieces(0x80000ff4, 24);                        /* RAM begins and ends inside pages */
	expect_all_pieces(0x80000ffc, GUEST_WINDOW_SIZE + 8);
	expect_all_pieces(0x80000003, 2 * GUEST_WINDOW_SIZE + 5);
	expect_all_pieces(0x80000000, 3);
}

static void window_reads_each_page_once(void **state)
{
	struct guest_window window = { 0 };
	struct error error;
	struct ram ram;
	uint64_t value;

	(void)state;
	ram_open(&ram, 0x80000000, 2 * GUEST_WINDOW_SIZE);
	window.memory = &ram.memory;
	for (uint64_t at = 0; at < GUEST_WINDOW_SIZE; at += 8)
		assert_int_equal(guest_window_read(&window, 0x80000000 + at, 8, &value, &error), 0);
	assert_int_equal(ram.reads, 1);
	assert_int_equal(guest_window_read(&window, 0x80001000, 1, &value, &error), 0);
	assert_int_equal(ram.reads, 2);
	assert_int_equal(guest_window_read(&window, 0x80000fff, 1, &value, &error), 0);
	assert_int_equal(ram.reads, 3);
	free(ram.bytes);
}

/* After a failed read the window is empty, so its bytes are not used. */
static void window_is_empty_when_a_read_failed(void **state)
{
	struct guest_window window = { 0 };
	struct error error;
	struct ram ram;
	uint64_t value;

	(void)state;
	ram_open(&ram, 0x80000000, 2 * GUEST_WINDOW_SIZE);
	window.memory = &ram.memory;
	assert_int_equal(guest_window_read(&window, 0x80000010, 8, &value, &error), 0);
	ram.code = EIO;
	assert_int_equal(guest_window_read(&window, 0x80001010, 8, &value, &error), -1);
	assert_int_equal(error.code, EIO);
	assert_int_equal(guest_window_read(&window, 0x80001010, 8, &value, &error), -1);
	assert_int_equal(error.code, EIO);
	assert_int_equal(guest_window_read(&window, 0x90000000, 8, &value, &error), -1);
	assert_int_equal(error.code, EFAULT);
	ram.code = 0;
	assert_int_equal(guest_window_read(&window, 0x80001010, 8, &value, &error), 0);
	assert_int_equal(value, number_at(&ram, 0x80001010, 8));
	free(ram.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_memory_has_exactly_the_bytes_of_ram),
		cmocka_unit_test(guest_memory_read_copies_or_reports_error),
		cmocka_unit_test(window_reads_each_byte_of_ram),
		cmocka_unit_test(window_reads_each_page_once),
		cmocka_unit_test(window_is_empty_when_a_read_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
