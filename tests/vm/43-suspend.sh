# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: stop and reboot wake a suspended guest; the cloud kernel has no gpio-keys, the only keys that can wake a guest
# guests: 6.12-full

# on_key COMMAND: the guest runs COMMAND at the next event of the board's keys. This event wakes the guest.
on_key()
{
	ask g "for e in /sys/class/input/event*; do if [ \"\$(cat \$e/device/name)\" = gpio-keys ]; then k=/dev/input/\${e##*/}; fi; done; echo \"key \$k\""
	check "the guest has no gpio-keys" grep -q '^key /dev/input/event' "$logs/said"
	input g "(head -c 24 \$k >/dev/null; $1) &"
}

# suspend_guest N: suspends the guest for the Nth time. The guest's console is not suspended, so that the kernel can
# report the suspend.
suspend_guest()
{
	ask g 'dmesg -n 8; echo 1 >/sys/power/pm_debug_messages; killall acpid'
	input g 'echo mem >/sys/power/state'
	tick
	end=$((now + 60))
	until [ "$(grep -c 'PM: suspend-to-idle' "$logs/g.out")" = "$1" ]; do
		tick
		[ "$now" -lt "$end" ] || fail "the guest is not suspended after 60 s"
		sleep 0.2
	done
}

case_reboot_and_stop_wake_a_suspended_guest()
{
	start g 'lkvm.shell=plain no_console_suspend'
	wait_for g '^lkvm-guest: ready'
	on_key 'reboot -f'
	suspend_guest 1
	run timeout 60 "$lkvm" reboot g
	check_status 0
	wait_boot g 2
	on_key 'poweroff -f'
	suspend_guest 2
	run timeout 60 "$lkvm" stop g
	check_status 0
	wait_exit g 0
}
