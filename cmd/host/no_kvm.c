/* SPDX-License-Identifier: MIT */
/* Replaces the functions that need arm64's KVM in the lkvm for other machines. */
#include <errno.h>

#include "cmd/command.h"
#include "kvm/probe.h"
#include "machine/machine.h"

static int set_reason(struct error *error)
{
	return error_set(error, ENOSYS, "this lkvm was not built for arm64 and cannot run guests; use build/arm64/lkvm on an arm64 "
		  "machine, or scripts/demo, which emulates one");
}

static int needs_kvm(const struct command_call *call)
{
	struct error error;

	set_reason(&error);
	return command_error(call, &error);
}

int cmd_run(const struct command_call *call)
{
	return needs_kvm(call);
}

int cmd_snapshot_restore(const struct command_call *call)
{
	return needs_kvm(call);
}

int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, const struct error_collector *lost,
		       struct error *error)
{
	(void)snapshot;
	(void)refused;
	(void)lost;
	return set_reason(error);
}

void probe_kvm(struct probes *probes)
{
	(void)probes;
}
