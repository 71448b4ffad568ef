/* SPDX-License-Identifier: MIT */
/* virtio/virtqueue.c: valid and invalid rings and chains of a guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

#include "fake/driver.h"
#include "util/bits.h"

#define SIZE 8
#define RINGS FAKE_RAM_BASE
#define TABLE (FAKE_RAM_BASE + 0x4000) /* for indirect descriptors */
#define DATA (FAKE_RAM_BASE + 0x10000)
#define END (FAKE_RAM_BASE + FAKE_RAM_SIZE)

struct fixture {
	struct ram ram;
	struct virtqueue queue;
	struct fake_queue driver;
	struct virtqueue_chain chain;
};

static void program(struct fixture *f)
{
	virtqueue_reset(&f->queue, SIZE);
	f->queue.state.descriptors = f->driver.descriptors;
	f->queue.state.driver = f->driver.available;
	f->queue.state.device = f->driver.used;
	f->queue.state.enabled = 1;
}

static int setup(void **state)
{
	static struct fixture f;
	struct error error;

	assert_int_equal(ram_open(&f.ram, FAKE_RAM_BASE, FAKE_RAM_SIZE, &error), 0);
	fake_queue_init(&f.driver, &f.ram, RINGS, SIZE);
	program(&f);
	assert_int_equal(virtqueue_start(&f.queue, &f.ram, true, true), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	ram_close(&((struct fixture *)*state)->ram);
	return 0;
}

static void assert_broken(struct fixture *f)
{
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), -1);
	assert_true(f->queue.broken);
	assert_non_null(f->queue.reason);
	/* The queue stays broken after anything that the driver does. */
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), -1);
	assert_false(virtqueue_listen(&f->queue));
}

static void state_table_is_complete_for_a_queue(void **state)
{
	struct virtqueue queue;

	(void)state;
	assert_true(state_table_is_complete(&virtqueue_state_table));
	memset(&queue, 0xff, sizeof(queue));
	virtqueue_reset(&queue, 64);
	assert_int_equal(queue.state.maximum, 64);
	assert_int_equal(queue.state.size, 64);
	assert_int_equal(queue.state.vector, 0xffff);
	assert_int_equal(queue.state.enabled, 0);
	assert_int_equal(queue.state.next_used, 0);
	assert_null(queue.descriptor_ring);
}

static void queue_start_refuses_bad_size_and_rings(void **state)
{
	static const uint16_t bad_sizes[] = { 0, 3, 6, 16, 0x8000 };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(bad_sizes); i++) {
		program(f);
		f->queue.state.size = bad_sizes[i];
		assert_int_equal(virtqueue_start(&f->queue, &f->ram, true, true), -1);
		assert_true(f->queue.broken);
	}

	uint64_t *const addresses[] = { &f->queue.state.descriptors, &f->queue.state.driver, &f->queue.state.device };
	static const uint64_t sizes[] = { 16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE };
	static const uint64_t alignments[] = { 16, 2, 4 };

	for (unsigned i = 0; i < 3; i++) {
		const uint64_t last = (END - sizes[i]) & ~(alignments[i] - 1);
		const uint64_t bad[] = { RINGS + alignments[i] / 2, last + alignments[i], FAKE_RAM_BASE - alignments[i],
					 END, 0, ~0ull & ~(alignments[i] - 1) };

		for (unsigned j = 0; j < COUNT(bad); j++) {
			program(f);
			*addresses[i] = bad[j];
			assert_int_equal(virtqueue_start(&f->queue, &f->ram, true, true), -1);
			/* No chain is taken from a queue that did not start. */
			assert_int_equal(virtqueue_pop(&f->queue, &f->chain), -1);
		}
		program(f);
		*addresses[i] = last;
		assert_int_equal(virtqueue_start(&f->queue, &f->ram, true, true), 0);
	}
}

static void queue_is_empty_when_it_is_not_started(void **state)
{
	struct fixture *f = *state;

	virtqueue_reset(&f->queue, SIZE);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
	assert_false(virtqueue_listen(&f->queue));
	virtqueue_quiet(&f->queue);
	f->queue.state.next_used = 1; /* from a snapshot, as no driver can cause it */
	assert_false(virtqueue_should_interrupt(&f->queue));
}

