/* SPDX-License-Identifier: MIT */
/* The header of an arm64 Image (booting.rst, section 4). A program without it is loaded as it is. */

#define TEXT_OFFSET	0x10000		/* unlike the 0x80000 of a program without header */
#define PAGES_4K	(1 << 1)
#define ANYWHERE	(1 << 3)

	.section .head, "ax"
	b	_start
	.long	0
	.quad	TEXT_OFFSET
	.quad	image_size
	.quad	PAGES_4K | ANYWHERE
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
