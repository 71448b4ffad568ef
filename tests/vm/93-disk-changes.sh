# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a snapshot and its disks: a restore refuses disks that were written after the save
# timeout: 600

# boot_with_disk: starts a guest that writes to its disk of 16 MiB.
boot_with_disk()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --disk "$tmp/d"
	wait_for g '^lkvm-guest: ready'
	write_disk g 100 A
}

# write_disk GUEST SECTOR LETTER: the guest fills the sector with LETTER.
write_disk()
{
	ask "$1" "head -c 512 /dev/zero | tr '\\0' $3 >/tmp/x; dd if=/tmp/x of=/dev/vda seek=$2 conv=fsync oflag=direct 2>/dev/null"
	check_status 0
}

# expect_letter GUEST SECTOR LETTER: the guest finds LETTER in the sector.
expect_letter()
{
	ask "$1" "dd if=/dev/vda skip=$2 count=1 iflag=direct 2>/dev/null | tr '\\0' 0 | tr -s 0A-Z; echo"
	check "sector $2 has $(cat "$logs/said"), not $3" grep -qx "$3" "$logs/said"
}

stop_guest()
{
	run "$lkvm" stop --force "$1"
	check_status 0
	wait_exit "$1" 0
}

refuses()
{
	run timeout 60 "$lkvm" snapshot restore "$@"
	check_status 1
	check_err "disk $tmp/d was written after the snapshot was saved: last written at 20.*, then at 20.*--disks-changed=allow"
	check "lkvm list shows a guest after the refused restore" test -z "$("$lkvm" list --quiet)"
}

case_restore_refuses_disk_when_guest_wrote_it_after_save()
{
	boot_with_disk
	save g "$tmp/s"
	check_out '^The snapshot is valid only for the guest.s disks as they are now'
	cp -p "$tmp/d" "$tmp/copy"
	write_disk g 30001 B
	stop_guest g
	sum=$(md5sum <"$tmp/d")
	run "$lkvm" snapshot verify "$tmp/s"
	check_status 0
	check_out "disk0: advice: disk $tmp/d was written after the snapshot was saved"
	run "$lkvm" snapshot verify --disks "$tmp/s"
	check_status 1
	check_out "disk0: disk $tmp/d was written after the snapshot was saved"
	run "$lkvm" snapshot info "$tmp/s"
	check_out 'changed'
	refuses "$tmp/s" --name g
	refuses "$tmp/s" --name g --disk-overlay "$tmp/overlays"
	check "the refused restore left an overlay" test -z "$(ls "$tmp/overlays")"
	refuses "$tmp/s" --name g --disks-changed=refuse
	check "a refused restore changed the disk" test "$(md5sum <"$tmp/d")" = "$sum"

	# The disk is as it was at the save.
	mv "$tmp/d" "$tmp/later"
	cp -p "$tmp/copy" "$tmp/d"
	restore g "$tmp/s"
	wait_listening g
	expect_letter g 100 A
	expect_letter g 30001 0
	stop_guest g
	check "the restore of the unchanged disk printed a message" test ! -s "$logs/g.err"

	# The user allows the changed disk.
	mv "$tmp/later" "$tmp/d"
	restore g "$tmp/s" --disks-changed=allow
	wait_listening g
	expect_letter g 30001 B
	stop_guest g
	check "the restore did not warn" grep -q "warning: disk $tmp/d was written after the snapshot was saved" "$logs/g.err"
	touch "$tmp/copy"
	: >"$logs/g.err"
	restore g "$tmp/s" --disk "$tmp/copy"
	wait_listening g
	expect_letter g 30001 0
	stop_guest g
	check "the restore did not warn" grep -q "warning: disk $tmp/copy was written after .*copy without its times" "$logs/g.err"
}

# A second restore would find the data that the first restored guest wrote.
case_restore_refuses_disk_when_restored_guest_wrote_it()
{
	boot_with_disk
	save g "$tmp/s" --live --stop
	check "save --stop printed a condition on disks that no guest writes" test "$(grep -c 'valid only' "$logs/run.out")" = 0
	wait_exit g 0
	for _ in 1 2; do
		restore g "$tmp/s" --paused
		wait_listening g
		stop_guest g
	done
	restore g "$tmp/s"
	wait_listening g
	expect_letter g 100 A
	write_disk g 5 C
	stop_guest g
	refuses "$tmp/s" --name g

	# lkvm refuses other forms of the file, too.
	run "$lkvm" snapshot merge --compress "$tmp/s" "$tmp/compressed"
	check_status 0
	refuses "$tmp/compressed" --name g
}

