/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/vfio.h"

int vfio_address(const char *text, char address[VFIO_ADDRESS_SIZE], struct error *error)
{
	unsigned domain = 0, bus, slot, function;
	int end = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 || text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end])
			end = -1;
	}
	/* scanf takes signs and blanks, too. */
	if (end < 0 || strspn(text, "0123456789abcdefABCDEF:.") != strlen(text) || slot > 0x1f || function > 7)
		return error_set(error, EINVAL, "\"%.100s\" is no address of a PCI device, as 0000:01:00.0 or 01:00.0", text);
	snprintf(address, VFIO_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot, function);
	return 0;
}
