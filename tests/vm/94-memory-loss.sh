# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: a guest's memory comes from a file that is damaged, cut or unreadable; the guest never runs on zeroes (tests/guest/scan.c)
# hosts: all
# once: message_lists_disks_that_were_written_since_the_restore
# once: file_is_named_when_medium_of_compressed_snapshot_has_errors
# soak: more
# timeout: 600

kernel=$programs/scan.bin
rounds=$((3 * times))

# restarted: saves the guest in $tmp/s, and restores it from there without a check.
restarted()
{
	run "$lkvm" snapshot save --stop g "$tmp/s"
	check_status 0
	wait_exit g 0
	restore g "$tmp/s" --verify=none
	wait_listening g
}

# saved: saves a guest in $tmp/plain. The guest scans its memory, and its disk has only zeroes.
saved()
{
	head -c 1048576 /dev/zero >"$tmp/disk"
	cp "$tmp/disk" "$tmp/zeroes"
	start g '' --disk "$tmp/disk" --nodefaults
	wait_for g '^scan: ready 1'
	run "$lkvm" snapshot save --stop g "$tmp/plain"
	check_status 0
	wait_exit g 0
	: >"$logs/g.err"
}

# nothing_lost WORDS: lkvm ended with a message that has WORDS. The guest saw no zeroes and wrote none.
nothing_lost()
{
	wait_exit g 4
	check "the message has no \"$1\": $(cat "$logs/g.err")" grep -Eq "$1" "$logs/g.err"
	check "the message has more than one sentence: $(cat "$logs/g.err")" test "$(wc -l <"$logs/g.err")" = 1
	check "the guest saw wrong memory: $(grep '^scan: 0x' "$logs/g.out")" test "$(grep -c '^scan: 0x' "$logs/g.out")" = 0
	cmp "$tmp/disk" "$tmp/zeroes" || fail "the guest changed its disk"
	check "lkvm left its control socket" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
	: >"$logs/g.err"
}

case_guest_never_sees_zeroes_when_compressed_snapshot_is_damaged()
{
	saved
	run "$lkvm" snapshot merge --compress "$tmp/plain" "$tmp/whole"
	check_status 0
	size=$(stat -c %s "$tmp/whole")
	for round in $(seq "$rounds"); do
		cp "$tmp/whole" "$tmp/s"
		printf 'damaged!' | dd of="$tmp/s" bs=1 seek=$((size * (20 + round * 37 % 75) / 100)) conv=notrunc 2>/dev/null
		restore g "$tmp/s"
		nothing_lost "the snapshot $tmp/s: RAM is damaged: .*; since the restore the guest wrote to no disk$"
	done
}

# When a file is cut, the rest of its last page becomes zeroes. When a file is overwritten, the guest sees other bytes.
# In both cases no access fails, so lkvm watches the file. The guest does not read the places of these two changes.
case_guest_never_sees_zeroes_when_plain_snapshot_is_cut()
{
	saved
	for size in 157286400 209715201; do
		cp "$tmp/plain" "$tmp/s"
		restore g "$tmp/s" --no-verify
		wait_listening g
		truncate -s $size "$tmp/s"
		nothing_lost "the snapshot $tmp/s became shorter while it was in use: it has $size bytes now, not "
	done
	cp "$tmp/plain" "$tmp/s"
	restore g "$tmp/s" --no-verify
	wait_listening g
	dd if=/dev/zero of="$tmp/s" bs=4096 seek=55000 count=1 conv=notrunc 2>/dev/null
	nothing_lost "the snapshot $tmp/s was written while it was in use"
}

# The vCPU does nothing. Only the kernel's vhost-net accesses the lost memory.
case_file_is_named_when_only_vhost_uses_lost_memory()
{
	kernel=$programs/idle.bin
	start g '' --nodefaults --network mode=tap,vhost=on
	wait_for g '^idle: ready 1'
	restarted
	run "$lkvm" stat g
	check_out 'vhost.*(yes|true|on)'
	ip addr add 10.9.0.1/24 dev "$(sed -n 's/^ *backend *//p' "$logs/run.out")"
	truncate -s $((128 * 1024 * 1024)) "$tmp/s"
	ping -c 5 10.9.0.2 >/dev/null 2>&1 || true
	wait_exit g 4 20
	check "no file name: $(cat "$logs/g.err")" grep -q "the snapshot $tmp/s became shorter while it was in use" "$logs/g.err"
}

