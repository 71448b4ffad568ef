/* SPDX-License-Identifier: MIT */
/* arm/register_fields.c and its tables: names and values of registers' fields. */
#include "unit/test.h"

#include <string.h>

#include "../../arm/register_tables.h"
#include "inspect/inspect.h"

static void assert_text(const char *name, uint64_t value, const char *expected)
{
	char text[REGISTER_FIELDS_LENGTH];

	register_fields_text(name, value, text);
	assert_string_equal(text, expected);
}

static void assert_difference(const char *name, uint64_t before, uint64_t after, const char *expected)
{
	char text[REGISTER_FIELDS_LENGTH];

	register_fields_difference(name, before, after, text);
	assert_string_equal(text, expected);
}

/* The values come from a snapshot of real KVM, tests/golden/real-1.txt. */
static void value_is_printed_by_field(void **state)
{
	(void)state;
	assert_text("GITS_CTLR", 0x80000001, "Enabled=1 Quiescent=1");
	assert_text("GITS_CTLR", 0, "Enabled=0 Quiescent=0");
	assert_text("GITS_CREADR", 0x640, "Offset=0x640");
	assert_text("GITS_TYPER", 0x1ef71, "Physical=1 ITT_entry_size=7 ID_bits=15 Devbits=15");
	assert_text("GITS_BASER0", 0xb9070000802f0600,
		    "Page_Size=64K Shareability=inner Physical_Address=0x802f0000 Entry_Size=7 OuterCache=as-inner "
		    "Type=devices InnerCache=RaWaWb Valid=1");
	assert_text("GICD_CTLR", 0x52, "EnableGrp0=0 EnableGrp1=1 ARE=1 DS=1");
	assert_text("GICD_TYPER", 0x7a0002, "ITLinesNumber=2 LPIS=1 IDbits=15");
	assert_text("GICR_TYPER", 0x100000111, "PLPIS=1 Last=1 Processor_Number=1 Aff0=1");
	assert_text("GICR_PROPBASER", 0x802c078f,
		    "IDbits=15 InnerCache=RaWaWb Shareability=inner Physical_Address=0x802c0000 OuterCache=as-inner");
	assert_text("ICC_CTLR_EL1", 0x8c02, "EOImode=1 PRIbits=4 IDbits=1 A3V=1");
	assert_text("ICC_PMR_EL1", 0xf8, "Priority=248");
	assert_text("ICC_AP1R3_EL1", 0x10, "Active_Priorities=0x10");
	assert_text("pstate", 0x800003c5, "M=EL1h F=1 I=1 A=1 D=1 N=1");
	assert_text("pstate", 0, "M=EL0t");
	assert_text("ESR_EL1", 0xf2000800, "ISS=0x800 IL=1 EC=BRK64");
	assert_text("ESR_EL1", 0xfc000000, "EC=63");
	assert_text("TTBR1_EL1", 0x1234567800000000, "BADDR=0x567800000000 ASID=4660");
	assert_text("MAIR_EL1", 0x44ff0400,
		    "Attr0=Device-nGnRnE Attr1=Device-nGnRE Attr2=Normal-WB Attr3=Normal-NC Attr4=Device-nGnRnE "
		    "Attr5=Device-nGnRnE Attr6=Device-nGnRnE Attr7=Device-nGnRnE");
}

static void register_fields_compares_whole_names(void **state)
{
	(void)state;
	assert_non_null(register_fields("GITS_BASER7"));
	assert_null(register_fields("GITS_BASER"));
	assert_null(register_fields("GITS_BASERx"));
	assert_null(register_fields("GITS_BASER70"));
	assert_null(register_fields("GITS_CTL"));
	assert_null(register_fields("GITS_CTLR_"));
	assert_null(register_fields(""));
	assert_text("x0", 1, "");
}

static void difference_is_printed_by_field(void **state)
{
	(void)state;
	assert_difference("GITS_CTLR", 0x80000000, 1, "Enabled 0 -> 1, Quiescent 1 -> 0");
	assert_difference("pstate", 0x3c5, 0x0, "M EL1h -> EL0t, F 1 -> 0, I 1 -> 0, A 1 -> 0, D 1 -> 0");
	assert_difference("GITS_CWRITER", 0x40, 0x60, "Offset 0x40 -> 0x60");
	assert_difference("GITS_CTLR", 1, 1, "");
	assert_difference("GITS_CTLR", 0x10000, 0x20000, "others 0x10000 -> 0x20000");
	assert_difference("GITS_CTLR", 0x10001, 0, "Enabled 1 -> 0, others 0x10000 -> 0x0");
	assert_difference("x0", 1, 2, "0x1 -> 0x2");
	assert_difference("x0", 2, 2, "");
}

