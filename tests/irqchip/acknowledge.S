/* SPDX-License-Identifier: MIT */
/*
 * All that the vCPUs run: acknowledge, say what it was by a store that leaves KVM, end it, and again. Position-independent:
 * it is copied into guest RAM. x1: where the store goes.
 */
	.section .rodata.guest_code, "a"
	.globl	guest_code, guest_code_end_of_interrupt, guest_code_end
	.hidden	guest_code, guest_code_end_of_interrupt, guest_code_end
	.balign	8
guest_code:
1:	mrs	x0, s3_0_c12_c12_0	/* ICC_IAR1_EL1 */
	str	w0, [x1]
	cmp	w0, #1023
	b.eq	1b
guest_code_end_of_interrupt:
	msr	s3_0_c12_c12_1, x0	/* ICC_EOIR1_EL1: priority drop and deactivation */
	isb
	b	1b
guest_code_end:
	.section .note.GNU-stack, "", %progbits
