# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: --watchdog: a fed watchdog, one that is not fed, pause, save and restore, and the action at expiry

# arm GUEST SECONDS: opens the guest's watchdog, and feeds it as long as /tmp/feed exists.
arm()
{
	ask "$1" "rmmod sbsa_gwdt 2>/dev/null; modprobe sbsa_gwdt timeout=$2 && exec 3>/dev/watchdog && touch /tmp/feed"
	check "the guest has no watchdog" test "$status" = 0
	ask "$1" '(while [ -e /tmp/feed ]; do echo >&3; sleep 1; done) & true'
}

# alive GUEST: the guest answers, and its memory has the same contents as before.
alive()
{
	ask "$1" 'cat /tmp/mark'
	check "the guest's memory does not have the contents of before" grep -qx same "$logs/said"
}

case_watchdog_resets_guest_that_stops_feeding()
{
	ready g --watchdog reset
	arm g 6
	ask g 'echo same >/tmp/mark'
	sleep 14
	alive g
	run "$lkvm" stat g
	check "lkvm stat does not show the watchdog" grep -q 'watchdog' "$logs/run.out"
	check "lkvm printed a message although the guest feeds its watchdog" test ! -s "$logs/g.err"
	input g 'rm /tmp/feed'
	wait_boot g 2
	check "lkvm printed no warning" grep -qx 'lkvm: warning: the guest let its watchdog expire: it starts again' "$logs/g.err"
	sleep 14
	ask g 'ls /tmp/mark || echo new'
	check "the guest kept a file of its memory over the reset" grep -qx new "$logs/said"
	check "lkvm printed another line after the reset" test "$(wc -l <"$logs/g.err")" = 1
	run "$lkvm" stop g
	wait_exit g 0
}

case_watchdog_stands_still_while_paused_and_saved()
{
	ready g --watchdog reset
	arm g 6
	ask g 'echo same >/tmp/mark'
	"$lkvm" pause g
	sleep 14
	"$lkvm" resume g
	alive g
	save g "$tmp/s" --stop
	wait_exit g 0
	sleep 14
	restore g "$tmp/s"
	wait_listening g
	alive g
	sleep 8
	alive g
	check "lkvm printed a message although the guest feeds its watchdog" test ! -s "$logs/g.err"
	input g 'rm /tmp/feed'
	wait_boot g 2
	check "lkvm printed no warning about the reset" grep -q 'the guest let its watchdog expire: it starts again' "$logs/g.err"
	run "$lkvm" stop --force g
	wait_exit g 0
}

case_watchdog_ends_lkvm_with_status_0_by_poweroff()
{
	ready g --watchdog poweroff
	arm g 4
	input g 'rm /tmp/feed'
	wait_exit g 0
	check "no warning" grep -qx 'lkvm: warning: the guest let its watchdog expire: the virtual machine ends' "$logs/g.err"
}

case_watchdog_prints_a_line_by_none()
{
	ready g --watchdog none
	arm g 4
	ask g 'echo same >/tmp/mark; rm /tmp/feed'
	sleep 12
	alive g
	ask g 'echo >&3' # it counts again
	sleep 12
	check "lkvm did not print only this warning" test "$(cat "$logs/g.err")" = "lkvm: warning: the guest's watchdog expired"
	run "$lkvm" stop --force g
	wait_exit g 0
}
