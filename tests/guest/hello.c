/* SPDX-License-Identifier: MIT */
/*
 * The smallest guest. It prints a text on the UART, echoes a line that it reads there, and powers off. Like programs for
 * kvmtool, it is a flat file without a header, which is loaded at RAM + 0x80000.
 */
#include "lib/board.h"
#include "lib/runtime.h"

#define STATUS 5u
#define DATA_READY 1u

void guest_main(void)
{
	unsigned length = 0;
	char line[80];

	print("hello: loaded at 0x%lx\n", (uint64_t)image_start);
	while (length < sizeof(line) - 1) {
		while (!(read8(BOARD_UART + STATUS) & DATA_READY))
			;
		char c = (char)read8(BOARD_UART);

		if (c == '\n' || c == '\r')
			break;
		line[length++] = c;
	}
	line[length] = '\0';
	print("hello: you said \"%s\"\n", line);
	power_off();
}
