/* SPDX-License-Identifier: MIT */
/* control/lifecycle.c: requests and events of a fake machine. Children send real requests over the real socket. */
#include "unit/lifecycle_bench.h"
#include "../../control/lifecycle_private.h"
#include "util/bits.h"

#include <signal.h>

static void guest_power_off_ends_the_vm(void **state)
{
	(void)state;
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_POWER_OFF);
}

static void guest_crash_and_failure_keep_their_error(void **state)
{
	(void)state;
	fake_machine_event(&bench->machine, VM_EVENT_CRASH, "it crashed");
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_CRASH);
	assert_string_equal(bench->lifecycle.error.text, "it crashed");

	bench->lifecycle.end = LIFECYCLE_RUNNING;
	fake_machine_event(&bench->machine, VM_EVENT_FAILURE, "it failed");
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
	assert_string_equal(bench->lifecycle.error.text, "it failed");
}

static void guest_reset_restarts_the_same_vm(void **state)
{
	(void)state;
	fake_machine_event(&bench->machine, VM_EVENT_RESET, NULL);
	run_loop_for(&bench->loop, 100);
	assert_int_equal(fake_machine.resets, 1);
	assert_int_equal(fake_machine.pauses, 1);
	assert_int_equal(fake_machine.resumes, 2);
	assert_true(bench->machine.running);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
}

static void reset_ends_the_vm_when_it_fails(void **state)
{
	(void)state;
	fake_machine.reset_fails = true;
	fake_machine_event(&bench->machine, VM_EVENT_RESET, NULL);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
	assert_string_equal(bench->lifecycle.error.text, "the guest cannot start again after its reset: the kernel is gone");
}

static void signal_ends_the_vm_unless_it_is_harmless(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGXCPU };

	(void)state;
	for (unsigned i = 0; i < COUNT(signals); i++) {
		bench->lifecycle.end = LIFECYCLE_RUNNING;
		kill(getpid(), signals[i]);
		loop_run(&bench->loop);
		assert_int_equal(bench->lifecycle.end, LIFECYCLE_SIGNAL);
		assert_int_equal(bench->lifecycle.signal, signals[i]);
	}
	bench->lifecycle.end = LIFECYCLE_RUNNING;
	kill(getpid(), SIGCONT);
	kill(getpid(), SIGPIPE);
	run_loop_for(&bench->loop, 100);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
}

static void pause_and_resume_may_be_repeated(void **state)
{
	(void)state;
	assert_string_equal(serve_one("pause"), "ok ");
	assert_false(bench->machine.running);
	assert_string_equal(serve_one("info"), "ok paused 2 268435456\n");
	assert_string_equal(serve_one("pause"), "ok ");
	assert_int_equal(fake_machine.pauses, 1);
	assert_string_equal(serve_one("resume"), "ok ");
	assert_true(bench->machine.running);
	assert_string_equal(serve_one("resume"), "ok ");
	assert_int_equal(fake_machine.resumes, 2);
	assert_string_equal(serve_one("info"), "ok running 2 268435456\n");
}

static void stat_answers_as_text_and_as_json(void **state)
{
	(void)state;
	assert_string_equal(serve_one("stat json"), "ok {\"state\": \"running\"}\n");
	assert_non_null(strstr(serve_one("stat"), "running"));
}

/* Runs the loop until the guest's key is pressed: a client is a process, and may start late on a busy machine. */
static void wait_for_key(enum machine_key key)
{
	while (!fake_machine.presses[key])
		run_loop_for(&bench->loop, 20);
}

static void stop_answers_after_the_vm_ended(void **state)
{
	struct asking asking = ask("stop 60");

	(void)state;
	wait_for_key(MACHINE_KEY_POWER);
	assert_int_equal(fake_machine.presses[MACHINE_KEY_POWER], 1);
	assert_string_equal(answer(asking, false), "");
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	assert_string_equal(answer(asking, false), "");
	control_withdraw(&bench->control);
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "ok ");
}

