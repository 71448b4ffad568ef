# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: guests continue from compressed memory, which is loaded while they run
# hosts: all
# once: balloon_and_reset_work_while_memory_is_loaded working_set_is_recorded_and_read_ahead vmm_ends_at_any_moment_while_memory_is_loaded
# timeout: 600

# compressed: saves and stops a guest with 32 MiB of data, whose checksum is in $sum, and compresses it to $tmp/s. The
# first case makes the snapshot for all cases.
compressed()
{
	kept=$kept_guests/$case_file-compressed
	if [ ! -e "$kept.sum" ]; then
		start g lkvm.shell=plain --cpus 2 --balloon
		wait_for g '^lkvm-guest: ready'
		ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=512 2>/dev/null; md5sum </tmp/data'
		sum=$(sed -n 's/ .*//p' "$logs/said")
		save g "$tmp/plain" --stop
		wait_exit g 0
		run "$lkvm" snapshot merge --compress "$tmp/plain" "$kept"
		check_status 0
		rm "$tmp/plain"
		echo "$sum" >"$kept.sum"
	fi
	sum=$(cat "$kept.sum")
	cp "$kept" "$tmp/s"
	[ -e "$tmp/g.in" ] || mkfifo "$tmp/g.in"
}

go_on()
{
	restore g "$tmp/s" "$@"
	wait_listening g
}

remembers()
{
	ask g 'md5sum </tmp/data'
	check "$1: the guest's memory changed" grep -q "^$sum " "$logs/said"
}

case_guest_continues_while_its_memory_is_loaded()
{
	compressed
	go_on --loglevel info
	remembers "lazy"
	check "lkvm loaded the memory before the guest ran" test "$(grep -c 'is loaded first' "$logs/g.err")" = 0
	# The guest is saved and inspected before all of its memory is loaded.
	"$lkvm" stop --force g
	wait_exit g 0
	go_on
	run "$lkvm" inspect g
	check_status 0
	save g "$tmp/s2" --stop
	wait_exit g 0
	run "$lkvm" snapshot diff "$tmp/s" "$tmp/s2"
	restore g "$tmp/s2"
	wait_listening g
	remembers "saved at once"
	"$lkvm" stop --force g
	wait_exit g 0
	go_on --eager
	remembers "eager"
	"$lkvm" stop --force g
	wait_exit g 0
	run "$lkvm" snapshot restore "$tmp/s" --prefault 0x8ffff000+8K
	check_status 1
	check_err '--prefault: 0x8ffff000-0x90001000 is not in RAM, which is 0x80000000-0x90000000'
	go_on --prefault 0x80000000-0x84000000 --prefault 0x8f000000+16M
	remembers "read ahead"
}

case_balloon_and_reset_work_while_memory_is_loaded()
{
	compressed
	go_on
	"$lkvm" balloon g 96M || fail "lkvm balloon failed"
	remembers "with a balloon"
	"$lkvm" balloon g 0 || fail "lkvm balloon failed"
	ask g 'dd if=/dev/zero of=/tmp/zeroes bs=64k count=1024 2>/dev/null; md5sum </tmp/zeroes; rm /tmp/zeroes'
	check "memory that the balloon gave back has wrong contents" grep -q '^7f614da9329cd3aebf59b91aadc30bf0 ' "$logs/said"
	remembers "after it"
	"$lkvm" stop --force g
	wait_exit g 0
	: >"$logs/g.out"
	go_on
	"$lkvm" reboot --force g || fail "lkvm reboot --force failed"
	wait_for g '^lkvm-guest: ready'
	ask g 'ls /tmp/data'
	check "the guest kept a file of its memory over the reset" test "$status" != 0
}

