/* SPDX-License-Identifier: MIT */
/*
 * Entry of both vCPUs, and exceptions. The first vCPU enters with x0 = device tree, MMU off and everything
 * masked (booting.rst); interrupts stay masked for ever: programs poll.
 */
#define STACK_SIZE	16384

/* Stores a system register as it was at entry, for whoever wants to know how the machine started. */
.macro	keep_at_entry register
	mrs	x1, \register
	str	x1, [x0], #8
.endm

	.section .text.start, "ax"
	.global	_start
_start:
	mov	x19, x0
	orr	x20, x1, x2		/* the boot protocol wants zeroes */
	orr	x20, x20, x3

	/* Clear .bss. */
	adrp	x0, bss_begin
	add	x0, x0, :lo12:bss_begin
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	cmp	x0, x1
	b.hs	2f
	stp	xzr, xzr, [x0], #16
	b	1b
2:
	/* Apply R_AARCH64_RELATIVE relocations, the only kind there is: { offset, info, addend }. */
	adrp	x0, image_start
	adrp	x1, rela_begin
	add	x1, x1, :lo12:rela_begin
	adrp	x2, rela_end
	add	x2, x2, :lo12:rela_end
3:	cmp	x1, x2
	b.hs	4f
	ldp	x3, x4, [x1], #16
	ldr	x5, [x1], #8
	add	x5, x5, x0
	str	x5, [x0, x3]
	b	3b
4:
	adrp	x0, registers_at_entry
	add	x0, x0, :lo12:registers_at_entry
	str	x20, [x0], #8
	keep_at_entry sctlr_el1
	keep_at_entry tcr_el1
	keep_at_entry ttbr0_el1
	keep_at_entry ttbr1_el1
	keep_at_entry mair_el1
	keep_at_entry vbar_el1
	keep_at_entry cpacr_el1
	keep_at_entry contextidr_el1
	keep_at_entry tpidr_el1
	keep_at_entry tpidr_el0
	keep_at_entry tpidrro_el0
	keep_at_entry esr_el1
	keep_at_entry far_el1
	keep_at_entry elr_el1
	keep_at_entry sp_el0
	keep_at_entry mdscr_el1
	keep_at_entry cntkctl_el1
	keep_at_entry cntv_ctl_el0
	keep_at_entry cntp_ctl_el0
	keep_at_entry cntv_cval_el0
	keep_at_entry cntp_cval_el0
	keep_at_entry daif
	keep_at_entry currentel

	adrp	x0, first_stack + STACK_SIZE
	add	sp, x0, :lo12:first_stack + STACK_SIZE
	mov	x0, x19
	bl	parameters_open
	bl	mmu_build
	bl	processor_init
	bl	guest_main
	b	power_off

	/* PSCI CPU_ON comes here, x0 = the word that it was given. */
	.global	second_entry
second_entry:
	adrp	x0, second_stack + STACK_SIZE
	add	sp, x0, :lo12:second_stack + STACK_SIZE
	bl	processor_init
	bl	second_main
	b	.

/* Exception vectors, floating point on (probes use it), MMU and caches on. Touches no memory before that. */
processor_init:
	adr	x0, vectors
	msr	vbar_el1, x0
	mov	x0, #3 << 20
	msr	cpacr_el1, x0
	msr	tpidr_el1, xzr		/* counts the faults of probes */

	adrp	x0, mmu_root
	add	x0, x0, :lo12:mmu_root
	msr	ttbr0_el1, x0
	ldr	x0, =0x00ff		/* 0: normal memory, write-back; 1: Device-nGnRnE */
	msr	mair_el1, x0
	/*
	 * 48 bits, 4 KiB pages, walks cacheable and inner shareable,
	 * nothing in the upper half; as many bits out as there are
	 */
	ldr	x0, =(16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23)
	mrs	x1, id_aa64mmfr0_el1
	and	x1, x1, #15
	cmp	x1, #5
	mov	x2, #5
	csel	x1, x1, x2, lo
	orr	x0, x0, x1, lsl #32
	msr	tcr_el1, x0
	isb
	tlbi	vmalle1
	dsb	nsh
	mrs	x0, sctlr_el1
	ldr	x1, =(1 | 1 << 2 | 1 << 12)
	orr	x0, x0, x1
	bic	x0, x0, #2		/* unaligned accesses are some of the probes */
	msr	sctlr_el1, x0
	isb
	ret

.macro	vector
	.balign	128
	b	exception_entry
.endm

	.balign	2048
vectors:
	.rept	16
	vector
	.endr

/*
 * A fault in a probe is what probes are for: it is counted, and the instruction skipped. An instruction
 * abort somewhere else returns to the probe that jumped there. Anything else is a failure of the test.
 */
exception_entry:
	stp	x0, x1, [sp, #-32]!
	stp	x2, x3, [sp, #16]
	adr	x2, probe_begin
	adr	x3, probe_end
	mrs	x0, elr_el1
	add	x1, x0, #4
	cmp	x0, x2
	ccmp	x0, x3, #2, hs
	b.lo	1f
	mov	x1, x30
	cmp	x30, x2
	ccmp	x30, x3, #2, hs
	b.hs	2f
1:	msr	elr_el1, x1
	mrs	x0, tpidr_el1
	add	x0, x0, #1
	msr	tpidr_el1, x0
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp], #32
	eret
2:	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	b	unexpected_exception

	.global	firmware_call
firmware_call:
	hvc	#0
	ret

	.section .bss.start, "aw", %nobits
	.balign	16
first_stack:
	.skip	STACK_SIZE
second_stack:
	.skip	STACK_SIZE
	.global	registers_at_entry
registers_at_entry:
	.skip	24 * 8