static void queue_returns_chain_of_all_buffers(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t written;
	char text[16] = { 0 };

	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
	fake_descriptor(&f->driver, 3, DATA, 4, VRING_DESC_F_NEXT, 5);
	fake_descriptor(&f->driver, 5, DATA + 0x1000, 0, VRING_DESC_F_NEXT, 6); /* empty: has no element in the chain */
	fake_descriptor(&f->driver, 6, DATA + 0x100, 3, VRING_DESC_F_NEXT, 0);
	fake_descriptor(&f->driver, 0, DATA + 0x200, 2, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	fake_descriptor(&f->driver, 1, END - 8, 8, VRING_DESC_F_WRITE, 77);
	memcpy(ram_at(&f->ram, DATA, 4), "abcd", 4);
	memcpy(ram_at(&f->ram, DATA + 0x100, 3), "efg", 3);
	fake_offer(&f->driver, 3);

	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(f->chain.head, 3);
	assert_int_equal(f->chain.readable, 2);
	assert_int_equal(f->chain.writable, 2);
	assert_int_equal(f->chain.readable_bytes, 7);
	assert_int_equal(f->chain.writable_bytes, 10);

	assert_int_equal(virtqueue_read(&f->chain, 0, text, sizeof(text)), 7);
	assert_string_equal(text, "abcdefg");
	memset(text, 0, sizeof(text));
	assert_int_equal(virtqueue_read(&f->chain, 3, text, 3), 3);
	assert_string_equal(text, "def");
	assert_int_equal(virtqueue_read(&f->chain, 7, text, 3), 0);
	assert_int_equal(virtqueue_write(&f->chain, 1, "0123456789", 10), 9);
	assert_memory_equal(ram_at(&f->ram, DATA + 0x201, 1), "0", 1);
	assert_memory_equal(ram_at(&f->ram, END - 8, 8), "12345678", 8);

	assert_false(fake_take(&f->driver, &head, &written));
	virtqueue_push(&f->queue, f->chain.head, 10);
	assert_true(fake_take(&f->driver, &head, &written));
	assert_int_equal(head, 3);
	assert_int_equal(written, 10);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
}

static void unpop_returns_chain_to_the_queue(void **state)
{
	struct fixture *f = *state;

	fake_descriptor(&f->driver, 2, DATA, 4, 0, 0);
	fake_offer(&f->driver, 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
		assert_int_equal(f->chain.head, 2);
		virtqueue_unpop(&f->queue);
	}
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 0);
}

static void used_entries_appear_when_they_are_published(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t written;

	virtqueue_fill(&f->queue, 0, 4, 100);
	virtqueue_fill(&f->queue, 1, 5, 200);
	assert_false(fake_take(&f->driver, &head, &written));
	virtqueue_publish(&f->queue, 2);
	assert_true(fake_take(&f->driver, &head, &written));
	assert_int_equal(head, 4);
	assert_int_equal(written, 100);
	assert_true(fake_take(&f->driver, &head, &written));
	assert_int_equal(head, 5);
	assert_int_equal(written, 200);
	assert_false(fake_take(&f->driver, &head, &written));
}

static bool is_marked(struct fixture *f, uint64_t address)
{
	return f->ram.marks[(address - f->ram.base) / RAM_MARK];
}

/*
 * A push marks the written buffers: after it they are not written any more, so a mark that was taken before is too early. A
 * chain that is returned to the ring is not marked.
 */
static void push_marks_written_buffers(void **state)
{
	const uint64_t in = FAKE_RAM_BASE + 2 * RAM_MARK, out = FAKE_RAM_BASE + 4 * RAM_MARK - 8;
	struct fixture *f = *state;

	f->ram.marks = calloc(1, FAKE_RAM_SIZE / RAM_MARK);
	assert_non_null(f->ram.marks);
	fake_descriptor(&f->driver, 0, in, 16, VRING_DESC_F_NEXT, 1);
	fake_descriptor(&f->driver, 1, out, 16, VRING_DESC_F_WRITE, 0);
	fake_offer(&f->driver, 0);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	virtqueue_unpop(&f->queue);
	virtqueue_publish(&f->queue, 0);
	assert_false(is_marked(f, out));
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_false(is_marked(f, out));
	f->chain.iov[1].iov_base = NULL; /* devices change the vector */
	memset(f->ram.marks, 0, FAKE_RAM_SIZE / RAM_MARK);
	virtqueue_push(&f->queue, 0, 16);
	assert_false(is_marked(f, in));
	assert_true(is_marked(f, out));
	assert_true(is_marked(f, out + 15));
	assert_true(is_marked(f, RINGS));
	memset(f->ram.marks, 0, FAKE_RAM_SIZE / RAM_MARK);
	virtqueue_publish(&f->queue, 0);
	assert_false(is_marked(f, out));
	virtqueue_listen(&f->queue);
	assert_true(is_marked(f, RINGS));
}

