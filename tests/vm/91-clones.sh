# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: machines restored from one snapshot are told that they are not the only one
# guests: all
# timeout: 400

message='crng reseeded due to virtual machine fork'

# clone NAME FILE [OPTION...]: one more machine from a snapshot, on a console of its own.
clone()
{
	mkfifo "$tmp/$1.in"
	: >"$logs/$1.out"
	restore "$@"
	wait_listening "$1"
}

# draws GUEST: it goes on, and the first that it does is to take 64 random bytes from its kernel, as text in $drawn.
draws()
{
	input "$1" 'head -c 64 /dev/urandom | od -An -v -tx1 | tr -d " \n"; echo " drawn"'
	"$lkvm" resume "$1" || fail "resume"
	wait_for "$1" '^[0-9a-f]{128} drawn'
	drawn=$(sed -n 's/ drawn\r*$//p' "$logs/$1.out")
}

# told GUEST TIMES: that often its kernel heard that it is another machine. Linux 6.1 has no driver for that.
told()
{
	[ "$guest" != 6.1 ] || set -- "$1" 0
	ask "$1" "dmesg | grep -c '$message'"
	check "$1 was told $(cat "$logs/said") times, not $2" test "$(cat "$logs/said")" = "$2"
}

# No driver listens yet, and Linux's does not bear an interrupt that waits for it.
case_clone_is_notified_only_after_the_guest_started()
{
	start g lkvm.shell=plain --paused
	wait_listening g
	save g "$tmp/s" --stop
	wait_exit g 0
	clone a "$tmp/s"
	wait_for a '^lkvm-guest: ready'
	told a 0
	save a "$tmp/t" --stop
	clone b "$tmp/t"
	told b 1
}

case_clones_draw_different_random_numbers()
{
	start g lkvm.shell=plain
	wait_for g '^lkvm-guest: ready'
	told g 0
	save g "$tmp/s" --stop
	wait_exit g 0
	clone a "$tmp/s" --paused
	clone b "$tmp/s" --paused
	draws a
	of_a=$drawn
	draws b
	[ "$guest" = 6.1 ] || check "both drew $drawn" test "$of_a" != "$drawn"
	told a 1
	told b 1
	# The clone of a clone is a third one.
	save a "$tmp/t" --stop
	clone c "$tmp/t"
	told c 2
}