/* Commands that wait for the guest cannot take all places, so that others are always served. */
static void stop_is_refused_when_many_commands_wait(void **state)
{
	struct asking waiting[CONTROL_DEFERRABLE];

	(void)state;
	for (unsigned i = 0; i < CONTROL_DEFERRABLE; i++)
		waiting[i] = ask("stop 60");
	while (control_count_deferred(&bench->control) < CONTROL_DEFERRABLE)
		run_loop_for(&bench->loop, 20);
	assert_string_equal(serve_one("stop 60"),
			    "error 8 commands wait for this virtual machine already; --force does not wait");
	assert_int_equal(fake_machine.presses[MACHINE_KEY_POWER], CONTROL_DEFERRABLE);
	assert_string_equal(serve_one("info"), "ok running 2 268435456\n");
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	control_withdraw(&bench->control);
	lifecycle_notify(&bench->lifecycle);
	for (unsigned i = 0; i < CONTROL_DEFERRABLE; i++)
		assert_string_equal(answer(waiting[i], true), "ok ");
}

static void stop_fails_when_the_guest_crashes(void **state)
{
	struct asking asking = ask("stop 60");

	(void)state;
	wait_for_key(MACHINE_KEY_POWER);
	fake_machine_event(&bench->machine, VM_EVENT_CRASH, "it crashed");
	loop_run(&bench->loop);
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "error it crashed");
}

static void stop_and_reboot_fail_when_the_guest_ignores_the_key(void **state)
{
	struct asking asking = ask("stop 1");

	(void)state;
	run_loop_for(&bench->loop, 3000);
	assert_string_equal(answer(asking, false),
			    "error the guest did not power off within 1 s; --force does not ask it");
	asking = ask("reboot 1");
	run_loop_for(&bench->loop, 3000);
	assert_string_equal(answer(asking, false),
			    "error the guest did not restart within 1 s; --force does not ask it");
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
	assert_true(bench->machine.running);
}

static void stop_and_reboot_fail_at_once_when_the_guest_listens_to_no_key(void **state)
{
	(void)state;
	fake_machine.deaf = true;
	assert_string_equal(serve_one("stop 60"),
			    "error the guest listens to no power key; --force does not ask the guest");
	assert_true(bench->machine.running);
	assert_string_equal(serve_one("pause"), "ok ");
	assert_string_equal(serve_one("reboot 60"),
			    "error the guest listens to no power key; --force does not ask the guest");
	assert_false(bench->machine.running); /* still paused */
}

static void stop_resumes_a_paused_guest(void **state)
{
	struct asking asking;

	(void)state;
	assert_string_equal(serve_one("pause"), "ok ");
	asking = ask("stop 60");
	wait_for_key(MACHINE_KEY_POWER);
	assert_true(bench->machine.running);
	assert_false(fake_machine.pressed_paused);
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "ok ");
}

static void stop_force_ends_the_vm_without_pressing_a_key(void **state)
{
	struct asking asking;

	(void)state;
	assert_string_equal(serve_one("pause"), "ok ");
	asking = ask("stop force");
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_STOPPED);
	assert_int_equal(fake_machine.presses[MACHINE_KEY_POWER], 0);
	assert_string_equal(answer(asking, false), "");
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "ok ");
}

static void reboot_answers_after_the_reset(void **state)
{
	struct asking asking = ask("reboot 60");

	(void)state;
	wait_for_key(MACHINE_KEY_RESTART);
	assert_int_equal(fake_machine.presses[MACHINE_KEY_RESTART], 1);
	assert_string_equal(answer(asking, false), "");
	fake_machine_event(&bench->machine, VM_EVENT_RESET, NULL);
	run_loop_for(&bench->loop, 300);
	assert_string_equal(answer(asking, true), "ok ");
	assert_int_equal(fake_machine.resets, 1);
}

static void reboot_fails_when_the_guest_powers_off(void **state)
{
	struct asking asking = ask("reboot 60");

	(void)state;
	wait_for_key(MACHINE_KEY_RESTART);
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "error the guest ended and did not restart");
}