/* With more buffers than are recorded, all of RAM is marked. */
static void push_marks_all_of_ram_when_buffers_are_too_many(void **state)
{
	struct fixture *f = *state;

	f->ram.marks = calloc(1, FAKE_RAM_SIZE / RAM_MARK);
	assert_non_null(f->ram.marks);
	for (unsigned i = 0; i < VIRTQUEUE_LENT + 1; i++) {
		fake_descriptor(&f->driver, 0, DATA + 64 * (i % 50), 1, VRING_DESC_F_WRITE, 0);
		fake_offer(&f->driver, 0);
		assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	}
	virtqueue_push(&f->queue, 0, 1);
	for (uint64_t i = 0; i < FAKE_RAM_SIZE / RAM_MARK; i++)
		assert_true(f->ram.marks[i]);
}

/* Both indices wrap at 65535, and the rings at their end, many times. */
static void queue_works_when_indices_wrap_around(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	for (unsigned i = 0; i < 70000; i++) {
		fake_descriptor(&f->driver, i % SIZE, DATA + i, 1, 0, 0);
		fake_offer(&f->driver, i % SIZE);
		fake_set_used_event(&f->driver, (uint16_t)i);
		if (virtqueue_pop(&f->queue, &f->chain) != 1 || f->chain.head != i % SIZE)
			fail_msg("at %u", i);
		virtqueue_push(&f->queue, f->chain.head, 0);
		if (!virtqueue_should_interrupt(&f->queue) || !fake_take(&f->driver, &head, NULL) || head != i % SIZE)
			fail_msg("at %u", i);
	}
}

static void queue_follows_indirect_tables(void **state)
{
	struct fixture *f = *state;
	/* The table has an odd address, as it needs no alignment. */
	struct vring_desc *table = ram_at(&f->ram, TABLE + 1, sizeof(*table) * 3);
	const struct vring_desc entries[] = {
		{ DATA, 16, VRING_DESC_F_NEXT, 2 },
		{ DATA + 0x2000, 1, VRING_DESC_F_WRITE, 0 },
		{ DATA + 0x1000, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1 },
	};

	memcpy(table, entries, sizeof(entries));
	fake_descriptor(&f->driver, 0, DATA, 8, VRING_DESC_F_NEXT, 1); /* a direct one may precede it */
	fake_descriptor(&f->driver, 1, TABLE + 1, sizeof(entries), VRING_DESC_F_INDIRECT, 0);
	fake_offer(&f->driver, 0);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(f->chain.readable_bytes, 24);
	assert_int_equal(f->chain.writable_bytes, 513);
	assert_ptr_equal(f->chain.iov[3].iov_base, ram_at(&f->ram, DATA + 0x2000, 1));
}

static void queue_breaks_when_an_indirect_table_exceeds_the_limit(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *table = ram_at(&f->ram, TABLE, sizeof(*table) * (VIRTQUEUE_MAX_SEGMENTS + 1));

	for (unsigned i = 0; i <= VIRTQUEUE_MAX_SEGMENTS; i++)
		table[i] = (struct vring_desc){ DATA, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1) };
	table[VIRTQUEUE_MAX_SEGMENTS - 1].flags = 0;
	fake_descriptor(&f->driver, 0, TABLE, sizeof(*table) * (VIRTQUEUE_MAX_SEGMENTS + 1), VRING_DESC_F_INDIRECT, 0);
	fake_offer(&f->driver, 0);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(f->chain.readable, VIRTQUEUE_MAX_SEGMENTS);

	table[VIRTQUEUE_MAX_SEGMENTS - 1].flags = VRING_DESC_F_NEXT;
	table[VIRTQUEUE_MAX_SEGMENTS].flags = 0;
	fake_offer(&f->driver, 0);
	assert_broken(f);
}

