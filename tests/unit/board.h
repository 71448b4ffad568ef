/* SPDX-License-Identifier: MIT */
/* The surroundings of a board device: a bus, an event loop, and interrupt lines of the fake KVM. */
#ifndef TESTS_UNIT_BOARD_H
#define TESTS_UNIT_BOARD_H

#include "fake/kvm.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "util/loop.h"

struct board {
	struct bus bus;
	struct loop loop;
	struct interrupts interrupts;
};

static inline void board_open(struct board *board)
{
	struct error error;

	fake_kvm_reset();
	loop_open(&board->loop);
	assert_int_equal(bus_open(&board->bus, &error), 0);
	assert_int_equal(interrupts_open(&board->interrupts, -1, &error), 0);
}

static inline void board_close(struct board *board)
{
	assert_int_equal(board->bus.count, 0);
	interrupts_close(&board->interrupts);
	bus_close(&board->bus);
}

static inline uint64_t board_read(struct board *board, uint64_t address, unsigned size)
{
	uint64_t value;

	assert_true(bus_read(&board->bus, address, size, &value));
	return value;
}

static inline void board_write(struct board *board, uint64_t address, unsigned size, uint64_t value)
{
	assert_true(bus_write(&board->bus, address, size, value));
}

static inline bool board_line(const struct board *board, unsigned line)
{
	return board->interrupts.lines >> line & 1;
}

/* Reads and writes random values at random offsets, as a hostile guest may. The sanitizers report errors. */
static inline void board_torture(struct board *board, uint64_t base, uint64_t size)
{
	uint64_t random = 88172645463325252u;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t value;
		unsigned width = 1u << (random >> 60 & 3);
		uint64_t offset = (random >> 20) % (random & 1 ? 16 : size);

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (offset + width > size)
			continue;
		if (random & 2)
			board_write(board, base + offset, width, random);
		else
			bus_read(&board->bus, base + offset, width, &value);
	}
}

#endif