case_vmm_ends_at_any_moment_while_memory_is_loaded()
{
	compressed
	# lkvm is killed at different moments.
	for pause in 0 0.1 0.3 1; do
		rm -f "$tmp/g.pid"
		restore g "$tmp/s"
		until [ -s "$tmp/g.pid" ]; do sleep 0.05; done
		sleep "$pause"
		kill -9 "$(pid g)"
		wait_exit g 137
	done
	for step in vcpus its-tables forward; do
		run env LKVM_FAULT="restore/$step" timeout 60 "$lkvm" snapshot restore "$tmp/s"
		check_status 1
		check_err "$step"
	done
	go_on
	"$lkvm" stop --force g
	wait_exit g 0
	check "lkvm list still shows a guest" test -z "$("$lkvm" list --quiet)"
	# The damage is in the middle of a compressed frame of the guest's data.
	printf damage | dd of="$tmp/s" bs=1 seek=$(($(stat -c %s "$tmp/s") / 2)) conv=notrunc 2>/dev/null
	restore g "$tmp/s"
	wait_exit g 4
	check "the message does not state that RAM is damaged" grep -q "the snapshot $tmp/s: RAM is damaged: " "$logs/g.err"
	run "$lkvm" snapshot restore "$tmp/s" --name g --eager
	check_status 1
	check_err 'RAM is damaged: '
}

# set_of FILE: sets $set to the number of bytes in the working set of a snapshot.
set_of()
{
	run "$lkvm" snapshot info --json "$1"
	set=$(sed -n 's/.*"working_set": *\([0-9]*\).*/\1/p' "$logs/run.out")
}

refuses_set()
{
	run "$lkvm" snapshot save --working-set g "$tmp/no"
	check_status 1
	check_err "$1"
	check "the refused save left a file" test ! -e "$tmp/no"
}

recorded()
{
	wait_listening g
	tick
	end=$((now + 30))
	until "$lkvm" snapshot save --working-set "$@" g "$tmp/set.new" >"$logs/set.out" 2>&1; do
		check "save --working-set failed: $(cat "$logs/set.out")" grep -q 'save it later$' "$logs/set.out"
		tick
		[ "$now" -lt "$end" ] || fail "lkvm recorded no working set within 30 s"
		sleep 0.2
	done
	mv "$tmp/set.new" "$tmp/set"
	"$lkvm" snapshot verify "$tmp/set" >"$logs/verify.out" 2>&1 || fail "verify failed: $(head -n 3 "$logs/verify.out")"
	set_of "$tmp/set"
}

case_working_set_is_recorded_and_read_ahead()
{
	start g lkvm.shell=plain
	wait_for g '^lkvm-guest: ready'
	# The guest touches nothing of this data after the restore.
	ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=1024 2>/dev/null; md5sum </tmp/data'
	sum=$(sed -n 's/ .*//p' "$logs/said")
	refuses_set 'no working set was recorded: it was not restored'
	move g "$tmp/s" --paused
	set_of "$tmp/s"
	check "the snapshot has a working set without --working-set" test -z "$set"
	refuses_set 'in the first second after it resumes: save it later'
	"$lkvm" resume g || fail resume
	recorded --stop
	wait_exit g 0
	# An idle guest touches only a part of its kernel.
	check "the working set has $set bytes, which is too few or too many" test "$set" -gt 65536 -a "$set" -lt 50331648
	before=$set
	mv "$tmp/set" "$tmp/first"
	restore g "$tmp/first"
	# Memory that is read ahead does not count as touched, so lkvm can record the working set again.
	recorded
	check "the second working set has $set bytes, which is too few or too many" test "$set" -gt 65536 -a "$set" -lt 50331648
	rm "$tmp/set"
	remembers "with its working set"
	"$lkvm" stop --force g
	wait_exit g 0
	run "$lkvm" snapshot merge --compress "$tmp/first" "$tmp/small"
	check_status 0
	set_of "$tmp/small"
	check "the compressed snapshot's working set has $set bytes, not $before" test "$set" = "$before"
	restore g "$tmp/small"
	remembers "compressed, with its working set"
	refuses_set 'restore it with --prefault none and no range'
	"$lkvm" stop --force g
	wait_exit g 0
	# The working set of compressed memory is recorded, and saved with a base.
	restore g "$tmp/small" --prefault none
	recorded --base "$tmp/small"
	check "the working set has $set bytes, which is too few or too many" test "$set" -gt 65536 -a "$set" -lt 100663296
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/set"
	remembers "based on another one, with its working set"
	"$lkvm" stop --force g
	wait_exit g 0
	# A save in the first second touches all memory, so no working set is recorded.
	restore g "$tmp/s" --paused
	wait_listening g
	save g "$tmp/s2"
	"$lkvm" resume g || fail resume
	refuses_set 'it was saved or reset in its first second'
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s" --eager
	wait_listening g
	refuses_set 'with all of its memory loaded first'
}
