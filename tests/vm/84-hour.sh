# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: an hour in which a guest stands still is no time at all to it
# clock: counted
# timeout: 15000

HOUR=3600

seconds()
{
	ask g 'cut -d. -f1 /proc/uptime; date +%s'
	uptime=$(sed -n 1p "$logs/said")
}

# stands_still BEFORE: the guest's clock went on by less than a minute, the host's by an hour.
stands_still()
{
	tick
	check "the host's hour passed in $((now - began)) s" test $((now - began)) -ge $HOUR
	seconds
	check "an hour was $((uptime - $1)) s to the guest" test $((uptime - $1)) -lt 60
	# and it goes on at its pace
	before=$uptime
	ask g 'sleep 5'
	seconds
	check "5 s took $((uptime - before)) s" test $((uptime - before)) -ge 5 -a $((uptime - before)) -lt 60
}

boot()
{
	start g lkvm.shell=plain --cpus 2
	wait_for g '^lkvm-guest: ready'
	seconds
	first=$uptime
	tick
	began=$now
}

case_guest_clock_stands_still_while_paused()
{
	boot
	"$lkvm" pause g
	sleep $HOUR
	"$lkvm" resume g
	stands_still "$first"
}

case_guest_clock_stands_still_while_saved()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	sleep $HOUR
	restore g "$tmp/s"
	wait_listening g
	stands_still "$first"
}
