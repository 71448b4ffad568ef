/* SPDX-License-Identifier: MIT */
/* arm/register_names.c: names and sizes of registers, and how a restore handles them. */
#include "unit/test.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "arm/register_names.h"
#include "util/bits.h"

#define CORE(member) (KVM_REG_ARM64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
#define CORE64(member) (CORE(member) | KVM_REG_SIZE_U64)
#define SYSTEM(op0, op1, crn, crm, op2) ARM64_SYS_REG(op0, op1, crn, crm, op2)
#define UNKNOWN_ID SYSTEM(3, 0, 0, 7, 7) /* in the space of ID registers, without a name */

static void expect_name(uint64_t id, const char *want)
{
	char name[REGISTER_NAME_LENGTH];

	memset(name, 'x', sizeof(name));
	register_name(id, name);
	assert_string_equal(name, want);
}

static void registers_have_their_names(void **state)
{
	(void)state;
	expect_name(CORE64(regs.regs[0]), "x0");
	expect_name(CORE64(regs.regs[30]), "x30");
	expect_name(CORE64(regs.sp), "sp");
	expect_name(CORE64(regs.pc), "pc");
	expect_name(CORE64(regs.pstate), "pstate");
	expect_name(CORE64(sp_el1), "SP_EL1");
	expect_name(CORE64(elr_el1), "ELR_EL1");
	expect_name(CORE64(spsr[0]), "SPSR_EL1");
	expect_name(CORE64(spsr[4]), "SPSR_fiq");
	expect_name(CORE(fp_regs.vregs[0]) | KVM_REG_SIZE_U128, "v0");
	expect_name(CORE(fp_regs.vregs[31]) | KVM_REG_SIZE_U128, "v31");
	expect_name(CORE(fp_regs.fpsr) | KVM_REG_SIZE_U32, "FPSR");
	expect_name(CORE(fp_regs.fpcr) | KVM_REG_SIZE_U32, "FPCR");

	expect_name(SYSTEM(3, 0, 1, 0, 0), "SCTLR_EL1");
	expect_name(SYSTEM(3, 0, 2, 0, 1), "TTBR1_EL1");
	expect_name(SYSTEM(3, 3, 13, 0, 2), "TPIDR_EL0");
	expect_name(SYSTEM(3, 0, 0, 0, 5), "MPIDR_EL1");
	expect_name(SYSTEM(3, 3, 15, 14, 7), "S3_3_C15_C14_7");
	expect_name(UNKNOWN_ID, "S3_0_C0_C7_7");
	/* KVM's ids of the first two are swapped: the names are those of the registers that KVM accesses. */
	expect_name(KVM_REG_ARM_TIMER_CNT, "CNTVCT_EL0");
	expect_name(KVM_REG_ARM_TIMER_CVAL, "CNTV_CVAL_EL0");
	expect_name(KVM_REG_ARM_TIMER_CTL, "CNTV_CTL_EL0");

	expect_name(KVM_REG_ARM_PSCI_VERSION, "PSCI_VERSION");
	expect_name(KVM_REG_ARM_STD_BMAP, "SMCCC_STANDARD_BITMAP");
	expect_name(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | 3, "CCSIDR_EL1[3]");
	expect_name(KVM_REG_ARM64_SVE_VLS, "SVE_VECTOR_LENGTHS");
	expect_name(0x6030000000170123, "0x6030000000170123");
	expect_name(0, "0x0");
}

/* Ids also come from files, so each id must have a terminated name. */
static void register_of_any_id_has_a_name_and_a_use(void **state)
{
	uint64_t random = 88172645463325252ull;

	(void)state;
	for (uint64_t word = 0; word <= 0xffff; word++) { /* every core register, and the ids between them */
		char name[REGISTER_NAME_LENGTH];

		register_name(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | word, name);
		assert_in_range(strnlen(name, sizeof(name)), 1, sizeof(name) - 1);
	}
	for (unsigned i = 0; i < 100000; i++) {
		char name[REGISTER_NAME_LENGTH];
		uint64_t id;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		id = i % 2 ? random : KVM_REG_ARM64 | (random & 0x00f00000001fffffull);
		register_name(id, name);
		assert_in_range(strnlen(name, sizeof(name)), 1, sizeof(name) - 1);
		assert_in_range(register_use(id), REGISTER_STATE, REGISTER_LAYOUT);
		assert_true(register_size(id) >= 1);
	}
}