case_restore_refuses_overlay_when_it_was_written()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --disk "$tmp/d" --disk-overlay "$tmp/overlays"
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/empty"
	write_disk g 100 A
	save g "$tmp/s"
	cp -p "$tmp/overlays/g-disk0.overlay" "$tmp/copy"
	write_disk g 100 B
	stop_guest g
	for snapshot in "$tmp/empty" "$tmp/s"; do
		run timeout 60 "$lkvm" snapshot restore "$snapshot" --name g
		check_status 1
		check_err "overlay $tmp/overlays/g-disk0.overlay was written after the snapshot was saved"
	done
	cp -p "$tmp/copy" "$tmp/overlays/g-disk0.overlay"
	restore g "$tmp/s"
	wait_listening g
	expect_letter g 100 A
	stop_guest g

	cp -p "$tmp/copy" "$tmp/overlays/g-disk0.overlay"
	printf x | dd of="$tmp/d" conv=notrunc 2>/dev/null
	refuses "$tmp/s" --name g

	# A new machine does not accept the overlay over another base either.
	run timeout 60 "$lkvm" run --name g --kernel "$kernel" --disk "$tmp/d" --disk-overlay "$tmp/overlays"
	check_status 1
	check_err "disk $tmp/d was written after overlay $tmp/overlays/g-disk0.overlay was made: last written at 20.*=allow"
	start g lkvm.shell=plain --disk "$tmp/d" --disk-overlay "$tmp/overlays" --disks-changed=allow
	wait_for g '^lkvm-guest: ready'
	expect_letter g 100 A
	check "lkvm run did not warn about the changed base" grep -q "warning: disk $tmp/d was written after overlay" "$logs/g.err"
}

# The guest never wrote to the disk, so it cannot have lost data.
case_restore_takes_read_only_disk_when_it_was_written()
{
	truncate -s 1M "$tmp/d"
	start g lkvm.shell=plain --disk "$tmp/d,ro"
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/s" --stop
	wait_exit g 0
	touch "$tmp/d"
	restore g "$tmp/s"
	wait_listening g
	ask g 'echo alive'
	check "the restored guest does not run" grep -qx alive "$logs/said"
}

# start_with_disks GUEST OPTION... : starts a guest with two writable disks and a read-only disk.
start_with_disks()
{
	start "$@" lkvm.shell=plain --cpus 2 --disk "$tmp/d" --disk "$tmp/r,ro" --disk "$tmp/e"
	wait_for "$1" '^lkvm-guest: ready'
}

# expect_clone FILE LETTER: another guest, which is restored from FILE with new overlays, finds LETTER.
clones=0
expect_clone()
{
	clones=$((clones + 1))
	rm -f "$tmp/h.in"
	mkfifo "$tmp/h.in"
	restore h "$1" --disk-overlay "$tmp/clone$clones"
	wait_listening h
	expect_letter h 100 "$2"
	write_disk h 100 X
	stop_guest h
}

