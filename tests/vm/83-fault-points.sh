# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: each step of a save and of a restore fails many times; no attempt succeeds, no file is left, and the guest continues
# soak: more
# timeout: 3600

kernel=$programs/hello.bin
# $rounds is the number of failures of each step. The soak test takes an hour.
rounds=2
[ "$times" = 1 ] || rounds=200

# fault_points SEQUENCE: prints the steps of the sequence. A unit test compares the list with the program.
fault_points() { sed -n "s,^$1/,,p" "$here/fault-points"; }

boot()
{
	start g '' --nodefaults --network mode=none --mem 64
	wait_for g '^hello: loaded'
}

ends_as_it_should()
{
	input g 'knock knock'
	wait_for g '^hello: you said "knock knock"'
	wait_exit g 0
}

case_save_fails_at_each_step()
{
	mkdir "$tmp/folder"
	attempts=0
	for step in $(fault_points save); do
		export LKVM_FAULT="save/$step"
		boot
		unset LKVM_FAULT
		n=0
		while [ $n -lt $rounds ]; do
			n=$((n + 1))
			# Only a point-in-time save takes RAM (take). Other saves copy RAM (copy), and then write the
			# pages that changed (ram).
			case $step-$((n % 4)) in
			take-*) way=--live=point-in-time ;;
			copy-* | ram-*) way=--stop ;;
			*-0) way=--live=rounds ;;
			*-1) way=--live=point-in-time ;;
			*-2) way='--stop --compress' ;;
			*-3) way=--stop ;;
			esac
			# shellcheck disable=SC2086 # one or two options
			run "$lkvm" snapshot save $way g "$tmp/folder/s"
			check "$step, save $n $way: exit status $status, not 1" test "$status" = 1
			check_err "at $step"
			check "$step, save $n $way: the failed save left a file" test -z "$(ls -A "$tmp/folder")"
			attempts=$((attempts + 1))
		done
		ends_as_it_should
	done
	echo "$attempts saves failed"
	check "the list has no step of a save" test $attempts -gt 0
}

case_restore_fails_at_each_step()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	sum=$(md5sum <"$tmp/s")
	attempts=0
	for step in $(fault_points restore); do
		n=0
		while [ $n -lt $rounds ]; do
			n=$((n + 1))
			ram=--no-verify
			[ $((n % 2)) = 0 ] || ram=--eager
			run env LKVM_FAULT="restore/$step" timeout 60 "$lkvm" snapshot restore "$tmp/s" $ram
			check "$step, restore $n $ram: exit status $status, not 1" test "$status" = 1
			check_err "at $step"
			attempts=$((attempts + 1))
		done
		check "lkvm list shows a guest after the failed restores" test -z "$("$lkvm" list --quiet)"
		check "a failed restore changed the snapshot" test "$(md5sum <"$tmp/s")" = "$sum"
	done
	echo "$attempts restores failed"
	check "the list has no step of a restore" test $attempts -gt 0
	restore g "$tmp/s"
	wait_listening g
	ends_as_it_should
}

# The sixth such save once reported success. The file had no commit record, and the guest had ended.
case_guest_keeps_running_when_save_stop_has_no_space()
{
	mkdir "$tmp/folder"
	mount -t tmpfs small "$tmp/folder"
	boot
	save g "$tmp/folder/s"
	pages=$(du -k "$tmp/folder/s" | awk '{ print int($1 / 4) }')
	rm "$tmp/folder/s"
	n=0
	while [ $n -lt $((times == 1 ? 5 : 100)) ]; do
		n=$((n + 1))
		# The space ends directly before the commit record, or at a page before it.
		mount -o remount,size=$(((pages - 1 - n * n % pages) * 4 + 4))k "$tmp/folder"
		run "$lkvm" snapshot save --stop g "$tmp/folder/s"
		[ "$status" != 0 ] || break
		check_err 'No space left'
		check "save $n: the failed save left a file" test ! -e "$tmp/folder/s"
	done
	check "save $n: exit status $status, not 1" test "$status" = 1
	ends_as_it_should
	umount "$tmp/folder"
}
