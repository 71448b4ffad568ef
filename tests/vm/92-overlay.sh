# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: clones from one snapshot, each with an overlay over the disk: what they write, what they keep, and what does not change
# timeout: 600

sum() { sha1sum "$1" | cut -c1-40; }

# No clone may change the snapshot and its disks. The first case makes them, and all cases use them.
snapshot=$kept_guests/$case_file-snapshot disk=$kept_guests/$case_file-disk

# make_snapshot: saves and ends a guest. It has a disk of 32 MiB, whose first half it wrote, and a read-only disk.
make_snapshot()
{
	truncate -s 32M "$disk"
	dd if=/dev/urandom of="$disk.ro" bs=1M count=1 2>/dev/null
	start g lkvm.shell=plain --cpus 2 --disk "$disk,queues=2" --disk "$disk.ro,ro"
	wait_for g '^lkvm-guest: ready'
	ask g 'for i in $(seq 256); do head -c 65536 /dev/zero | tr "\0" o; done >/dev/vda; sync'
	check_status 0
	save g "$snapshot" --stop
	wait_exit g 0
	sum "$disk" >"$disk.sum"
}

have_snapshot()
{
	[ -e "$disk.sum" ] || make_snapshot
	before=$(cat "$disk.sum")
}

# another NAME FILE [OPTION...]: restores a guest with a console of its own.
another()
{
	rm -f "$tmp/$1.in"
	mkfifo "$tmp/$1.in"
	restore "$@"
	wait_listening "$1"
}

clone() { another "$1" "$snapshot" --disk-overlay "$tmp/overlays"; }

# says GUEST COMMAND TEXT: the output of COMMAND has the line TEXT.
says() { ask "$1" "$2"; check "$1: the output of \"$2\" has no line \"$3\": $(cat "$logs/said")" grep -qx -- "$3" "$logs/said"; }

forget='echo 3 >/proc/sys/vm/drop_caches'

# letters FIRST COUNT: a command that prints the letters in a range of the disk. FIRST and COUNT are in sectors.
letters() { printf %s "$forget; dd if=/dev/vda bs=512 skip=$1 count=$2 2>/dev/null | tr '\\0' 0 | tr -s 0oAB; echo"; }

# write GUEST LETTER: writes from sector 1000 on, to parts of blocks, and across the border between written and
# unwritten blocks of the base.
write()
{
	ask "$1" "dd if=/dev/zero bs=512 count=9 2>/dev/null | tr '\\0' $2 >/tmp/x"
	for at in 1000 32764 60000; do
		ask "$1" "dd if=/tmp/x of=/dev/vda bs=512 seek=$at conv=fsync oflag=direct 2>/dev/null"
		check_status 0
	done
}

expect_written()
{
	for at in 1000 32764 60000; do
		says "$1" "$(letters $at 9)" "$2"
	done
}

case_clones_write_only_their_overlays()
{
	have_snapshot
	clone a
	clone b
	write a A
	write b B
	expect_written a A
	expect_written b B
	for c in a b; do
		says $c "$(letters 0 1000)" o
		says $c "$(letters 1009 31000)" o
		says $c "$(letters 60009 5000)" 0
	done
	check "a clone changed the base disk" test "$(sum "$disk")" = "$before"
	check "the read-only disk has an overlay" test "$(ls "$tmp/overlays")" = "$(printf 'a-disk0.overlay\nb-disk0.overlay')"
	run "$lkvm" stat a
	check_out 'overlay.*/a-disk0.overlay'

	# lkvm refuses a guest that would write to the disk under the overlays. It also refuses a restore of the
	# snapshot that would use the disk without an overlay.
	run "$lkvm" run --kernel "$kernel" --disk "$disk"
	check_status 1
	check_err 'in use by another VM'
	run "$lkvm" snapshot restore "$snapshot" --name a2
	check_status 1
	check_err 'in use by another VM'

	# Data of the base does not reappear after its blocks are discarded.
	ask a 'blkdiscard -o 512000 -l 4096 /dev/vda'
	check_status 0
	says a "$(letters 1000 8)" 0
	says a "$(letters 1008 1)" A
	says b "$(letters 1000 8)" B

	# A reset does not change the disk.
	run "$lkvm" reboot --force a
	check_status 0
	wait_for a 'lkvm-guest: ready'
	says a "$(letters 1000 8)" 0
	says a "$(letters 32764 9)" A
	for c in a b; do
		input $c 'poweroff -f'
		wait_exit $c 0
	done
	check "a clone changed the base disk" test "$(sum "$disk")" = "$before"
}

