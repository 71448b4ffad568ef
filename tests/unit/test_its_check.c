/* SPDX-License-Identifier: MIT */
/* its_tables_check(): predicts exactly the refusals of KVM that the walk finds, with an error. A save depends on it. */
#include "unit/its_rig.h"

static void assert_refused(struct rig *rig, const char *part)
{
	struct error error = { 0 };

	assert_int_equal(its_tables_check(&rig->tables, &error), -1);
	assert_int_equal(error.code, ESTALE);
	if (!strstr(error.text, part))
		fail_msg("no \"%s\" in: %s", part, error.text);
}

static void assert_taken(struct rig *rig)
{
	struct error error;

	assert_int_equal(its_tables_check(&rig->tables, &error), 0);
}

static void its_check_accepts_sound_tables(void **state)
{
	assert_taken(*state);
}

/* A save accepts what KVM accepts: a guest that has not set up its ITS, has reset it, or shares an LPI. */
static void its_check_accepts_all_tables_that_kvm_accepts(void **state)
{
	struct rig *rig = *state;

	put(rig, ITT(2) + 8 * 3, ITE(8192, 1, 0)); /* two events share an LPI */
	assert_taken(rig);
	put(rig, COLLECTIONS + 8, CTE(1, 0xffffffff)); /* on no vCPU */
	assert_taken(rig);
	memset(rig->ram, 0xff, sizeof(rig->ram));
	rig->tables.device_baser &= ~VALID; /* a table that is not used may have any contents */
	rig->tables.collection_baser &= ~VALID;
	assert_taken(rig);
	rig->tables.propbaser = 0;
	memset(rig->pendbasers, 0, sizeof(rig->pendbasers));
	assert_taken(rig);
}

static void its_check_names_first_entry_that_kvm_refuses(void **state)
{
	struct rig *rig = *state;

	put(rig, ITT(5) + 8 * 1, ITE(65535, 7, 0));
	assert_refused(rig, "(device 0x5, event 1 at 0x80095008: its collection does not exist)");
	put(rig, DEVICES + 8 * 2, DTE(ITT(2), 17, 3));
	assert_refused(rig, "(device 0x2 at 0x80010010: it has more than 16 bits of events)");
	assert_refused(rig, "no host could restore them (EINVAL)");
	put(rig, COLLECTIONS, CTE(0, 9));
	assert_refused(rig, "(collection 0 at 0x80020000: its vCPU does not exist)");
}

static void its_check_names_table_outside_ram(void **state)
{
	struct rig *rig = *state;

	put(rig, DEVICES + 8 * 2, DTE(END, 2, 3));
	assert_refused(rig, "an interrupt translation table is not in RAM at 0x80800000");
	assert_refused(rig, "(EFAULT)");
}

/* A second kernel may use the memory of the first one's tables. */
static void its_check_refuses_overwritten_tables(void **state)
{
	struct rig *rig = *state;
	unsigned refused = 0;

	srandom(1);
	for (unsigned tries = 0; tries < 200; tries++) {
		struct error error = { 0 };

		for (unsigned i = 0; i < 0x10000; i++)
			rig->ram[DEVICES - RAM + i] = (uint8_t)random();
		assert_int_equal(walk(rig), 0);
		assert_int_equal(its_tables_check(&rig->tables, &error), rig->walk.refusal ? -1 : 0);
		refused += rig->walk.refusal != 0;
		assert_true(!rig->walk.refusal || (error.code == ESTALE && !strstr(error.text, "()")));
	}
	assert_true(refused > 190);
}

/* A failed read is not a fault of the tables. */
static void its_check_reports_memory_that_cannot_be_read(void **state)
{
	struct rig *rig = *state;
	struct error error;

	rig->broken = DEVICES + 8;
	assert_int_equal(its_tables_check(&rig->tables, &error), -1);
	assert_int_equal(error.code, EIO);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
	const struct CMUnitTest tests[] = {
		CASE(its_check_accepts_sound_tables),
		CASE(its_check_accepts_all_tables_that_kvm_accepts),
		CASE(its_check_names_first_entry_that_kvm_refuses),
		CASE(its_check_names_table_outside_ram),
		CASE(its_check_refuses_overwritten_tables),
		CASE(its_check_reports_memory_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
