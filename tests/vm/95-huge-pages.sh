# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: guests on the host's huge pages: save, restore, and refused requests
# timeout: 400

pool=/proc/sys/vm/nr_hugepages

free_pages() { sed -n 's/^HugePages_Free: *//p' /proc/meminfo; }

case_guest_runs_and_moves_on_huge_pages()
{
	echo 140 >$pool
	check "the host has too little memory for 140 huge pages" test "$(cat $pool)" = 140
	start g lkvm.shell=plain --hugetlbfs --balloon
	wait_for g '^lkvm-guest: ready'
	check "the guest uses no huge pages" test "$(free_pages)" -lt 130
	ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=256 2>/dev/null; md5sum </tmp/data'
	sum=$(cat "$logs/said")
	"$lkvm" balloon g 64M || fail "lkvm balloon failed"
	ask g 'md5sum </tmp/data'
	check "the guest's data changed when the balloon grew" grep -q "^$sum" "$logs/said"
	save g "$tmp/s" --stop
	wait_exit g 0
	check "the host did not get its huge pages back" test "$(free_pages)" = 140
	restore g "$tmp/s" --hugetlbfs=2M
	wait_listening g
	ask g 'md5sum </tmp/data'
	check "the restored guest's data changed" grep -q "^$sum" "$logs/said"
	check "the restored guest uses no huge pages" test "$(free_pages)" -lt 130
	# The guest moves back to normal pages.
	move g "$tmp/s2"
	ask g 'md5sum </tmp/data'
	check "the guest's data changed after the move to normal pages" grep -q "^$sum" "$logs/said"
	"$lkvm" stop --force g
	wait_exit g 0

	echo 20 >$pool
	run "$lkvm" snapshot restore "$tmp/s" --hugetlbfs
	check_status 1
	check_err '256 MiB of guest memory are 128 huge pages of 2048 KiB, this host has 20 free'
	run "$lkvm" run --kernel "$kernel" --mem 255 --hugetlbfs
	check_status 1
	check_err '255 MiB of guest memory are not whole huge pages'
	run "$lkvm" run --kernel "$kernel" --hugetlbfs=3M
	check_status 1
	check_err 'no huge pages of 3072 KiB'
	echo 0 >$pool
}
