/* SPDX-License-Identifier: MIT */
/* lkvm balloon: sets the size of a guest's memory balloon. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "control_commands.h"
#include "util/parse.h"

int cmd_balloon(const struct command_call *call)
{
	const struct control_options *options = call->values;
	struct command_call asked = *call;
	char request[CONTROL_REQUEST_LENGTH];
	struct error error;
	uint64_t bytes;

	/* NAME SIZE, or only SIZE with --name or --all */
	if (call->count != (options->name || options->all ? 1 : 2)) {
		error_set(&error, EINVAL, "NAME and SIZE are required");
		return command_usage_error(call, &error);
	}
	asked.count--;
	if (parse_size(call->operands[asked.count], &bytes, &error) < 0)
		return command_usage_error(call, &error);
	/* The unit is for the message of a refusal; older VMMs ignore it. */
	snprintf(request, sizeof(request), "balloon %" PRIu64 " %c", bytes, parse_size_unit(call->operands[asked.count]));
	return control_commands_ask(&asked, request, CONTROL_COMMANDS_PATIENCE, "ballooned");
}
