/* SPDX-License-Identifier: MIT */
/*
 * Accesses that may fault: uint64_t probe(enum probe_kind kind, uint64_t address, uint64_t value). Each kind
 * is a stub of four instructions, in the order of enum probe_kind, with x0 = value and result, x1 = address.
 * start.S skips the instruction that faults.
 */
	.arch	armv8-a+simd+lse

.macro	stub instructions:vararg
	.balign	16
	\instructions
	ret
.endm

	.text
	.global	probe, probe_begin, probe_end
	.balign	16
probe_begin:
probe:
	adr	x3, stubs
	add	x3, x3, x0, lsl #4
	mov	x0, x2
	br	x3

	.balign	16
stubs:
	/* What the processor describes to the hypervisor: one general-purpose register, no write-back. */
	stub	ldrb w0, [x1]
	stub	ldrh w0, [x1]
	stub	ldr w0, [x1]
	stub	ldr x0, [x1]
	stub	strb w0, [x1]
	stub	strh w0, [x1]
	stub	str w0, [x1]
	stub	str x0, [x1]
	stub	ldrsb x0, [x1]
	stub	ldrsh w0, [x1]
	stub	ldrsw x0, [x1]
	stub	ldar x0, [x1]
	stub	stlr w0, [x1]

	/* What it does not. */
	stub	ldp x0, x2, [x1]
	stub	stp w0, w0, [x1]
	stub	ldr w0, [x1], #8
	stub	str x0, [x1], #-8
	stub	ldr q0, [x1]
	stub	str q0, [x1]
	stub	ld1 {v0.16b-v3.16b}, [x1]
	stub	st1 {v0.16b-v3.16b}, [x1]
	stub	ldxr x0, [x1]
	.balign	16
	ldxr	w2, [x1]
	stxr	w2, w0, [x1]
	ret
	stub	ldadd x0, x0, [x1]
	stub	swp w0, w0, [x1]
	stub	dc zva, x1
	stub	dc civac, x1
	stub	ic ivau, x1
	stub	prfm pldl1keep, [x1]
	.balign	16
	stp	x29, x30, [sp, #-16]!
	blr	x1
	ldp	x29, x30, [sp], #16
	ret
probe_end:
