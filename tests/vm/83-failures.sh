# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: saves and restores that fail: the guest continues, no file is left, and a sentence states the reason
# timeout: 400

boot()
{
	start g lkvm.shell=plain "$@"
	wait_for g '^lkvm-guest: ready'
}

# save_fails REGEX: the save fails with a sentence that matches REGEX. It leaves no file, and the guest continues.
save_fails()
{
	run "$lkvm" snapshot save g "$tmp/folder/s"
	check_status 1
	check_err "$1"
	check "the failed save left a file" test -z "$(ls -A "$tmp/folder" 2>/dev/null)"
	ask g 'echo alive'
	check "the guest does not run after the failed save" grep -qx alive "$logs/said"
}

case_save_leaves_no_file_when_it_fails()
{
	mkdir "$tmp/folder"
	# 83-fault-points tests all steps. In this case the guest is Linux, which uses the ITS.
	export LKVM_FAULT=save/its-tables
	boot
	unset LKVM_FAULT
	save_fails its-tables
	"$lkvm" stop --force g
	wait_exit g 0
	boot
	mount -t tmpfs -o size=4m small "$tmp/folder"
	save_fails 'No space left'
	umount "$tmp/folder"
	rmdir "$tmp/folder"
	run "$lkvm" snapshot save g "$tmp/folder/s"
	check_status 1
	ask g 'echo alive'
	# The save command is killed before the save ends. No file is left, and the guest continues.
	mkdir "$tmp/folder"
	"$lkvm" snapshot save --stop g "$tmp/folder/s" >/dev/null 2>&1 &
	sleep 0.2
	kill -9 $!
	sleep 2
	check "the killed save left a file" test -z "$(ls -A "$tmp/folder")"
	ask g 'echo "still alive"'
	check "the guest does not run after the killed save" grep -qx 'still alive' "$logs/said"
}

restore_fails()
{
	regex=$1
	shift
	run env LKVM_FAULT="$fault" timeout 60 "$lkvm" snapshot restore "$tmp/s" "$@"
	check_status 1
	check_err "$regex"
	check "the failed restore changed the snapshot" test "$(md5sum <"$tmp/s")" = "$sum"
	check "lkvm list shows a guest after the failed restore" test -z "$("$lkvm" list --quiet)"
}

case_restore_leaves_snapshot_unchanged_when_it_fails()
{
	truncate -s 8M "$tmp/d"
	boot --disk "$tmp/d"
	save g "$tmp/s" --stop
	wait_exit g 0
	sum=$(md5sum <"$tmp/s")
	for step in its-tables forward; do
		fault=restore/$step
		restore_fails "$step"
	done
	fault=
	truncate -s 9M "$tmp/d"
	restore_fails 'disk .* has 9437184 bytes, but had 8388608'
	rm "$tmp/d"
	restore_fails 'cannot open disk'
	truncate -s 8M "$tmp/e"
	restore_fails 'the snapshot has 1 disks, not 2' --disk "$tmp/e" --disk "$tmp/e"
	cp "$tmp/s" "$tmp/whole"
	head -c 1000000 "$tmp/whole" >"$tmp/s"
	sum=$(md5sum <"$tmp/s")
	restore_fails 'no commit record'
	cp "$tmp/whole" "$tmp/s"
	restore g "$tmp/s" --disk "$tmp/e"
	wait_listening g
	ask g 'echo alive'
	check "the restored guest does not run" grep -qx alive "$logs/said"
}

# The guest overwrote its ITS's device table. A restore would fail, so the save fails, and the guest continues to run.
case_save_fails_when_a_restore_would_fail()
{
	kernel=$programs/overwrite.bin
	mkdir "$tmp/folder"
	start g '' --nodefaults --network mode=none --mem 64
	wait_for g '^overwrite: ready'
	for way in '' --stop --live --compress; do
		run "$lkvm" snapshot save $way g "$tmp/folder/s"
		check_status 1
		check_err 'its-check: .*\(device 0x0 at 0x[0-9a-f]+: .*--force'
		check "$way: the failed save left a file" test -z "$(ls -A "$tmp/folder")"
	done
	input g x
	wait_for g '^overwrite: got x'

	run "$lkvm" snapshot save --force --stop g "$tmp/folder/s"
	check_status 0
	check_err 'cannot be restored'
	wait_exit g 0
	for command in 'snapshot restore' 'snapshot verify'; do
		# shellcheck disable=SC2086 # two words
		run timeout 60 "$lkvm" $command "$tmp/folder/s"
		check_status 1
		cat "$logs/run.out" "$logs/run.err" >"$logs/both"
		check "$command does not name the device and its table" grep -q 'device 0x0 at 0x' "$logs/both"
	done
	run "$lkvm" snapshot info "$tmp/folder/s"
	check_status 0
	check_out '^restorable +no'
	check "lkvm list shows a guest after the failed restore" test -z "$("$lkvm" list --quiet)"
}
