/* SPDX-License-Identifier: MIT */
/* The list of probe results. */
#include <stdarg.h>
#include <stdio.h>

#include "kvm/probe.h"
#include "util/text.h"

void probes_add(struct probes *probes, const char *name, enum probe_verdict verdict, const char *format, ...)
{
	struct probe *probe;
	va_list arguments;

	if (probes->count == PROBES_MAX)
		return;
	probe = &probes->list[probes->count++];
	*probe = (struct probe){ .name = name, .verdict = verdict };
	va_start(arguments, format);
	vsnprintf(probe->reason, sizeof(probe->reason), format, arguments);
	va_end(arguments);
	text_make_printable(probe->reason);
}

void probes_remedy(struct probes *probes, const char *format, ...)
{
	struct probe *probe;
	va_list arguments;

	if (!probes->count)
		return;
	probe = &probes->list[probes->count - 1];
	va_start(arguments, format);
	vsnprintf(probe->remedy, sizeof(probe->remedy), format, arguments);
	va_end(arguments);
}

void probes_need(struct probes *probes)
{
	if (probes->count)
		probes->list[probes->count - 1].needed = true;
}

bool probes_usable(const struct probes *probes)
{
	for (unsigned i = 0; i < probes->count; i++)
		if (probes->list[i].needed && probes->list[i].verdict == PROBE_MISSING)
			return false;
	return true;
}
