/* SPDX-License-Identifier: MIT */
/* inspect/gic.c: the GIC of a snapshot from real KVM, and GICs that tests write. */
#include "unit/inspect_rig.h"
#include "util/bits.h"

/* The words of a distributor with 32 interrupts. */
struct words {
	uint32_t group, enabled, trigger[2], line, latch, active;
};

enum omission { NOTHING, NO_LINES, SHORT_PRIORITIES, NARROW_WORDS, NO_VCPU, MORE_LINES, NO_PMR };

static void add_bank(struct byte_buffer *buffer, const struct words *words, enum omission omission)
{
	static const uint32_t priorities[8] = { 0xa0 };

	field_add(buffer, "IGROUPR", 4, 1, &words->group);
	field_add(buffer, "ISENABLER", omission == NARROW_WORDS ? 2 : 4, 1, &words->enabled);
	if (omission != NO_LINES)
		field_add(buffer, "LEVEL_INFO", 4, 1, &words->line);
	field_add(buffer, "ISPENDR", 4, 1, &words->latch);
	field_add(buffer, "ISACTIVER", 4, 1, &words->active);
	field_add(buffer, "IPRIORITYR", 4, omission == SHORT_PRIORITIES ? 7 : 8, priorities);
}

/* Makes a snapshot with one vCPU of affinity 1.2.3. SPI 0 is routed to it; SPI 1 is routed to no vCPU. */
static void make(struct inspect_rig *rig, const struct words *shared, const struct words *private, enum omission omission)
{
	static const uint32_t routes[32] = { 0x010203, 0x010204 };
	struct section_writer *writer = &rig->writer;
	struct byte_buffer *buffer = &writer->buffer;

	*rig = (struct inspect_rig){ .inspection.config.cpus = 1 };
	section_begin(writer, "gic/distributor", 1, 0);
	field_add_number(buffer, "CTLR", 0x52);
	field_add_number(buffer, "TYPER", omission == MORE_LINES ? 0x7a001f : 0x7a0001);
	field_add_number(buffer, "IIDR", 0x4b00343b);
	field_add(buffer, "ICFGR", 4, 2, shared->trigger);
	field_add(buffer, "IROUTER", 4, 32, routes);
	add_bank(buffer, shared, NOTHING);
	section_end(writer);
	section_begin(writer, "gic/redistributor0", 1, 0);
	field_add_number(buffer, "CTLR", 0);
	field_add_number(buffer, "TYPER", 0);
	field_add_number(buffer, "PROPBASER", 0);
	field_add_number(buffer, "PENDBASER", 0);
	add_bank(buffer, private, omission);
	section_end(writer);
	section_begin(writer, "gic/cpu-interface0", 1, 0);
	field_add_number(buffer, "SRE", 7);
	field_add_number(buffer, "CTLR", 0x8c02);
	if (omission != NO_PMR)
		field_add_number(buffer, "PMR", 0xf8);
	field_add_number(buffer, "BPR0", 0);
	field_add_number(buffer, "BPR1", 0);
	field_add_number(buffer, "AP1R0", 0x10000);
	field_add_number(buffer, "IGRPEN0", 0);
	field_add_number(buffer, "IGRPEN1", 1);
	section_end(writer);
	if (omission != NO_VCPU) {
		section_begin(writer, "vcpu0", 1, 0);
		field_add_number(buffer, "mpidr", 0x80010203);
		section_end(writer);
	}
	rig_open_made(rig);
}

static void gic_view_shows_interrupts_of_real_guest(void **state)
{
	struct inspect_rig rig;
	struct error error;
	const char *text;

	(void)state;
	rig_open_golden(&rig, "real-1");
	text = rig_show(&rig, inspect_gic, false, &error);
	assert_has(text, "GICD_CTLR   0x52        EnableGrp0=0 EnableGrp1=1 ARE=1 DS=1\n");
	assert_has(text, "GICR_CTLR       0x7         EnableLPIs=1 CES=1 IR=1\n");
	assert_has(text, "ICC_PMR_EL1      0xf8    Priority=248\n");
	assert_has(text, "vcpus\n  - vcpu  0\n");
	assert_has(text, "\n  - vcpu  1\n");
	text = rig_show(&rig, inspect_gic, true, &error);
	assert_has(text, "{\"intid\": 64, \"kind\": \"SPI\", \"device\": \"virtio-blk0\", \"group\": 1, \"enabled\": false, "
			 "\"pending\": true, \"latch\": true, \"line\": false, \"active\": false, \"priority\": 112, "
			 "\"trigger\": \"level\", \"affinity\": \"0x0\", \"vcpu\": 0}");
	assert_has(text, "{\"intid\": 37, \"kind\": \"SPI\", \"device\": null, \"group\": 0, \"enabled\": true, "
			 "\"pending\": false, \"latch\": false, \"line\": false, \"active\": true, \"priority\": 80, "
			 "\"trigger\": \"level\", \"affinity\": \"0x1\", \"vcpu\": 1}");
	/* vCPU 0's virtual timer: not latched, but its line is high. */
	assert_has(text, "{\"intid\": 27, \"kind\": \"PPI\", \"device\": \"virtual timer\", \"group\": 1, \"enabled\": true, "
			 "\"pending\": true, \"latch\": false, \"line\": true, \"active\": true, \"priority\": 16, "
			 "\"trigger\": \"level\"}");
	assert_int_equal(count_of(text, "\"kind\": \"SPI\""), 64);
	assert_int_equal(count_of(text, "\"kind\": \"PPI\""), 2 * 16);
	assert_int_equal(count_of(text, "\"kind\": \"SGI\""), 2 * 16);
	rig_close(&rig);
}