# The restored clone uses base and overlay, whether its lkvm was killed or stopped.
case_clone_is_restored_with_base_and_overlay()
{
	have_snapshot
	clone a
	ask a "dd if=/dev/zero bs=4096 count=64 2>/dev/null | tr '\\0' A >/tmp/x; dd if=/tmp/x of=/dev/vda bs=4096 oflag=direct 2>/dev/null"
	check_status 0
	save a "$tmp/second"
	kill -9 "$(pid a)"
	wait_exit a 137
	run "$lkvm" snapshot info "$tmp/second"
	check_out 'overlay.*/a-disk0.overlay'
	restore a "$tmp/second"
	wait_listening a
	says a "$(letters 0 512)" A
	says a "$(letters 512 512)" o
	run "$lkvm" stop --force a
	wait_exit a 0
	run "$lkvm" snapshot restore "$tmp/second" --disk-overlay "$tmp/overlays"
	check_status 1
	check_err 'disk 0 has the overlay .*a-disk0.overlay already: choose another folder'
	layer=$(sum "$tmp/overlays/a-disk0.overlay")
	another b "$tmp/second" --disk-overlay "$tmp/overlays"
	says b "$(letters 0 512)" A
	write b B
	run "$lkvm" stop --force b
	wait_exit b 0
	check "a clone changed the snapshot's overlay" test "$(sum "$tmp/overlays/a-disk0.overlay")" = "$layer"
	check "a clone changed the base disk" test "$(sum "$disk")" = "$before"

	# A machine that starts without a snapshot also uses base and overlay.
	start a lkvm.shell=plain --disk "$disk" --disk-overlay "$tmp/overlays"
	wait_for a '^lkvm-guest: ready'
	says a "$(letters 0 512)" A
	says a "$(letters 512 512)" o
	input a 'poweroff -f'
	wait_exit a 0
}

case_restore_refuses_overlay_that_cannot_be_made()
{
	have_snapshot
	clone a
	write a A
	run "$lkvm" stop --force a
	wait_exit a 0
	run "$lkvm" snapshot restore "$snapshot" --name a --disk-overlay "$tmp/overlays"
	check_status 1
	check_err 'a-disk0.overlay already exists'
	run "$lkvm" snapshot restore "$snapshot" --name a --disk-overlay "$tmp/no/where"
	check_status 1
	check_err 'cannot make the folder'
	run "$lkvm" snapshot restore "$snapshot" --name a --disk-overlay "$disk"
	check_status 1
	check_err 'cannot open overlay'

	# A restore that fails later leaves no overlay that would stop the next restore.
	run env LKVM_FAULT=restore/its-tables timeout 60 "$lkvm" snapshot restore "$snapshot" --name b --disk-overlay "$tmp/overlays"
	check_status 1
	clone b
	write b B
	expect_written b B
}

# The host has no space left. The request fails, and everything else continues.
case_clone_keeps_running_when_its_overlay_has_no_space()
{
	have_snapshot
	mkdir "$tmp/overlays"
	mount -t tmpfs -o size=4m small "$tmp/overlays"
	clone a
	ask a 'dd if=/dev/urandom of=/dev/vda bs=1M count=16 conv=fsync 2>/dev/null'
	check "a write of 16 MiB to a file system of 4 MiB did not fail" test "$status" != 0
	says a 'echo alive' alive
	says a "$(letters 32000 100)" o
	# The overlay lacks data that lkvm reported to the guest as written. A snapshot would not match the disk.
	run "$lkvm" snapshot save --stop a "$tmp/full"
	check_status 1
	check_err 'disk .*/overlays/.* cannot be written: No space left'
	check "the failed save left a file" test ! -e "$tmp/full"
	says a 'echo alive' alive
	run "$lkvm" stop --force a
	wait_exit a 0
	umount "$tmp/overlays"
	check "the clone changed the base disk" test "$(sum "$disk")" = "$before"
}

# The driver that runs keeps the address that it has. A driver that binds to the device again reads the new address.
case_mac_address_changes_when_a_restore_replaces_it()
{
	start g lkvm.shell=plain --network mode=tap,tapif=lk0,mac=02:00:00:00:00:01
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/snapshot" --stop
	wait_exit g 0
	restore g "$tmp/snapshot" --network mode=tap,tapif=lk1,mac=02:00:00:00:00:02
	wait_listening g
	says g 'cat /sys/class/net/eth0/address' 02:00:00:00:00:01
	ask g 'cd /sys/bus/virtio/drivers/virtio_net; d=$(ls -d virtio*); echo $d >unbind; echo $d >bind'
	check_status 0
	says g 'cat /sys/class/net/eth0/address' 02:00:00:00:00:02

	# From now on, the machine keeps the new address.
	save g "$tmp/second" --stop
	wait_exit g 0
	another h "$tmp/second"
	run "$lkvm" reboot --force h
	check_status 0
	wait_for h '^lkvm-guest: ready'
	says h 'cat /sys/class/net/eth0/address' 02:00:00:00:00:02
}
