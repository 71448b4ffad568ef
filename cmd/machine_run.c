/* SPDX-License-Identifier: MIT */
/* Runs a machine from its opening to its end, for lkvm run and lkvm snapshot restore. */
#include "machine_run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "control/lifecycle.h"
#include "hw/terminal.h"
#include "util/loop.h"

static const char terminal_help[] =
	"\n"
	"lkvm: Ctrl-A x  end the virtual machine at once\n"
	"      Ctrl-A a  send Ctrl-A to the guest\n"
	"      Ctrl-A h  this help\n";

void machine_run_log(void *context, enum log_level level, const char *line)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
	};

	(void)context;
	/* One write, so that lines of several threads do not mix. */
	dprintf(STDERR_FILENO, "lkvm: %s: %s\n", names[level], line);
}

/* Everything that is open while a machine runs. */
struct run {
	struct loop loop;
	struct control control;
	struct terminal terminal;
	struct machine machine;
	struct lifecycle lifecycle;
	struct memory_loss loss;
	const struct command_call *call;
};

static bool machine_run_is_damaged(void *owner)
{
	const struct run *run = owner;
	const struct snapshot *snapshot = run->machine.config.snapshot;
	struct error error;

	return snapshot && snapshot_find_lost(snapshot, SNAPSHOT_ANYWHERE, &error);
}

/*
 * Guest memory is lost, and other threads may have stopped while they hold any lock. So this takes no lock and frees nothing. The
 * end of the process closes what children and devices have open.
 */
static void machine_run_end_without_memory(void *owner)
{
	struct run *run = owner;
	struct error error;

	machine_explain_loss(&run->machine, &run->loss, &error);
	terminal_restore(&run->terminal);
	control_unlink(&run->control);
	command_error(run->call, &error);
	_exit(EXIT_VM_FAILURE);
}

static int add_overlays(struct machine_config *config, const char *folder, bool is_last, struct error *error)
{
	char absolute[PATH_MAX];

	if (is_last && mkdir(folder, 0755) < 0 && errno != EEXIST)
		return error_system(error, errno, "cannot make the folder %s", folder);
	if (!realpath(folder, absolute))
		return error_system(error, errno, "folder %s", folder);
	return machine_config_overlay(config, absolute, error);
}

int machine_run_overlays(struct machine_config *config, const struct run_options *options, struct error *error)
{
	bool any = false;

	if (!options->overlay_count)
		return 0;
	if (config->snapshot && options->overlay_count > 1)
		return error_set(error, EINVAL, "--disk-overlay: a restored guest gets one new overlay per disk: give one folder");
	for (unsigned i = 0; i < config->disk_count; i++)
		any |= !config->disks[i].read_only;
	if (!any)
		return error_set(error, EINVAL, "--disk-overlay: the guest has no writable disk");
	for (unsigned i = 0; i < options->overlay_count; i++)
		if (add_overlays(config, options->overlays[i], i + 1 == options->overlay_count, error) < 0)
			return -1;
	for (unsigned i = 0; i < config->disk_count; i++) {
		struct virtio_block_config *disk = &config->disks[i];

		disk->overlay_new = disk->overlay && (config->snapshot || access(disk->overlay, F_OK) < 0);
	}
	return 0;
}

/* Loads the state. If RAM is damaged, reports that: the damage may be why loading failed. */
static int load(struct machine *machine, const struct machine_start *start, struct error *error)
{
	struct error damage;

	if (machine_load(machine, start->sections, error) == 0)
		return 0;
	if (start->check && snapshot_check_ram(start->check, NULL, &damage) < 0)
		*error = damage;
	return -1;
}

/* Takes the name first: an lkvm that cannot get it must not touch disks or interfaces. */
static int open_all(struct run *run, const struct machine_start *start, struct error *error)
{
	loop_open(&run->loop);
	run->loss.lost = machine_run_end_without_memory;
	run->loss.is_damaged = machine_run_is_damaged;
	run->loss.owner = run;
	if (memory_loss_open(&run->loss, error) < 0)
		return -1;
	if (control_open(&run->control, start->config->name, &run->loop, lifecycle_serve, &run->lifecycle,
			 error) < 0)
		goto close_loss;
	if (terminal_open(&run->terminal, &run->loop, STDIN_FILENO, start->detach->output_fd, error) < 0)
		goto close_control;
	run->terminal.help = terminal_help;
	run->terminal.leave = lifecycle_leave;
	run->terminal.leave_owner = &run->lifecycle;
	if (machine_open(&run->machine, start->config, &run->loop, &run->terminal, error) < 0)
		goto close_terminal;
	if (start->sections && load(&run->machine, start, error) < 0)
		goto close_machine;
	if (lifecycle_open(&run->lifecycle, &run->machine, &run->control, error) < 0)
		goto close_machine;
	run->lifecycle.no_reboot = start->no_reboot;
	if (start->check && lifecycle_check(&run->lifecycle, start->check, error) < 0)
		goto close_lifecycle;
	return 0;

close_lifecycle:
	lifecycle_close(&run->lifecycle);
close_machine:
	machine_stop(&run->machine);
	memory_loss_close(&run->loss);
	machine_close(&run->machine);
close_terminal:
	terminal_close(&run->terminal);
close_control:
	control_close(&run->control);
close_loss:
	memory_loss_close(&run->loss);
	return -1;
}

static void close_all(struct run *run)
{
	lifecycle_close(&run->lifecycle);
	machine_stop(&run->machine);
	memory_loss_close(&run->loss);
	machine_close(&run->machine);
	terminal_close(&run->terminal);
	control_withdraw(&run->control);
	lifecycle_notify(&run->lifecycle);
	control_close(&run->control);
}

static int exit_status(const struct command_call *call, const struct lifecycle *lifecycle)
{
	switch (lifecycle->end) {
	case LIFECYCLE_RUNNING:
	case LIFECYCLE_POWER_OFF:
	case LIFECYCLE_LEFT:
	case LIFECYCLE_STOPPED:
		break;
	case LIFECYCLE_RESET:
		return EXIT_RESET;
	case LIFECYCLE_SIGNAL:
		return EXIT_SIGNAL + lifecycle->signal;
	case LIFECYCLE_CRASH:
		command_error(call, &lifecycle->error);
		return EXIT_CRASHED;
	case LIFECYCLE_FAILURE:
		command_error(call, &lifecycle->error);
		return EXIT_VM_FAILURE;
	}
	return EXIT_OK;
}

/* Opens the machine, runs it and closes it. The struct is large, so it is on the heap. */
int machine_run(const struct command_call *call, const struct machine_start *start)
{
	struct run *run = calloc(1, sizeof(*run));
	struct error error;
	int status;

	if (!run) {
		error_system(&error, ENOMEM, "memory");
		return command_error(call, &error);
	}
	run->call = call;
	if (open_all(run, start, &error) < 0) {
		free(run);
		return command_error(call, &error);
	}
	if (!start->paused)
		machine_resume(&run->machine);
	if (detach_finish(start->detach))
		loop_run(&run->loop);
	close_all(run);
	status = exit_status(call, &run->lifecycle);
	free(run);
	return status;
}