# bad_medium MIB: makes a file system of that size in $medium, on a device in memory. go_bad makes the device's sectors
# unreadable.
bad_medium()
{
	null=/sys/kernel/config/nullb/nullb0
	modprobe null_blk nr_devices=0
	[ -d "${null%/*}" ] || mount -t configfs config /sys/kernel/config
	mkdir -p "$null"
	echo 0 >"$null/power"
	echo "$1" >"$null/size"
	echo 1 >"$null/memory_backed"
	echo 1 >"$null/power"
	sectors=$(($1 * 2048))
	medium=$tmp/medium
	mkdir "$medium"
	trap medium_is_gone EXIT
	dmesg -n 1
	mke2fs /dev/nullb0 >/dev/null
	mount -t ext4 /dev/nullb0 "$medium"
}

# go_bad FIRST LAST STEP: makes a page in every STEP sectors unreadable, from FIRST to LAST hundredths of the device.
# Linux 6.1 supports at most 512 bad ranges of 512 sectors each. Afterwards all reads access the device again.
go_bad()
{
	sync
	sector=$((sectors * $1 / 100 & ~7))
	while [ $sector -lt $((sectors * $2 / 100)) ]; do
		echo "+$sector-$((sector + 7))" >"$null/badblocks"
		sector=$((sector + $3))
	done
	echo 3 >/proc/sys/vm/drop_caches
}

# medium_is_gone: runs when the case ends. The guest may still run then. The host can hang when a device is removed
# while its file system is in use.
medium_is_gone()
{
	echo "-0-$((sectors - 1))" >"$null/badblocks"
	[ -s "$tmp/g.status" ] || kill -9 "$(pid g)" || true
	for attempt in $(seq 50); do
		! umount "$medium" 2>/dev/null || break
		sleep 0.2
	done
	echo 0 >"$null/power"
	rmdir "$null"
}

case_file_is_named_when_medium_of_plain_snapshot_has_errors()
{
	saved
	bad_medium 320
	for round in 1 2 3; do
		cp "$tmp/plain" "$medium/s"
		restore g "$medium/s" --verify=none --paused
		wait_listening g
		go_bad 0 100 1600
		"$lkvm" resume g || true
		nothing_lost "the snapshot $medium/s (became unreadable|could not be read) while it was in use: RAM at 0x8[0-9a-f]*(: Input/output error)?; since the restore the guest wrote to no disk$"
		echo "-0-$((sectors - 1))" >"$null/badblocks"
		rm "$medium/s"
	done
}

# The medium is bad from the start. The message comes before the guest runs, or at the first access to a bad page.
case_file_is_named_when_medium_of_compressed_snapshot_has_errors()
{
	saved
	run "$lkvm" snapshot merge --compress "$tmp/plain" "$tmp/s"
	check_status 0
	size=$(($(stat -c %s "$tmp/s") >> 20))
	bad_medium $((size + size / 8 + 4))
	cp "$tmp/s" "$medium/s"
	go_bad 45 55 64
	for round in 1 2 3; do
		restore g "$medium/s"
		nothing_lost "the snapshot $medium/s: .*Input/output error; since the restore the guest wrote to no disk$"
	done
	run "$lkvm" snapshot restore "$medium/s" --name g --eager
	check_status 1
	check_err "the snapshot $medium/s: .*Input/output error"
}

# The message does not list disks that were written before the save or not at all.
case_message_lists_disks_that_were_written_since_the_restore()
{
	kernel=$share/guest/Image
	for disk in before since never; do
		head -c 1048576 /dev/zero >"$tmp/$disk"
	done
	start g lkvm.shell=plain --disk "$tmp/before" --disk "$tmp/since" --disk "$tmp/never"
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/urandom of=/dev/vda bs=4096 count=1 conv=fsync 2>&1; cat /dev/vdb /dev/vdc >/dev/null'
	restarted
	ask g 'dd if=/dev/urandom of=/dev/vdb bs=4096 count=1 conv=fsync 2>&1; dd if=/dev/vdc of=/dev/null bs=4096 iflag=direct 2>&1'
	truncate -s 65536 "$tmp/s"
	input g 'echo touch'
	wait_exit g 4
	check "wrong disks: $(cat "$logs/g.err")" grep -q "; since the restore the guest wrote to $tmp/since\$" "$logs/g.err"
}