static void register_size_is_taken_from_the_id(void **state)
{
	(void)state;
	assert_int_equal(register_size(KVM_REG_ARM64 | KVM_REG_SIZE_U8), 1);
	assert_int_equal(register_size(KVM_REG_ARM64 | KVM_REG_SIZE_U32), 4);
	assert_int_equal(register_size(CORE64(regs.pc)), 8);
	assert_int_equal(register_size(CORE(fp_regs.vregs[0]) | KVM_REG_SIZE_U128), 16);
	assert_int_equal(register_size(KVM_REG_ARM64_SVE_ZREG(0, 0)), 256);
	assert_int_equal(register_size(KVM_REG_ARM64_SVE_PREG(0, 0)), 32);
}

static void register_use_is_known_for_each_register(void **state)
{
	static const uint64_t features[] = {
		SYSTEM(3, 0, 0, 0, 0), SYSTEM(3, 0, 0, 0, 5), SYSTEM(3, 0, 0, 4, 0), UNKNOWN_ID, SYSTEM(3, 1, 0, 0, 1),
		SYSTEM(3, 1, 0, 0, 7), SYSTEM(3, 3, 0, 0, 1), KVM_REG_ARM_PSCI_VERSION, KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
		KVM_REG_ARM_STD_BMAP, KVM_REG_ARM_VENDOR_HYP_BMAP,
	};
	static const uint64_t states[] = {
		CORE64(regs.pc), CORE64(spsr[0]), SYSTEM(3, 0, 1, 0, 0), SYSTEM(3, 2, 0, 0, 0), SYSTEM(3, 3, 13, 0, 2),
		KVM_REG_ARM_TIMER_CTL, KVM_REG_ARM_TIMER_CVAL, KVM_REG_ARM64_SVE_ZREG(3, 0),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(features); i++)
		assert_int_equal(register_use(features[i]), REGISTER_FEATURE);
	for (size_t i = 0; i < COUNT(states); i++)
		assert_int_equal(register_use(states[i]), REGISTER_STATE);
	assert_int_equal(register_use(KVM_REG_ARM_TIMER_CNT), REGISTER_CLOCK);
	assert_int_equal(register_use(KVM_REG_ARM_PTIMER_CNT), REGISTER_CLOCK);
	assert_int_equal(register_use(KVM_REG_ARM64_SVE_VLS), REGISTER_LAYOUT);
}

/* A host may lack a register only if its value means that the guest has no such feature. */
static void register_may_be_dropped_when_its_value_means_absence(void **state)
{
	(void)state;
	assert_true(register_may_be_dropped(UNKNOWN_ID, 0));
	assert_false(register_may_be_dropped(UNKNOWN_ID, 1));
	assert_true(register_may_be_dropped(KVM_REG_ARM_FW_FEAT_BMAP_REG(3), 0));
	assert_false(register_may_be_dropped(KVM_REG_ARM_FW_FEAT_BMAP_REG(3), 2));
	assert_false(register_may_be_dropped(KVM_REG_ARM_PSCI_VERSION, 0));
	assert_false(register_may_be_dropped(KVM_REG_ARM_STD_BMAP, 0));
	assert_true(register_may_be_dropped(SYSTEM(3, 0, 2, 0, 3), 0)); /* TCR2_EL1 */
	assert_false(register_may_be_dropped(SYSTEM(3, 0, 2, 0, 3), 1));
	assert_true(register_may_be_dropped(SYSTEM(3, 0, 10, 2, 3), 0x1de7ec7edbadc0de)); /* PIR_EL1 */
	assert_false(register_may_be_dropped(SYSTEM(3, 0, 10, 2, 3), 0));
	/* A guest may have set other state to zero, so a value of zero must be restored, too. */
	assert_false(register_may_be_dropped(SYSTEM(3, 0, 1, 0, 0), 0));
	assert_false(register_may_be_dropped(CORE64(regs.pc), 0));
	assert_false(register_may_be_dropped(SYSTEM(3, 1, 0, 0, 1), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_have_their_names),
		cmocka_unit_test(register_of_any_id_has_a_name_and_a_use),
		cmocka_unit_test(register_size_is_taken_from_the_id),
		cmocka_unit_test(register_use_is_known_for_each_register),
		cmocka_unit_test(register_may_be_dropped_when_its_value_means_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