static void reboot_force_resets_without_pressing_a_key(void **state)
{
	(void)state;
	assert_string_equal(serve_one("reboot force"), "ok ");
	assert_int_equal(fake_machine.resets, 1);
	assert_true(bench->machine.running);
	assert_string_equal(serve_one("pause"), "ok ");
	assert_string_equal(serve_one("reboot force"), "ok ");
	assert_int_equal(fake_machine.resets, 2);
	assert_false(bench->machine.running);
	assert_int_equal(fake_machine.presses[MACHINE_KEY_RESTART], 0);
}

static void reboot_force_reports_error_when_the_reset_fails(void **state)
{
	struct asking asking = ask("reboot force");

	(void)state;
	fake_machine.reset_fails = true;
	loop_run(&bench->loop);
	assert_string_equal(answer(asking, true), "error the guest cannot start again after its reset: the kernel is gone");
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
}

static void reboot_force_keeps_the_guest_when_its_kernel_is_gone(void **state)
{
	(void)state;
	fake_machine.kernel_gone = true;
	assert_string_equal(serve_one("reboot force"),
			    "error the kernel is gone; the guest continues without a reset: put the file back first");
	assert_int_equal(fake_machine.resets, 0);
	assert_int_equal(fake_machine.pauses, 0);
	assert_true(bench->machine.running);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
}

/* Without its kernel a reset would end the VM, also a reset that the guest starts. */
static void reboot_does_not_ask_the_guest_when_its_kernel_is_gone(void **state)
{
	(void)state;
	fake_machine.kernel_gone = true;
	assert_string_equal(serve_one("reboot 60"),
			    "error the kernel is gone; the guest continues without a reset: put the file back first");
	assert_int_equal(fake_machine.presses[MACHINE_KEY_RESTART], 0);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
}

/* The lines of the log. */
static char logged[512];

static void log_line(void *context, enum log_level level, const char *line)
{
	(void)context;
	assert_int_equal(level, LOG_LEVEL_WARNING);
	snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", line);
}

static void reset_logs_a_line(void **state)
{
	static const struct log log = { .level = LOG_LEVEL_WARNING, .write = log_line };

	(void)state;
	logged[0] = 0;
	bench->machine.config.log = &log;
	fake_machine_event(&bench->machine, VM_EVENT_RESET, NULL);
	run_loop_for(&bench->loop, 100);
	assert_string_equal(serve_one("reboot force"), "ok ");
	assert_string_equal(logged, "the guest has reset itself: it starts again\n"
				    "lkvm reboot --force resets the guest: it starts again\n");
}

/* A device, such as the watchdog, causes them, and not the guest. */
static void event_with_a_cause_logs_it(void **state)
{
	static const struct log log = { .level = LOG_LEVEL_WARNING, .write = log_line };
	const struct vm_event reset = { .kind = VM_EVENT_RESET, .cause = "a cause" };
	const struct vm_event power_off = { .kind = VM_EVENT_POWER_OFF, .cause = "another cause" };

	(void)state;
	logged[0] = 0;
	bench->machine.config.log = &log;
	vm_event_post(&bench->machine.vm, &reset);
	run_loop_for(&bench->loop, 100);
	assert_int_equal(fake_machine.resets, 1);
	vm_event_post(&bench->machine.vm, &power_off);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_POWER_OFF);
	assert_string_equal(logged, "a cause: it starts again\nanother cause: the virtual machine ends\n");
}

/* Its watchdog expires in the moment in which the user resets the guest. */
static void reset_drops_event_of_the_guest_before_it(void **state)
{
	const struct vm_event power_off = { .kind = VM_EVENT_POWER_OFF, .cause = "a cause" };
	struct error error;

	(void)state;
	vm_event_post(&bench->machine.vm, &power_off);
	assert_int_equal(lifecycle_reset(&bench->lifecycle, "the user", &error), 0);
	run_loop_for(&bench->loop, 20);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
	assert_int_equal(fake_machine.resets, 1);
	fake_machine_event(&bench->machine, VM_EVENT_FAILURE, "KVM stopped");
	assert_int_equal(lifecycle_reset(&bench->lifecycle, "the user", &error), 0);
	run_loop_for(&bench->loop, 20);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
}

