# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: --watchdog: fed, not fed, paused, saved and restored, and what happens when it expires

# arm GUEST SECONDS: opens its watchdog and feeds it as long as /tmp/feed is there.
arm()
{
	ask "$1" "rmmod sbsa_gwdt 2>/dev/null; modprobe sbsa_gwdt timeout=$2 && exec 3>/dev/watchdog && touch /tmp/feed"
	check "no watchdog in the guest" test "$status" = 0
	ask "$1" '(while [ -e /tmp/feed ]; do echo >&3; sleep 1; done) & true'
}

# alive GUEST: it answers, and its memory is that of before.
alive()
{
	ask "$1" 'cat /tmp/mark'
	check "the guest is another one" grep -qx same "$logs/said"
}

case_watchdog_resets_guest_that_stops_feeding()
{
	ready g --watchdog reset
	arm g 6
	ask g 'echo same >/tmp/mark'
	sleep 14
	alive g
	run "$lkvm" stat g
	check "stat does not show it" grep -q 'watchdog' "$logs/run.out"
	check "a guest that feeds is reset" test ! -s "$logs/g.err"
	input g 'rm /tmp/feed'
	wait_boot g 2
	check "no line" grep -qx 'lkvm: warning: the guest let its watchdog expire: it starts again' "$logs/g.err"
	sleep 14
	ask g 'ls /tmp/mark || echo new'
	check "the new guest is reset" grep -qx new "$logs/said"
	check "another line" test "$(wc -l <"$logs/g.err")" = 1
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
	check "it is reset" test ! -s "$logs/g.err"
	input g 'rm /tmp/feed'
	wait_boot g 2
	check "no line" grep -q 'the guest let its watchdog expire: it starts again' "$logs/g.err"
	run "$lkvm" stop --force g
	wait_exit g 0
}

case_watchdog_ends_lkvm_with_status_0_by_poweroff()
{
	ready g --watchdog poweroff
	arm g 4
	input g 'rm /tmp/feed'
	wait_exit g 0
	check "no line" grep -qx 'lkvm: warning: the guest let its watchdog expire: the virtual machine ends' "$logs/g.err"
}

case_watchdog_prints_a_line_by_none()
{
	ready g --watchdog none
	arm g 4
	ask g 'echo same >/tmp/mark; rm /tmp/feed'
	sleep 12
	alive g
	check "not the line alone" test "$(cat "$logs/g.err")" = "lkvm: warning: the guest's watchdog expired"
	run "$lkvm" stop --force g
	wait_exit g 0
}
