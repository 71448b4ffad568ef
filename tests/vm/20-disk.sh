# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: virtio-blk: data, order, serial numbers, queues, read-only disks, discard, and backends that fail

boot()
{
	start g lkvm.shell=plain "$@"
	wait_for g '^lkvm-guest: ready'
}

off()
{
	input g 'poweroff -f'
	wait_exit g 0
}

says() { ask g "$1"; check "the guest's output of \"$1\" has no line \"$2\": $(cat "$logs/said")" grep -qx -- "$2" "$logs/said"; }

case_disk_keeps_64_mib_of_data()
{
	truncate -s 64M "$tmp/d"
	boot --disk "$tmp/d"
	ask g 'dd if=/dev/urandom of=/tmp/x bs=1M count=16 2>/dev/null; cat /tmp/x /tmp/x /tmp/x /tmp/x | sha1sum | cut -c1-40'
	sum=$(cat "$logs/said")
	check "the guest printed no SHA-1 sum" test "${#sum}" = 40
	ask g 'for i in 0 16 32 48; do dd if=/tmp/x of=/dev/vda bs=1M seek=$i 2>/dev/null; done; sync; echo 3 >/proc/sys/vm/drop_caches'
	check_status 0
	says 'sha1sum </dev/vda | cut -c1-40' "$sum"
	off
	check "the disk's file differs from what the guest wrote" test "$(sha1sum <"$tmp/d" | cut -c1-40)" = "$sum"
}

case_disks_have_order_serial_queues_and_read_only_flag()
{
	truncate -s 8M "$tmp/a"
	truncate -s 16M "$tmp/b"
	boot --cpus 2 --disk "$tmp/a,ro" --disk "$tmp/b,serial=LKVM-7,queues=2"
	says 'cat /sys/block/vda/ro /sys/block/vda/size | tr "\n" " "; echo' '1 16384 '
	says 'cat /sys/block/vdb/ro /sys/block/vdb/size | tr "\n" " "; echo' '0 32768 '
	says 'cat /sys/block/vdb/serial; echo' 'LKVM-7'
	says 'ls /sys/block/vdb/mq | wc -l' 2
	ask g 'dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync 2>/dev/null'
	check "the guest wrote to a read-only disk" test "$status" != 0
	off
}

case_discard_frees_the_file()
{
	dd if=/dev/urandom of="$tmp/d" bs=1M count=16 2>/dev/null
	before=$(du -k "$tmp/d" | cut -f1)
	boot --disk "$tmp/d"
	ask g 'blkdiscard -o 4194304 -l 8388608 /dev/vda'
	check_status 0
	says 'dd if=/dev/vda bs=1M skip=4 count=8 2>/dev/null | tr -d "\0" | wc -c' 0
	off
	after=$(du -k "$tmp/d" | cut -f1)
	check "the discard freed too little: $before KiB before, $after KiB after" test "$after" -le $((before - 8000))
}

case_read_fails_when_the_file_is_cut_short()
{
	truncate -s 16M "$tmp/d"
	boot --disk "$tmp/d"
	truncate -s 1M "$tmp/d"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k skip=2048 count=1 2>/dev/null'
	check "a read after the file's end did not fail" test "$status" != 0
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null'
	check_status 0
	off
}

case_write_fails_when_the_file_system_is_full()
{
	mkdir "$tmp/small"
	mount -t tmpfs -o size=4m small "$tmp/small"
	truncate -s 16M "$tmp/small/d"
	boot --disk "$tmp/small/d"
	ask g 'dd if=/dev/urandom of=/dev/vda bs=1M count=16 conv=fsync 2>/dev/null'
	check "a write of 16 MiB to a file system of 4 MiB did not fail" test "$status" != 0
	says 'echo alive' alive
	off
	umount "$tmp/small"
}

case_run_refuses_disk_that_is_in_use()
{
	truncate -s 8M "$tmp/d"
	boot --disk "$tmp/d"
	run "$lkvm" run --kernel "$kernel" --disk "$tmp/d"
	check_status 1
	check_err 'in use'
	off
}