# The snapshot and the running guest both have the right data, for each way to save RAM, and with overlays over
# overlays.
case_save_switches_running_guest_to_overlays()
{
	truncate -s 16M "$tmp/d" "$tmp/e"
	truncate -s 1M "$tmp/r"
	start_with_disks g
	write_disk g 100 A
	for way in plain rounds point-in-time; do
		case $way in
		plain) folder=$tmp/1 letter=B; save g "$tmp/s1" --disk-overlays "$folder" ;;
		rounds) folder=$tmp/2 letter=C; save g "$tmp/s2" --live=$way --disk-overlays "$folder" ;;
		*) folder=$tmp/3 letter=D; save g "$tmp/s3" --live=$way --disk-overlays "$folder" ;;
		esac
		check_out "^The guest now writes to new overlays in $folder; the overlays and the snapshot need the disks unchanged"
		check "the overlays are $(ls "$folder")" test "$(ls "$folder")" = "$(printf 'g-disk0.overlay\ng-disk2.overlay')"
		write_disk g 100 "$letter"
		run "$lkvm" stat g
		check_out "overlay.*$folder/g-disk0.overlay"
		for file in "$tmp"/[1-3]/g-disk0.overlay; do
			run "$lkvm" snapshot save g "$file"
			check_status 1
			check_err 'a disk of the guest'
		done
	done
	sum=$(cat "$tmp"/[12]/* "$tmp/d" | md5sum)

	# Clones of each save run while the guest continues.
	expect_clone "$tmp/s1" A
	expect_clone "$tmp/s2" B
	expect_clone "$tmp/s3" C
	expect_letter g 100 D
	stop_guest g
	check "a guest changed a file under the last overlay" test "$(cat "$tmp"/[12]/* "$tmp/d" | md5sum)" = "$sum"
}

# The guest's next boot finds the data in overlays over overlays. No guest starts when one of the overlays is missing.
case_run_opens_overlays_over_overlays()
{
	boot_with_disk
	save g "$tmp/s1" --disk-overlays "$tmp/1"
	write_disk g 101 B
	save g "$tmp/s2" --disk-overlays "$tmp/2"
	write_disk g 102 C
	stop_guest g
	run timeout 60 "$lkvm" run --name g --kernel "$kernel" --disk "$tmp/d" --disk-overlay "$tmp/2"
	check_status 1
	check_err "disk $tmp/d (is older|has other contents|was written)"
	run timeout 60 "$lkvm" run --name g --kernel "$kernel" --disk "$tmp/d" --disk-overlay "$tmp/none" --disk-overlay "$tmp/2"
	check_status 1
	check_err "folder $tmp/none: No such file or directory"
	start g lkvm.shell=plain --disk "$tmp/d" --disk-overlay "$tmp/1" --disk-overlay "$tmp/2"
	wait_for g '^lkvm-guest: ready'
	expect_letter g 100 A
	expect_letter g 101 B
	expect_letter g 102 C
	stop_guest g

	# The first snapshot is restored without an overlay, and the guest writes to the disk under the overlays. lkvm
	# refuses everything that needs this disk.
	restore g "$tmp/s1"
	wait_listening g
	expect_letter g 101 0
	write_disk g 5 X
	stop_guest g
	refuses "$tmp/s2" --name g
	run timeout 60 "$lkvm" run --name g --kernel "$kernel" --disk "$tmp/d" --disk-overlay "$tmp/1" --disk-overlay "$tmp/2"
	check_status 1
	check_err "disk $tmp/d was written after overlay $tmp/1/g-disk0.overlay was made"
}

# lkvm finds all possible errors before it switches the guest to the overlays. After the switch the guest keeps the
# overlays, and the message states this.
case_save_leaves_disks_and_no_overlay_when_it_fails()
{
	boot_with_disk
	mkdir "$tmp/there"
	: >"$tmp/there/g-disk0.overlay"
	run "$lkvm" snapshot save --disk-overlays "$tmp/there" g "$tmp/s"
	check_status 1
	check_err 'overlay g-disk0.overlay already exists: choose another folder'
	check "the failed save removed an overlay that already existed" test -e "$tmp/there/g-disk0.overlay"
	run "$lkvm" snapshot save --stop --disk-overlays "$tmp/new" g "$tmp/s"
	check_status 1
	check_err '--stop ends the guest, which could not use them'
	run "$lkvm" snapshot save --disk-overlays "$tmp/not/there" g "$tmp/s"
	check_status 1
	check_err "cannot make the folder $tmp/not/there: No such file or directory"
	run "$lkvm" snapshot save --disk-overlays "$tmp/d" g "$tmp/s"
	check_status 1
	check_err "--disk-overlays: $tmp/d: Not a directory"

	mkdir "$tmp/small"
	mount -t tmpfs -o size=4m small "$tmp/small"
	run "$lkvm" snapshot save --disk-overlays "$tmp/new" g "$tmp/small/s"
	check_status 1
	check "the failed save left its folder of overlays" test ! -e "$tmp/new"
	rm -f "$tmp/small/"*
	dd if=/dev/zero of="$tmp/small/full" bs=64k 2>/dev/null || true
	run "$lkvm" snapshot save --disk-overlays "$tmp/small" g "$tmp/s"
	check_status 1
	check_err 'overlay .*/small/g-disk0.overlay: no file of .* bytes can be made there: No space left on device'
	check "the failed save left a file" test "$(ls "$tmp/small")" = full
	umount "$tmp/small"
	check "the failed saves left a snapshot" test ! -e "$tmp/s"
	write_disk g 5 C
	stop_guest g
	check "the guest did not write to its disk" test "$(dd if="$tmp/d" skip=5 count=1 2>/dev/null | head -c 1)" = C

	start g lkvm.shell=plain --disk "$tmp/d,ro"
	wait_for g '^lkvm-guest: ready'
	run "$lkvm" snapshot save --disk-overlays "$tmp/new" g "$tmp/s"
	check_status 1
	check_err 'has no writable disk'
	stop_guest g

	LKVM_FAULT=save/commit start g lkvm.shell=plain --disk "$tmp/d"
	wait_for g '^lkvm-guest: ready'
	run "$lkvm" snapshot save --disk-overlays "$tmp/new" g "$tmp/s"
	check_status 1
	check_err 'no snapshot was made, but the guest now writes to the new overlays'
	write_disk g 5 D
	expect_letter g 5 D
	stop_guest g
	check "the guest wrote to its disk under the overlay" test "$(dd if="$tmp/d" skip=5 count=1 2>/dev/null | head -c 1)" = C
	start g lkvm.shell=plain --disk "$tmp/d" --disk-overlay "$tmp/new"
	wait_for g '^lkvm-guest: ready'
	expect_letter g 5 D
}