/* Each of these is a chain of one or two descriptors that no driver may offer. */
static void queue_breaks_when_a_chain_is_malformed(void **state)
{
	static const struct {
		const char *what;
		struct vring_desc first, second;
		bool no_indirect;
	} cases[] = {
		{ "in a circle", { DATA, 1, VRING_DESC_F_NEXT, 1 }, { DATA, 1, VRING_DESC_F_NEXT, 0 }, false },
		{ "an empty circle", { DATA, 0, VRING_DESC_F_NEXT, 0 }, { 0, 0, 0, 0 }, false },
		{ "next out of range", { DATA, 1, VRING_DESC_F_NEXT, SIZE }, { 0, 0, 0, 0 }, false },
		{ "below RAM", { FAKE_RAM_BASE - 1, 2, 0, 0 }, { 0, 0, 0, 0 }, false },
		{ "beyond RAM", { END - 1, 2, 0, 0 }, { 0, 0, 0, 0 }, false },
		{ "wraps", { ~0ull, 2, 0, 0 }, { 0, 0, 0, 0 }, false },
		{ "4 GiB", { DATA, ~0u, VRING_DESC_F_WRITE, 0 }, { 0, 0, 0, 0 }, false },
		{ "second bad", { DATA, 1, VRING_DESC_F_NEXT, 1 }, { 0, 1, 0, 0 }, false },
		{ "order", { DATA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1 }, { DATA, 1, 0, 0 }, false },
		{ "order, empty", { DATA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1 }, { DATA, 0, 0, 0 }, false },
		{ "not negotiated", { TABLE, 16, VRING_DESC_F_INDIRECT, 0 }, { 0, 0, 0, 0 }, true },
		{ "indirect and next", { TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 }, { DATA, 1, 0, 0 },
		  false },
		{ "empty table", { TABLE, 0, VRING_DESC_F_INDIRECT, 0 }, { 0, 0, 0, 0 }, false },
		{ "odd table", { TABLE, 24, VRING_DESC_F_INDIRECT, 0 }, { 0, 0, 0, 0 }, false },
		{ "table beyond RAM", { END - 16, 32, VRING_DESC_F_INDIRECT, 0 }, { 0, 0, 0, 0 }, false },
		/* The ring itself is the table, so its first entry is indirect again, without end. */
		{ "nested", { RINGS, 16 * SIZE, VRING_DESC_F_INDIRECT, 0 }, { 0, 0, 0, 0 }, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		fake_queue_init(&f->driver, &f->ram, RINGS, SIZE);
		program(f);
		assert_int_equal(virtqueue_start(&f->queue, &f->ram, true, !cases[i].no_indirect), 0);
		memset(ram_at(&f->ram, TABLE, 0x1000), 0, 0x1000);
		fake_descriptor(&f->driver, 0, cases[i].first.addr, cases[i].first.len, cases[i].first.flags,
				cases[i].first.next);
		fake_descriptor(&f->driver, 1, cases[i].second.addr, cases[i].second.len, cases[i].second.flags,
				cases[i].second.next);
		fake_offer(&f->driver, 0);
		if (virtqueue_pop(&f->queue, &f->chain) != -1)
			fail_msg("%s was taken", cases[i].what);
		assert_broken(f);
	}
}

static void queue_breaks_when_the_index_is_too_far_ahead(void **state)
{
	struct fixture *f = *state;

	fake_descriptor(&f->driver, 0, DATA, 1, 0, 0);
	for (unsigned i = 0; i < SIZE; i++)
		fake_offer_silently(&f->driver, 0);
	fake_offer(&f->driver, 0); /* one more request than the queue has entries */
	assert_broken(f);
}

static void queue_breaks_when_a_head_is_out_of_range(void **state)
{
	struct fixture *f = *state;

	fake_offer(&f->driver, SIZE);
	assert_broken(f);
}

static void push_some(struct fixture *f, unsigned count)
{
	while (count--)
		virtqueue_push(&f->queue, 0, 0);
}

static void interrupt_follows_the_event_index(void **state)
{
	struct fixture *f = *state;

	assert_false(virtqueue_should_interrupt(&f->queue)); /* nothing pushed */
	push_some(f, 1);
	assert_true(virtqueue_should_interrupt(&f->queue)); /* event 0: after the first entry */
	assert_false(virtqueue_should_interrupt(&f->queue));
	push_some(f, 1);
	assert_false(virtqueue_should_interrupt(&f->queue)); /* still 0, which was passed before */
	fake_set_used_event(&f->driver, 4);
	push_some(f, 2);
	assert_false(virtqueue_should_interrupt(&f->queue)); /* 4 entries are used: entry 4 is not written yet */
	push_some(f, 1);
	assert_true(virtqueue_should_interrupt(&f->queue));
	fake_set_used_event(&f->driver, 6);
	push_some(f, 3); /* passes it in the middle */
	assert_true(virtqueue_should_interrupt(&f->queue));
	/* The flag is ignored if the event index was negotiated. */
	fake_set_used_event(&f->driver, 8);
	fake_set_avail_flags(&f->driver, VRING_AVAIL_F_NO_INTERRUPT);
	push_some(f, 1);
	assert_true(virtqueue_should_interrupt(&f->queue));
}

static void interrupt_follows_the_flag_without_event_index(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtqueue_start(&f->queue, &f->ram, false, true), 0);
	push_some(f, 1);
	assert_true(virtqueue_should_interrupt(&f->queue));
	push_some(f, 1);
	assert_true(virtqueue_should_interrupt(&f->queue));
	fake_set_avail_flags(&f->driver, VRING_AVAIL_F_NO_INTERRUPT);
	push_some(f, 1);
	assert_false(virtqueue_should_interrupt(&f->queue));
}

