# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: machines that are restored from one snapshot are notified that they are clones
# guests: all
# timeout: 400

message='crng reseeded due to virtual machine fork'

# clone NAME FILE [OPTION...]: restores one more machine from a snapshot, with a console of its own.
clone()
{
	mkfifo "$tmp/$1.in"
	: >"$logs/$1.out"
	restore "$@"
	wait_listening "$1"
}

# draws GUEST: resumes the guest. The guest first reads 64 random bytes from its kernel. $drawn has them as text.
draws()
{
	input "$1" 'head -c 64 /dev/urandom | od -An -v -tx1 | tr -d " \n"; echo " drawn"'
	"$lkvm" resume "$1" || fail "lkvm resume failed"
	wait_for "$1" '^[0-9a-f]{128} drawn'
	drawn=$(sed -n 's/ drawn\r*$//p' "$logs/$1.out")
}

# told GUEST TIMES: lkvm has notified the guest's kernel this many times that it is a clone. Linux 6.1 has no driver for
# that.
told()
{
	[ "$guest" != 6.1 ] || set -- "$1" 0
	ask "$1" "dmesg | grep -c '$message'"
	check "$1 was notified $(cat "$logs/said") times, not $2" test "$(cat "$logs/said")" = "$2"
}

# No driver listens yet. Linux's driver does not tolerate an interrupt that is already pending.
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
	[ "$guest" = 6.1 ] || check "both clones drew $drawn" test "$of_a" != "$drawn"
	told a 1
	told b 1
	# The clone of a clone is a third machine.
	save a "$tmp/t" --stop
	clone c "$tmp/t"
	told c 2
}