/* Fields have ascending bits and do not overlap. Each named value fits its field. No text is cut, for any register value. */
static void check_table(const struct register_table *table)
{
	char text[REGISTER_FIELDS_LENGTH];
	int above = -1;

	for (const struct register_field *field = table->fields; field->name; field++) {
		uint64_t largest = ~0ull >> (63 - (field->high - field->low));

		if (field->high > 63 || field->high < field->low || field->low <= above)
			fail_msg("%s: %s lies wrong", table->name, field->name);
		above = field->high;
		assert_true(register_field_value(field, ~0ull) >> (field->in_place ? field->low : 0) == largest);
		for (const struct register_value *known = field->values; known && known->name; known++) {
			assert_true(strlen(known->name) < REGISTER_FIELD_LENGTH && !strpbrk(known->name, " ,="));
			if (known->value > largest)
				fail_msg("%s: %s has no %s", table->name, field->name, known->name);
		}
	}
	assert_ptr_equal(register_fields(table->name), strchr(table->name, '#') ? NULL : table->fields);
	if (strchr(table->name, '#'))
		return;
	register_fields_difference(table->name, 0, ~0ull, text);
	assert_true(strlen(text) > 0 && strlen(text) < REGISTER_FIELDS_LENGTH - 100);
	register_fields_text(table->name, ~0ull, text);
	assert_true(strlen(text) > 0 && strlen(text) < REGISTER_FIELDS_LENGTH - 100);
}

static void register_table_is_sorted_and_consistent(void **state)
{
	unsigned count = 0;

	(void)state;
	for (const struct register_table *table = gic_register_tables; table->name; table++, count++)
		check_table(table);
	for (const struct register_table *table = cpu_register_tables; table->name; table++, count++)
		check_table(table);
	assert_true(count > 30);
}

static void check_row(bool json, const char *expected)
{
	struct report report;

	report_open(&report, json);
	report_begin_list(&report, "registers");
	inspect_register(&report, "GITS_CREADR", 0x641);
	inspect_register(&report, "x0", 5);
	report_end_list(&report);
	assert_string_equal(report_text(&report), expected);
	report_close(&report);
}

static void row_has_the_same_members_with_and_without_fields(void **state)
{
	(void)state;
	check_row(false, "registers\n"
			 "  register     value  fields\n"
			 "  GITS_CREADR  0x641  Stalled=1 Offset=0x640\n"
			 "  x0           0x5    -\n");
	check_row(true, "{\"registers\": [{\"register\": \"GITS_CREADR\", \"value\": \"0x641\", \"fields\": {\"Stalled\": 1, "
			"\"Offset\": \"0x640\"}}, {\"register\": \"x0\", \"value\": \"0x5\", \"fields\": {}}]}\n");
}

static void assert_named(const char *section, const char *field, const char *expected)
{
	char name[REGISTER_NAME_LENGTH];

	assert_int_equal(inspect_register_name(section, field, name), expected != NULL);
	if (expected)
		assert_string_equal(name, expected);
}

static void section_fields_have_names_of_registers(void **state)
{
	(void)state;
	assert_named("gic/distributor", "CTLR", "GICD_CTLR");
	assert_named("gic/redistributor12", "TYPER", "GICR_TYPER");
	assert_named("gic/cpu-interface0", "AP1R0", "ICC_AP1R0_EL1");
	assert_named("its", "BASER0", "GITS_BASER0");
	assert_named("vcpu3", "0x603000000013c080", "SCTLR_EL1");
	assert_named("vcpu3", "0x6030000000100042", "pstate");
	assert_named("vcpu3", "mpidr", NULL);
	assert_named("vcpu3", "0x603000000013c08", NULL);
	assert_named("vcpu3", "0x603000000013c0g0", NULL);
	assert_named("virtio-blk0", "status", NULL);
	assert_named("vcpus", "0x603000000013c080", NULL);
	assert_named("itself", "CTLR", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_is_printed_by_field),
		cmocka_unit_test(register_fields_compares_whole_names),
		cmocka_unit_test(difference_is_printed_by_field),
		cmocka_unit_test(register_table_is_sorted_and_consistent),
		cmocka_unit_test(row_has_the_same_members_with_and_without_fields),
		cmocka_unit_test(section_fields_have_names_of_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
