/* SPDX-License-Identifier: MIT */
/* Parses the address of a device to pass through: a PCI address or a UUID. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfio/vfio.h"

/* Parses one to `most` hexadecimal digits, and the character `after` that must follow. */
static bool parse_hex(const char **text, unsigned most, char after, unsigned *value)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	unsigned count = 0;

	for (*value = 0; **text && strchr(digits, **text) && count < most; count++)
		*value = *value << 4 | ((unsigned)(strchr(digits, *(*text)++) - digits) & 15);
	return count > 0 && *(*text)++ == after;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (unsigned i = 0; form[i]; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return !text[sizeof(form) - 1];
}

int vfio_address(const char *text, char address[VFIO_ADDRESS_SIZE], struct error *error)
{
	unsigned domain = 0, bus, slot, function;
	const char *rest = text, *first = strchr(text, ':');
	bool has_domain = first && strchr(first + 1, ':');

	if (is_uuid(text)) {
		for (unsigned i = 0; i <= strlen(text); i++)
			address[i] = (char)tolower((unsigned char)text[i]);
		return 0;
	}
	if ((has_domain && !parse_hex(&rest, 4, ':', &domain)) || !parse_hex(&rest, 2, ':', &bus) ||
	    !parse_hex(&rest, 2, '.', &slot) ||
	    !parse_hex(&rest, 1, '\0', &function) || slot > 0x1f || function > 7)
		return error_set(error, EINVAL, "\"%.100s\" is neither the address of a PCI device, such as 0000:01:00.0 or "
				 "01:00.0, nor the UUID of a mediated device", text);
	snprintf(address, VFIO_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot, function);
	return 0;
}