static void no_reboot_ends_at_a_reset(void **state)
{
	(void)state;
	bench->lifecycle.no_reboot = true;
	fake_machine_event(&bench->machine, VM_EVENT_RESET, NULL);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RESET);
	assert_int_equal(fake_machine.resets, 0);
}

/* With --no-reboot the VM ends, so the kernel's file is not needed. */
static void no_reboot_ends_at_reboot_force(void **state)
{
	struct asking asking = ask("reboot force");

	(void)state;
	bench->lifecycle.no_reboot = true;
	fake_machine.kernel_gone = true;
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RESET);
	assert_string_equal(answer(asking, false), "");
	lifecycle_notify(&bench->lifecycle);
	assert_string_equal(answer(asking, true), "error the guest was reset, and --no-reboot ended the virtual machine");
}

static void balloon_request_is_checked_and_set(void **state)
{
	(void)state;
	assert_string_equal(serve_one("balloon 4096"),
			    "error the guest has no balloon; lkvm run --balloon gives it one");
	bench->machine.balloon = (struct virtio_device *)&bench->machine; /* never dereferenced */
	assert_string_equal(serve_one("balloon 8191"), "ok ");
	assert_int_equal(fake_machine.balloon, 4096);
	assert_string_equal(serve_one("balloon 268435457"),
			    "error the guest has 256 MiB of memory, and cannot give up 256.01 MiB");
	assert_string_equal(serve_one("balloon 2147483648 G"),
			    "error the guest has 0.25 GiB of memory, and cannot give up 2 GiB");
	assert_string_equal(serve_one("balloon 268435457 k"),
			    "error the guest has 262144 KiB of memory, and cannot give up 262144.01 KiB");
	assert_string_equal(serve_one("balloon"), "error \"\" is not a number");
}

static void request_is_refused_when_it_is_malformed(void **state)
{
	(void)state;
	assert_string_equal(serve_one("dance"), "error unknown request: dance");
	assert_string_equal(serve_one("stop"), "error \"\" is not a number");
	assert_string_equal(serve_one("stop 0"), "error 0 is not in the range from 1 to 86400");
	assert_string_equal(serve_one("reboot soon"), "error \"soon\" is not a number");
	assert_true(bench->machine.running);
	assert_int_equal(fake_machine.presses[MACHINE_KEY_POWER], 0);
}

static void leave_ends_the_vm(void **state)
{
	(void)state;
	lifecycle_leave(&bench->lifecycle);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_LEFT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guest_power_off_ends_the_vm),
		TEST(guest_crash_and_failure_keep_their_error),
		TEST(guest_reset_restarts_the_same_vm),
		TEST(reset_ends_the_vm_when_it_fails),
		TEST(signal_ends_the_vm_unless_it_is_harmless),
		TEST(pause_and_resume_may_be_repeated),
		TEST(stat_answers_as_text_and_as_json),
		TEST(stop_answers_after_the_vm_ended),
		TEST(stop_is_refused_when_many_commands_wait),
		TEST(stop_fails_when_the_guest_crashes),
		TEST(stop_and_reboot_fail_when_the_guest_ignores_the_key),
		TEST(stop_and_reboot_fail_at_once_when_the_guest_listens_to_no_key),
		TEST(stop_resumes_a_paused_guest),
		TEST(stop_force_ends_the_vm_without_pressing_a_key),
		TEST(reboot_answers_after_the_reset),
		TEST(reboot_fails_when_the_guest_powers_off),
		TEST(reboot_force_resets_without_pressing_a_key),
		TEST(reboot_force_reports_error_when_the_reset_fails),
		TEST(reboot_force_keeps_the_guest_when_its_kernel_is_gone),
		TEST(reboot_does_not_ask_the_guest_when_its_kernel_is_gone),
		TEST(event_with_a_cause_logs_it),
		TEST(reset_drops_event_of_the_guest_before_it),
		TEST(reset_logs_a_line),
		TEST(no_reboot_ends_at_a_reset),
		TEST(no_reboot_ends_at_reboot_force),
		TEST(balloon_request_is_checked_and_set),
		TEST(request_is_refused_when_it_is_malformed),
		TEST(leave_ends_the_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
