/* SPDX-License-Identifier: MIT */
/*
 * Overwrites the ITS's device table while the ITS uses it, as a kernel may that is started by kexec. A snapshot of this guest
 * cannot be restored. The guest replies to each character from its console, and powers off at a q.
 */
#include "lib/board.h"
#include "lib/gic.h"
#include "lib/runtime.h"

#define STATUS 5u
#define DATA_READY 1u
#define DEVICE 8u
#define TABLE_ADDRESS 0x0000ffffffff0000ull /* of GITS_BASER0, with pages of 64 KiB */
#define TABLE_SIZE 65536u

static char read_character(void)
{
	while (!(read8(BOARD_UART + STATUS) & DATA_READY))
		;
	return (char)read8(BOARD_UART);
}

void guest_main(void)
{
	gic_open();
	if (!lpi_open() || !its_open() || !its_map(DEVICE, FIRST_LPI))
		print("overwrite: the ITS does not work\n");
	memset((void *)(read64(GITS_BASER(0)) & TABLE_ADDRESS), 0xff, TABLE_SIZE);
	print("overwrite: ready\n");
	for (char c; (c = read_character()) != 'q';)
		if (c != '\n')
			print("overwrite: got %c\n", c);
	power_off();
}
