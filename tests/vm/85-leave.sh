# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: a guest is saved on each host's kernel for 86-other-host
# hosts: all

case_guest_is_saved_for_other_hosts()
{
	truncate -s 8M "$tmp/d"
	start g lkvm.shell=plain --mem 128 --cpus 2 --disk "$tmp/d" --rng
	wait_for g '^lkvm-guest: ready'
	ask g "echo \"kept from $host\" >/tmp/memory; dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null"
	ask g 'dd if=/tmp/data of=/dev/vda bs=64k oflag=direct 2>/dev/null; md5sum </tmp/data'
	cp "$logs/said" "$tmp/sum"
	# From here on, the log of the guest's kernel has only messages about later events.
	ask g 'dmesg -c >/dev/null'
	save g "$tmp/s" --stop
	wait_exit g 0
	leave "$tmp/s" snapshot
	leave "$tmp/d" disk
	leave "$tmp/sum" sum
}
