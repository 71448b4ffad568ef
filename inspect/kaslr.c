/* SPDX-License-Identifier: MIT */
/*
 * Finds the offset of a kernel that moves itself (KASLR). VBAR_EL1 of a vCPU in the kernel has the address of `vectors`.
 * In user space VBAR_EL1 may have the address of the trampoline's vectors (KPTI). So vCPUs at EL0 are skipped, and another
 * vCPU may be in the kernel.
 */
#include <linux/kvm.h>
#include <stdio.h>

#include "inspect/inspect.h"

#define PSTATE (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pstate))
#define VBAR_EL1 ARM64_SYS_REG(3, 0, 12, 0, 0)
#define KASLR_ALIGNMENT 0x10000u /* of the kernel's segments: arch/arm64/include/asm/efi.h */

static bool try_vcpu(const struct inspection *inspection, unsigned vcpu, uint64_t vectors, uint64_t *offset)
{
	struct error ignored;
	uint64_t vbar, pstate;

	if (inspection_register(inspection, vcpu, PSTATE, &pstate, &ignored) < 0 ||
	    (pstate & PSR_MODE_MASK) == PSR_MODE_EL0t ||
	    inspection_register(inspection, vcpu, VBAR_EL1, &vbar, &ignored) < 0 || !vbar)
		return false;
	*offset = vbar - vectors;
	return *offset % KASLR_ALIGNMENT == 0;
}

void inspection_use_symbols(struct inspection *inspection, struct symbols *symbols)
{
	uint64_t vectors;

	inspection->symbols = symbols;
	inspection->symbols_fit = !symbols_find(symbols, "vectors", &vectors);
	for (unsigned i = 0; i < inspection->config.cpus && !inspection->symbols_fit; i++)
		inspection->symbols_fit = try_vcpu(inspection, i, vectors, &symbols->kaslr_offset);
	if (!inspection->symbols_fit)
		symbols->kaslr_offset = 0;
}

/* A return address may have a signature (pointer authentication) above its 48 bits. Bit 55 is set in kernel addresses. */
static uint64_t without_signature(uint64_t address)
{
	return address >> 55 & 1 ? address | 0xffffull << 48 : address;
}

const char *inspect_symbol(const struct inspection *inspection, uint64_t address, char text[SYMBOL_TEXT_LENGTH])
{
	if (!inspection->symbols || !inspection->symbols_fit)
		return NULL;
	return symbols_name(inspection->symbols, without_signature(address), text) ? text : NULL;
}
