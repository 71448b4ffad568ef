# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a snapshot and its disks: a restore refuses disks that were written after the save
# timeout: 600

# A guest that wrote its disk of 16 MiB.
boot_with_disk()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --disk "$tmp/d"
	wait_for g '^lkvm-guest: ready'
	write_disk g 100 A
}

# write_disk GUEST SECTOR LETTER
write_disk()
{
	ask "$1" "head -c 512 /dev/zero | tr '\\0' $3 >/tmp/x; dd if=/tmp/x of=/dev/vda seek=$2 conv=fsync oflag=direct 2>/dev/null"
	check_status 0
}

# expect_letter GUEST SECTOR LETTER
expect_letter()
{
	ask "$1" "dd if=/dev/vda skip=$2 count=1 iflag=direct 2>/dev/null | tr '\\0' 0 | tr -s 0A-Z; echo"
	check "sector $2 is $(cat "$logs/said"), not $3" grep -qx "$3" "$logs/said"
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
	check "something runs" test -z "$("$lkvm" list --quiet)"
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
	refuses "$tmp/s" --name g
	refuses "$tmp/s" --name g --disk-overlay "$tmp/overlays"
	check "an overlay is there" test -z "$(ls "$tmp/overlays")"
	refuses "$tmp/s" --name g --disks-changed=refuse
	check "the disk changed" test "$(md5sum <"$tmp/d")" = "$sum"

	# As it was then.
	mv "$tmp/d" "$tmp/later"
	cp -p "$tmp/copy" "$tmp/d"
	restore g "$tmp/s"
	wait_listening g
	expect_letter g 100 A
	expect_letter g 30001 0
	stop_guest g
	check "it said something" test ! -s "$logs/g.err"

	# As the user says.
	mv "$tmp/later" "$tmp/d"
	restore g "$tmp/s" --disks-changed=allow
	wait_listening g
	expect_letter g 30001 B
	stop_guest g
	check "no warning" grep -q "warning: disk $tmp/d was written after the snapshot was saved" "$logs/g.err"
	touch "$tmp/copy"
	: >"$logs/g.err"
	restore g "$tmp/s" --disk "$tmp/copy"
	wait_listening g
	expect_letter g 30001 0
	stop_guest g
	check "no warning" grep -q "warning: disk $tmp/copy was written after .*copy without its times" "$logs/g.err"
}

# The second restore would find what the first one wrote.
case_restore_refuses_disk_when_restored_guest_wrote_it()
{
	boot_with_disk
	save g "$tmp/s" --live --stop
	check "it speaks of disks that nobody writes" test "$(grep -c 'valid only' "$logs/run.out")" = 0
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

	# Other forms of the file say the same.
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

	# Nor does a new machine take the overlay over another base.
	run timeout 60 "$lkvm" run --name g --kernel "$kernel" --disk "$tmp/d" --disk-overlay "$tmp/overlays"
	check_status 1
	check_err "disk $tmp/d was written after overlay $tmp/overlays/g-disk0.overlay was made: last written at 20.*=allow"
	start g lkvm.shell=plain --disk "$tmp/d" --disk-overlay "$tmp/overlays" --disks-changed=allow
	wait_for g '^lkvm-guest: ready'
	expect_letter g 100 A
	check "no warning" grep -q "warning: disk $tmp/d was written after overlay" "$logs/g.err"
}

# The guest cannot have lost what it never wrote.
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
	check "it does not go on" grep -qx alive "$logs/said"
}
