# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: an ext4 file system after a save with --disk-overlays is whole for the guest that continues and for the restored guest
# needs: tree:e2fsprogs
# timeout: 600

tools=$share/e2fsprogs

# e2fs PROGRAM ARGUMENT...: runs a program of the tree, with the libraries of the tree.
e2fs()
{
	program=$1
	shift
	MKE2FS_CONFIG="$tools/etc/mke2fs.conf" "$tools/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" \
		--library-path "$tools/lib/aarch64-linux-gnu:$tools/usr/lib/aarch64-linux-gnu" "$tools/sbin/$program" "$@"
}

# Makes a disk with an ext4 file system, and a disk with e2fsck for the guest.
make_disks()
{
	mkdir -p "$tmp/tools"
	cp -L "$tools/sbin/e2fsck" "$tools"/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1 \
		"$tools"/lib/aarch64-linux-gnu/libc.so.6 "$tools"/lib/aarch64-linux-gnu/libcom_err.so.2 \
		"$tools"/lib/aarch64-linux-gnu/libe2p.so.2 "$tools"/lib/aarch64-linux-gnu/libext2fs.so.2 \
		"$tools"/usr/lib/aarch64-linux-gnu/libblkid.so.1 "$tools"/usr/lib/aarch64-linux-gnu/libuuid.so.1 "$tmp/tools"
	truncate -s 16M "$tmp/e2fsck"
	e2fs mke2fs -q -t ext4 -O ^has_journal -d "$tmp/tools" "$tmp/e2fsck"
	truncate -s 64M "$tmp/d"
	e2fs mke2fs -q -t ext4 "$tmp/d"
}

# does GUEST COMMAND: the guest runs COMMAND, which must succeed.
does()
{
	ask "$1" "$2"
	check "$1: this command failed: $2: $(tail -n 3 "$logs/said")" test "$status" = 0
}

# expect_whole GUEST: the file system is whole. Its files match their checksums, and e2fsck finds no error.
expect_whole()
{
	does "$1" "md5sum -c /tmp/sums >/tmp/checked || { grep -v OK /tmp/checked; false; }"
	does "$1" "umount /mnt && /tools/ld-linux-aarch64.so.1 --library-path /tools /tools/e2fsck -fn /dev/vda"
	check "$1: e2fsck found errors: $(cat "$logs/said")" grep -q '^/dev/vda: .* files' "$logs/said"
}

case_file_system_is_whole_on_both_sides_of_save()
{
	make_disks
	start g lkvm.shell=plain --cpus 2 --disk "$tmp/d" --disk "$tmp/e2fsck,ro"
	wait_for g '^lkvm-guest: ready'
	does g 'mkdir /mnt /tools && mount -t ext4 /dev/vda /mnt && mount -o ro /dev/vdb /tools'
	# Some files are on the disk, and some only in the guest's memory. A process writes to the disk all the time.
	does g 'for i in $(seq 20); do head -c 30000 /dev/urandom >/mnt/before$i; done; sync'
	does g 'for i in $(seq 20); do head -c 30000 /dev/urandom >/mnt/cached$i; done; md5sum /mnt/before* /mnt/cached* >/tmp/sums'
	does g 'touch /tmp/busy; (until [ -e /tmp/enough ]; do head -c 100000 /dev/urandom >/mnt/busy; sync; rm /mnt/busy; done; rm /tmp/busy) & echo'
	save g "$tmp/s" --disk-overlays "$tmp/overlays"
	sum=$(md5sum <"$tmp/d")
	does g 'rm /mnt/before* && for i in $(seq 20); do head -c 60000 /dev/urandom >/mnt/after$i; done; touch /tmp/enough; while [ -e /tmp/busy ]; do sleep 0.1; done'
	does g 'sync; md5sum /mnt/cached* /mnt/after* >/tmp/sums; [ $(wc -l </tmp/sums) = 40 ]'

	rm -f "$tmp/h.in"
	mkfifo "$tmp/h.in"
	restore h "$tmp/s" --disk-overlay "$tmp/others"
	wait_listening h
	does h 'touch /tmp/enough; while [ -e /tmp/busy ]; do sleep 0.1; done; [ $(wc -l </tmp/sums) = 40 ] && [ -e /mnt/before20 ] && [ ! -e /mnt/after1 ]'
	expect_whole h
	expect_whole g
	check "the disk changed after the save" test "$(md5sum <"$tmp/d")" = "$sum"
}
