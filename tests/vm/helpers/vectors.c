/* SPDX-License-Identifier: MIT */
/*
 * vectors SECONDS: for a guest that is saved and restored meanwhile. Fills the SVE registers and the predicates with a pattern
 * and signs a pointer, computes for a while without telling the kernel, and looks whether all is as it was; again and
 * again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REGISTERS 32
#define PREDICATES 16
#define MAX_VECTOR 256 /* bytes */

uint64_t vector_length(void);
void hold(const void *vectors, const void *predicates, void *vectors_after, void *predicates_after, uint64_t turns);
uint64_t sign(uint64_t pointer, uint64_t modifier);
uint64_t authenticate(uint64_t pointer, uint64_t modifier);

__asm__(
	".arch armv8.3-a+sve\n"
	".text\n"
	"vector_length:\n"
	"	rdvl	x0, #1\n"
	"	ret\n"
	"sign:\n"
	"	pacia	x0, x1\n"
	"	ret\n"
	"authenticate:\n"
	"	autia	x0, x1\n"
	"	ret\n"
	"hold:\n"
	"	stp	d8, d9, [sp, #-64]!\n"
	"	stp	d10, d11, [sp, #16]\n"
	"	stp	d12, d13, [sp, #32]\n"
	"	stp	d14, d15, [sp, #48]\n"
	"	ldr	p0, [x1]\n"
	"	wrffr	p0.b\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	ldr	p\\n, [x1, #\\n, mul vl]\n"
	"	.endr\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	ldr	z\\n, [x0, #\\n, mul vl]\n"
	"	.endr\n"
	"1:	subs	x4, x4, #1\n"
	"	b.ne	1b\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	str	z\\n, [x2, #\\n, mul vl]\n"
	"	.endr\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	str	p\\n, [x3, #\\n, mul vl]\n"
	"	.endr\n"
	"	rdffr	p0.b\n"
	"	str	p0, [x3, #16, mul vl]\n"
	"	ldp	d10, d11, [sp, #16]\n"
	"	ldp	d12, d13, [sp, #32]\n"
	"	ldp	d14, d15, [sp, #48]\n"
	"	ldp	d8, d9, [sp], #64\n"
	"	ret\n");

int main(int argc, char **argv)
{
	static uint8_t vectors[REGISTERS * MAX_VECTOR], vectors_after[REGISTERS * MAX_VECTOR];
	static uint8_t predicates[(PREDICATES + 1) * MAX_VECTOR / 8], predicates_after[(PREDICATES + 1) * MAX_VECTOR / 8];
	const size_t length = vector_length(), predicate = length / 8;
	const time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	unsigned rounds = 0;

	for (; time(NULL) < end; rounds++) {
		uint64_t pointer = (uint64_t)(uintptr_t)vectors, signed_pointer = sign(pointer, rounds);

		for (size_t i = 0; i < REGISTERS * length; i++)
			vectors[i] = (uint8_t)(i * 13 + i / 256 + rounds);
		for (size_t i = 0; i < PREDICATES * predicate; i++)
			predicates[i] = (uint8_t)(i * 7 + rounds);
		/* The first-fault register can only hold ones, then zeroes. */
		memset(predicates, 0, predicate);
		memset(predicates, 0xff, rounds % predicate);
		memcpy(predicates + PREDICATES * predicate, predicates, predicate);
		hold(vectors, predicates, vectors_after, predicates_after, 30000000);
		if (memcmp(vectors, vectors_after, REGISTERS * length) != 0)
			return printf("vectors: BAD: a vector changed in round %u\n", rounds), 1;
		if (memcmp(predicates, predicates_after, (PREDICATES + 1) * predicate) != 0)
			return printf("vectors: BAD: a predicate changed in round %u\n", rounds), 1;
		if (authenticate(signed_pointer, rounds) != pointer)
			return printf("vectors: BAD: a signature does not fit in round %u\n", rounds), 1;
	}
	printf("vectors: %u rounds with %zu bytes a vector\n", rounds, length);
	return 0;
}
