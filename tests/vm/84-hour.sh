# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: a guest's clock does not advance during an hour in which the guest is paused or saved
# clock: counted
# timeout: 15000

HOUR=3600

seconds()
{
	ask g 'cut -d. -f1 /proc/uptime; date +%s'
	uptime=$(sed -n 1p "$logs/said")
}

# stands_still BEFORE: the guest's clock advanced by less than a minute, and the host's clock by an hour.
stands_still()
{
	tick
	check "the host's clock advanced by only $((now - began)) s, not by an hour" test $((now - began)) -ge $HOUR
	seconds
	check "the guest's clock advanced by $((uptime - $1)) s during the hour" test $((uptime - $1)) -lt 60
	# After that, the guest's clock runs at its normal rate.
	before=$uptime
	ask g 'sleep 5'
	seconds
	check "5 s took $((uptime - before)) s by the guest's clock" test $((uptime - before)) -ge 5 -a $((uptime - before)) -lt 60
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