static void gic_view_shows_only_interrupts_in_use(void **state)
{
	/* SPI 10 is enabled, 11 is active, 12 is pending. 13 (level) and 14 (edge) have a line that is high. */
	const struct words shared = { .enabled = 1 << 10, .active = 1 << 11, .latch = 1 << 12, .line = 3 << 13,
				      .trigger = { 2 << 28 } };
	const struct words none = { 0 };
	struct inspect_rig rig;
	struct error error;
	const char *text;

	(void)state;
	make(&rig, &shared, &none, NOTHING);
	text = rig_show(&rig, inspect_gic, false, &error);
	assert_int_equal(count_of(text, " SPI "), 4 + 5); /* the board's devices, too */
	assert_has(text, "32     SPI   serial      0      no       no       no     no    no      160       level    0x10203   0\n");
	assert_has(text, "33     SPI   rtc         0      no       no       no     no    no      0         level    0x10204   -\n");
	assert_has(text, "35     SPI   generation  0      no       no       no     no    no      0         level    0x0       -\n");
	assert_has(text, "42     SPI   -           0      yes      no       no     no    no      0         level    0x0       -\n");
	assert_has(text, "43     SPI   -           0      no       no       no     no    yes     0         level    0x0       -\n");
	assert_has(text, "44     SPI   -           0      no       yes      yes    no    no      0         level    0x0       -\n");
	assert_has(text, "45     SPI   -           0      no       yes      no     yes   no      0         level    0x0       -\n");
	assert_has(text, "46     SPI   -           0      no       no       no     yes   no      0         edge     0x0       -\n");
	assert_int_equal(count_of(text, " PPI "), 2);
	assert_has(text, "27     PPI   virtual timer ");
	assert_has(text, "30     PPI   physical timer ");
	assert_int_equal(count_of(text, " SGI "), 0);
	assert_int_equal(count_of(text, "ICC_AP"), 1); /* the host has one */
	rig.inspection.config.pmu = true;
	assert_has(rig_show(&rig, inspect_gic, false, &error), "23     PPI   pmu ");
	text = rig_show(&rig, inspect_gic, true, &error);
	assert_int_equal(count_of(text, "\"intid\""), 64);
	rig_close(&rig);
}

static void private_interrupts_have_fixed_triggers(void **state)
{
	const struct words shared = { 0 }, private = { .latch = 1 << 15, .line = 3 << 15, .group = 1 << 16 };
	struct inspect_rig rig;
	struct error error;
	const char *text;

	(void)state;
	make(&rig, &shared, &private, NOTHING);
	text = rig_show(&rig, inspect_gic, false, &error);
	assert_has(text, "15     SGI   -               0      no       yes      yes    yes   no      0         edge\n");
	assert_has(text, "16     PPI   -               1      no       yes      no     yes   no      0         level\n");
	rig_close(&rig);
}

static void gic_view_names_missing_registers(void **state)
{
	static const struct {
		enum omission omission;
		const char *sentence;
	} cases[] = {
		{ NO_LINES, "section gic/redistributor0: LEVEL_INFO has less than 1 values" },
		{ SHORT_PRIORITIES, "section gic/redistributor0: IPRIORITYR has less than 8 values" },
		{ NARROW_WORDS, "section gic/redistributor0: ISENABLER has values of 2 bytes, not 4" },
		{ MORE_LINES, "section gic/distributor: IGROUPR has less than 31 values" },
	};
	const struct words none = { 0 };
	struct inspect_rig rig;
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		make(&rig, &none, &none, cases[i].omission);
		assert_null(rig_show(&rig, inspect_gic, true, &error));
		assert_string_equal(error.text, cases[i].sentence);
		rig_close(&rig);
	}
	make(&rig, &none, &none, NO_VCPU);
	assert_null(rig_show(&rig, inspect_gic, true, &error));
	assert_has(error.text, "vcpu0");
	rig_close(&rig);
	make(&rig, &none, &none, NO_PMR);
	assert_null(rig_show(&rig, inspect_gic, true, &error));
	assert_has(error.text, "PMR");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gic_view_shows_interrupts_of_real_guest),
		cmocka_unit_test(gic_view_shows_only_interrupts_in_use),
		cmocka_unit_test(private_interrupts_have_fixed_triggers),
		cmocka_unit_test(gic_view_names_missing_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