static void listen_and_quiet_control_notifications(void **state)
{
	struct fixture *f = *state;

	assert_false(virtqueue_listen(&f->queue));
	assert_int_equal(fake_avail_event(&f->driver), 0);
	fake_descriptor(&f->driver, 0, DATA, 1, 0, 0);
	fake_offer(&f->driver, 0);
	fake_offer(&f->driver, 0);
	assert_true(virtqueue_listen(&f->queue)); /* a request arrived meanwhile */
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	virtqueue_quiet(&f->queue);
	assert_int_equal(fake_used_flags(&f->driver), 0);
	assert_false(virtqueue_listen(&f->queue));
	assert_int_equal(fake_avail_event(&f->driver), 2);

	assert_int_equal(virtqueue_start(&f->queue, &f->ram, false, true), 0);
	virtqueue_quiet(&f->queue);
	assert_int_equal(fake_used_flags(&f->driver), VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_listen(&f->queue));
	assert_int_equal(fake_used_flags(&f->driver), 0);
	assert_int_equal(fake_avail_event(&f->driver), 2); /* unchanged */
}

/* The saved state is enough to continue at the same place. */
static void queue_continues_from_its_saved_state(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_state kept;
	uint16_t head;

	for (uint16_t i = 0; i < 3; i++) {
		fake_descriptor(&f->driver, i, DATA, 1, 0, 0);
		fake_offer(&f->driver, i);
	}
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	virtqueue_push(&f->queue, f->chain.head, 0);
	kept = f->queue.state;

	virtqueue_reset(&f->queue, SIZE);
	f->queue.state = kept;
	assert_int_equal(virtqueue_start(&f->queue, &f->ram, true, true), 0);
	assert_int_equal(virtqueue_pop(&f->queue, &f->chain), 1);
	assert_int_equal(f->chain.head, 1);
	virtqueue_push(&f->queue, 1, 0);
	assert_true(fake_take(&f->driver, &head, NULL));
	assert_true(fake_take(&f->driver, &head, NULL));
	assert_int_equal(head, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(state_table_is_complete_for_a_queue),
		TEST(queue_start_refuses_bad_size_and_rings),
		TEST(queue_is_empty_when_it_is_not_started),
		TEST(queue_returns_chain_of_all_buffers),
		TEST(unpop_returns_chain_to_the_queue),
		TEST(used_entries_appear_when_they_are_published),
		TEST(push_marks_written_buffers),
		TEST(push_marks_all_of_ram_when_buffers_are_too_many),
		TEST(queue_works_when_indices_wrap_around),
		TEST(queue_follows_indirect_tables),
		TEST(queue_breaks_when_an_indirect_table_exceeds_the_limit),
		TEST(queue_breaks_when_a_chain_is_malformed),
		TEST(queue_breaks_when_the_index_is_too_far_ahead),
		TEST(queue_breaks_when_a_head_is_out_of_range),
		TEST(interrupt_follows_the_event_index),
		TEST(interrupt_follows_the_flag_without_event_index),
		TEST(listen_and_quiet_control_notifications),
		TEST(queue_continues_from_its_saved_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
