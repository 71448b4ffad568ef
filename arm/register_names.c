/* SPDX-License-Identifier: MIT */
/* Names of KVM's vCPU registers, and what a restore does with each. */
#include "arm/register_names.h"

#include <linux/kvm.h>
#include <stdio.h>

#include "util/bits.h"

#define SYSTEM(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define KIND(id) ((id) & KVM_REG_ARM_COPROC_MASK)
#define IS_SYSTEM(id) (KIND(id) == KVM_REG_ARM64_SYSREG)
#define ENCODING(id) ((unsigned)(id) & 0xffffu)

/* Arm Architecture Reference Manual (DDI 0487), D23: registers that KVM lists and users may look for. */
static const struct {
	uint16_t encoding;
	const char *name;
} system_names[] = {
	{ SYSTEM(2, 0, 0, 2, 2), "MDSCR_EL1" },
	{ SYSTEM(2, 0, 0, 2, 0), "MDCCINT_EL1" },
	{ SYSTEM(2, 0, 1, 1, 4), "OSLSR_EL1" },
	{ SYSTEM(3, 0, 0, 0, 0), "MIDR_EL1" },
	{ SYSTEM(3, 0, 0, 0, 5), "MPIDR_EL1" },
	{ SYSTEM(3, 0, 0, 0, 6), "REVIDR_EL1" },
	{ SYSTEM(3, 0, 0, 1, 0), "ID_PFR0_EL1" },
	{ SYSTEM(3, 0, 0, 1, 1), "ID_PFR1_EL1" },
	{ SYSTEM(3, 0, 0, 1, 2), "ID_DFR0_EL1" },
	{ SYSTEM(3, 0, 0, 1, 4), "ID_MMFR0_EL1" },
	{ SYSTEM(3, 0, 0, 1, 5), "ID_MMFR1_EL1" },
	{ SYSTEM(3, 0, 0, 1, 6), "ID_MMFR2_EL1" },
	{ SYSTEM(3, 0, 0, 1, 7), "ID_MMFR3_EL1" },
	{ SYSTEM(3, 0, 0, 2, 0), "ID_ISAR0_EL1" },
	{ SYSTEM(3, 0, 0, 2, 1), "ID_ISAR1_EL1" },
	{ SYSTEM(3, 0, 0, 2, 2), "ID_ISAR2_EL1" },
	{ SYSTEM(3, 0, 0, 2, 3), "ID_ISAR3_EL1" },
	{ SYSTEM(3, 0, 0, 2, 4), "ID_ISAR4_EL1" },
	{ SYSTEM(3, 0, 0, 2, 5), "ID_ISAR5_EL1" },
	{ SYSTEM(3, 0, 0, 2, 6), "ID_MMFR4_EL1" },
	{ SYSTEM(3, 0, 0, 2, 7), "ID_ISAR6_EL1" },
	{ SYSTEM(3, 0, 0, 3, 0), "MVFR0_EL1" },
	{ SYSTEM(3, 0, 0, 3, 1), "MVFR1_EL1" },
	{ SYSTEM(3, 0, 0, 3, 2), "MVFR2_EL1" },
	{ SYSTEM(3, 0, 0, 3, 4), "ID_PFR2_EL1" },
	{ SYSTEM(3, 0, 0, 3, 5), "ID_DFR1_EL1" },
	{ SYSTEM(3, 0, 0, 3, 6), "ID_MMFR5_EL1" },
	{ SYSTEM(3, 0, 0, 4, 0), "ID_AA64PFR0_EL1" },
	{ SYSTEM(3, 0, 0, 4, 1), "ID_AA64PFR1_EL1" },
	{ SYSTEM(3, 0, 0, 4, 2), "ID_AA64PFR2_EL1" },
	{ SYSTEM(3, 0, 0, 4, 4), "ID_AA64ZFR0_EL1" },
	{ SYSTEM(3, 0, 0, 4, 5), "ID_AA64SMFR0_EL1" },
	{ SYSTEM(3, 0, 0, 4, 7), "ID_AA64FPFR0_EL1" },
	{ SYSTEM(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1" },
	{ SYSTEM(3, 0, 0, 5, 1), "ID_AA64DFR1_EL1" },
	{ SYSTEM(3, 0, 0, 5, 4), "ID_AA64AFR0_EL1" },
	{ SYSTEM(3, 0, 0, 5, 5), "ID_AA64AFR1_EL1" },
	{ SYSTEM(3, 0, 0, 6, 0), "ID_AA64ISAR0_EL1" },
	{ SYSTEM(3, 0, 0, 6, 1), "ID_AA64ISAR1_EL1" },
	{ SYSTEM(3, 0, 0, 6, 2), "ID_AA64ISAR2_EL1" },
	{ SYSTEM(3, 0, 0, 6, 3), "ID_AA64ISAR3_EL1" },
	{ SYSTEM(3, 0, 0, 7, 0), "ID_AA64MMFR0_EL1" },
	{ SYSTEM(3, 0, 0, 7, 1), "ID_AA64MMFR1_EL1" },
	{ SYSTEM(3, 0, 0, 7, 2), "ID_AA64MMFR2_EL1" },
	{ SYSTEM(3, 0, 0, 7, 3), "ID_AA64MMFR3_EL1" },
	{ SYSTEM(3, 0, 0, 7, 4), "ID_AA64MMFR4_EL1" },
	{ SYSTEM(3, 0, 1, 0, 0), "SCTLR_EL1" },
	{ SYSTEM(3, 0, 1, 0, 1), "ACTLR_EL1" },
	{ SYSTEM(3, 0, 1, 0, 2), "CPACR_EL1" },
	{ SYSTEM(3, 0, 1, 0, 5), "RGSR_EL1" },
	{ SYSTEM(3, 0, 1, 0, 6), "GCR_EL1" },
	{ SYSTEM(3, 0, 1, 2, 0), "ZCR_EL1" },
	{ SYSTEM(3, 0, 2, 0, 0), "TTBR0_EL1" },
	{ SYSTEM(3, 0, 2, 0, 1), "TTBR1_EL1" },
	{ SYSTEM(3, 0, 2, 0, 2), "TCR_EL1" },
	{ SYSTEM(3, 0, 2, 0, 3), "TCR2_EL1" },
	{ SYSTEM(3, 0, 2, 1, 0), "APIAKEYLO_EL1" },
	{ SYSTEM(3, 0, 2, 1, 1), "APIAKEYHI_EL1" },
	{ SYSTEM(3, 0, 2, 1, 2), "APIBKEYLO_EL1" },
	{ SYSTEM(3, 0, 2, 1, 3), "APIBKEYHI_EL1" },
	{ SYSTEM(3, 0, 2, 2, 0), "APDAKEYLO_EL1" },
	{ SYSTEM(3, 0, 2, 2, 1), "APDAKEYHI_EL1" },
	{ SYSTEM(3, 0, 2, 2, 2), "APDBKEYLO_EL1" },
	{ SYSTEM(3, 0, 2, 2, 3), "APDBKEYHI_EL1" },
	{ SYSTEM(3, 0, 2, 3, 0), "APGAKEYLO_EL1" },
	{ SYSTEM(3, 0, 2, 3, 1), "APGAKEYHI_EL1" },
	{ SYSTEM(3, 0, 5, 1, 0), "AFSR0_EL1" },
	{ SYSTEM(3, 0, 5, 1, 1), "AFSR1_EL1" },
	{ SYSTEM(3, 0, 5, 2, 0), "ESR_EL1" },
	{ SYSTEM(3, 0, 5, 6, 0), "TFSR_EL1" },
	{ SYSTEM(3, 0, 5, 6, 1), "TFSRE0_EL1" },
	{ SYSTEM(3, 0, 6, 0, 0), "FAR_EL1" },
	{ SYSTEM(3, 0, 7, 4, 0), "PAR_EL1" },
	{ SYSTEM(3, 0, 9, 14, 1), "PMINTENSET_EL1" },
	{ SYSTEM(3, 0, 9, 14, 2), "PMINTENCLR_EL1" },
	{ SYSTEM(3, 0, 10, 2, 0), "MAIR_EL1" },
	{ SYSTEM(3, 0, 10, 2, 2), "PIRE0_EL1" },
	{ SYSTEM(3, 0, 10, 2, 3), "PIR_EL1" },
	{ SYSTEM(3, 0, 10, 2, 4), "POR_EL1" },
	{ SYSTEM(3, 0, 10, 3, 0), "AMAIR_EL1" },
	{ SYSTEM(3, 0, 12, 0, 0), "VBAR_EL1" },
	{ SYSTEM(3, 0, 12, 1, 1), "DISR_EL1" },
	{ SYSTEM(3, 0, 13, 0, 1), "CONTEXTIDR_EL1" },
	{ SYSTEM(3, 0, 13, 0, 4), "TPIDR_EL1" },
	{ SYSTEM(3, 0, 14, 1, 0), "CNTKCTL_EL1" },
	{ SYSTEM(3, 1, 0, 0, 0), "CCSIDR_EL1" },
	{ SYSTEM(3, 1, 0, 0, 1), "CLIDR_EL1" },
	{ SYSTEM(3, 1, 0, 0, 7), "AIDR_EL1" },
	{ SYSTEM(3, 2, 0, 0, 0), "CSSELR_EL1" },
	{ SYSTEM(3, 3, 0, 0, 1), "CTR_EL0" },
	{ SYSTEM(3, 3, 9, 12, 0), "PMCR_EL0" },
	{ SYSTEM(3, 3, 9, 12, 1), "PMCNTENSET_EL0" },
	{ SYSTEM(3, 3, 9, 12, 2), "PMCNTENCLR_EL0" },
	{ SYSTEM(3, 3, 9, 12, 3), "PMOVSCLR_EL0" },
	{ SYSTEM(3, 3, 9, 12, 5), "PMSELR_EL0" },
	{ SYSTEM(3, 3, 9, 13, 0), "PMCCNTR_EL0" },
	{ SYSTEM(3, 3, 9, 14, 0), "PMUSERENR_EL0" },
	{ SYSTEM(3, 3, 9, 14, 3), "PMOVSSET_EL0" },
	{ SYSTEM(3, 3, 14, 15, 7), "PMCCFILTR_EL0" },
	{ SYSTEM(3, 3, 10, 2, 4), "POR_EL0" },
	{ SYSTEM(3, 3, 13, 0, 2), "TPIDR_EL0" },
	{ SYSTEM(3, 3, 13, 0, 3), "TPIDRRO_EL0" },
	{ SYSTEM(3, 3, 14, 0, 1), "CNTPCT_EL0" },
	{ SYSTEM(3, 3, 14, 2, 1), "CNTP_CTL_EL0" },
	{ SYSTEM(3, 3, 14, 2, 2), "CNTP_CVAL_EL0" },
	{ SYSTEM(3, 3, 14, 3, 1), "CNTV_CTL_EL0" },
	/* KVM's ids of these two are swapped against their encodings (api.rst). */
	{ SYSTEM(3, 3, 14, 3, 2), "CNTVCT_EL0" },
	{ SYSTEM(3, 3, 14, 0, 2), "CNTV_CVAL_EL0" },
	{ SYSTEM(3, 4, 3, 0, 0), "DACR32_EL2" },
	{ SYSTEM(3, 4, 5, 0, 1), "IFSR32_EL2" },
	{ SYSTEM(3, 4, 5, 3, 0), "FPEXC32_EL2" },
};

static const char *find_system_name(unsigned encoding)
{
	for (size_t i = 0; i < COUNT(system_names); i++)
		if (system_names[i].encoding == encoding)
			return system_names[i].name;
	return NULL;
}

static void name_system(unsigned encoding, char name[REGISTER_NAME_LENGTH])
{
	const char *known = find_system_name(encoding);

	if (known)
		snprintf(name, REGISTER_NAME_LENGTH, "%s", known);
	else /* the assembler's generic name */
		snprintf(name, REGISTER_NAME_LENGTH, "S%u_%u_C%u_C%u_%u", encoding >> 14 & 3, encoding >> 11 & 7,
			 encoding >> 7 & 15, encoding >> 3 & 15, encoding & 7);
}

/* Registers of struct kvm_regs: KVM's ids count its 32-bit words. */
#define CORE(member) (offsetof(struct kvm_regs, member) / sizeof(uint32_t))

static void name_core(uint64_t id, char name[REGISTER_NAME_LENGTH])
{
	static const char *const saved[] = { "SPSR_EL1", "SPSR_abt", "SPSR_und", "SPSR_irq", "SPSR_fiq" };
	unsigned word = (unsigned)(id & ~KVM_REG_ARM_COPROC_MASK & 0xffff);

	if (word < CORE(regs.sp))
		snprintf(name, REGISTER_NAME_LENGTH, "x%u", word / 2);
	else if (word == CORE(regs.sp))
		snprintf(name, REGISTER_NAME_LENGTH, "sp");
	else if (word == CORE(regs.pc))
		snprintf(name, REGISTER_NAME_LENGTH, "pc");
	else if (word == CORE(regs.pstate))
		snprintf(name, REGISTER_NAME_LENGTH, "pstate");
	else if (word == CORE(sp_el1))
		snprintf(name, REGISTER_NAME_LENGTH, "SP_EL1");
	else if (word == CORE(elr_el1))
		snprintf(name, REGISTER_NAME_LENGTH, "ELR_EL1");
	else if (word >= CORE(spsr) && word < CORE(fp_regs))
		snprintf(name, REGISTER_NAME_LENGTH, "%s", saved[(word - CORE(spsr)) / 2 % 5]);
	else if (word < CORE(fp_regs.fpsr))
		snprintf(name, REGISTER_NAME_LENGTH, "v%u", (unsigned)((word - CORE(fp_regs)) / 4));
	else
		snprintf(name, REGISTER_NAME_LENGTH, word == CORE(fp_regs.fpsr) ? "FPSR" : "FPCR");
}

static const struct {
	uint64_t id;
	const char *name;
} firmware_names[] = {
	{ KVM_REG_ARM_PSCI_VERSION, "PSCI_VERSION" },
	{ KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, "SMCCC_ARCH_WORKAROUND_1" },
	{ KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2, "SMCCC_ARCH_WORKAROUND_2" },
	{ KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3, "SMCCC_ARCH_WORKAROUND_3" },
	{ KVM_REG_ARM_STD_BMAP, "SMCCC_STANDARD_BITMAP" },
	{ KVM_REG_ARM_STD_HYP_BMAP, "SMCCC_STANDARD_HYPERVISOR_BITMAP" },
	{ KVM_REG_ARM_VENDOR_HYP_BMAP, "SMCCC_VENDOR_HYPERVISOR_BITMAP" },
	{ KVM_REG_ARM64_SVE_VLS, "SVE_VECTOR_LENGTHS" },
};

void register_name(uint64_t id, char name[REGISTER_NAME_LENGTH])
{
	if (IS_SYSTEM(id)) {
		name_system(ENCODING(id), name);
		return;
	}
	if (KIND(id) == KVM_REG_ARM_CORE) {
		name_core(id, name);
		return;
	}
	/* One register for each cache; the number is the value of CSSELR_EL1. */
	if (KIND(id) == KVM_REG_ARM_DEMUX) {
		snprintf(name, REGISTER_NAME_LENGTH, "CCSIDR_EL1[%u]", (unsigned)(id & KVM_REG_ARM_DEMUX_VAL_MASK));
		return;
	}
	for (size_t i = 0; i < COUNT(firmware_names); i++) {
		if (firmware_names[i].id == id) {
			snprintf(name, REGISTER_NAME_LENGTH, "%s", firmware_names[i].name);
			return;
		}
	}
	snprintf(name, REGISTER_NAME_LENGTH, "0x%llx", (unsigned long long)id);
}

size_t register_size(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

enum register_use register_use(uint64_t id)
{
	unsigned encoding = ENCODING(id);

	if (id == KVM_REG_ARM64_SVE_VLS)
		return REGISTER_LAYOUT;
	if (id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT)
		return REGISTER_CLOCK;
	if (KIND(id) == KVM_REG_ARM_FW || KIND(id) == KVM_REG_ARM_FW_FEAT_BMAP || KIND(id) == KVM_REG_ARM_DEMUX)
		return REGISTER_FEATURE;
	if (!IS_SYSTEM(id))
		return REGISTER_STATE;
	/* MIDR, MPIDR and all ID registers; cache geometry; AIDR; CTR. */
	if ((encoding & ~0x7fu) == SYSTEM(3, 0, 0, 0, 0) || (encoding & ~0x7fu) == SYSTEM(3, 1, 0, 0, 0) ||
	    encoding == SYSTEM(3, 3, 0, 0, 1))
		return REGISTER_FEATURE;
	return REGISTER_STATE;
}

/* The value to which KVM resets a register without an architected reset value (arch/arm64/kvm/sys_regs.h, reset_unknown()). */
#define RESET_UNKNOWN 0x1de7ec7edbadc0deull

/*
 * The registers of a snapshot that this host's kernel may lack, if they have these values. A restore needs all others: a guest
 * may have used them.
 */
static const struct {
	uint64_t id;
	uint64_t value;
	const char *why;
} droppable[] = {
	{ KVM_REG_ARM_FW_FEAT_BMAP_REG(3), 0, "none of these hypercalls was offered" },
	/* Kernels before 6.13 list these for all vCPUs. If the processor lacks them, no guest can have changed them. */
	{ ARM64_SYS_REG(3, 0, 2, 0, 3), 0, "TCR2_EL1 as after reset" },
	{ ARM64_SYS_REG(3, 0, 10, 2, 2), RESET_UNKNOWN, "PIRE0_EL1 as after reset" },
	{ ARM64_SYS_REG(3, 0, 10, 2, 3), RESET_UNKNOWN, "PIR_EL1 as after reset" },
	{ ARM64_SYS_REG(3, 0, 10, 2, 4), RESET_UNKNOWN, "POR_EL1 as after reset" },
};

bool register_may_be_dropped(uint64_t id, uint64_t value)
{
	unsigned encoding = ENCODING(id);

	for (size_t i = 0; i < COUNT(droppable); i++)
		if (droppable[i].id == id)
			return droppable[i].value == value;
	/* An ID register that is zero reports no feature. */
	return IS_SYSTEM(id) && (encoding & ~0x7fu) == SYSTEM(3, 0, 0, 0, 0) && value == 0;
}
