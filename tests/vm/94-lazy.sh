# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: guests that go on from compressed memory, which is loaded while they run
# hosts: all
# timeout: 600

# A guest with 32 MiB that it knows again, in $sum; saved, stopped, and the file compressed.
compressed()
{
	start g lkvm.shell=plain "$@"
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=512 2>/dev/null; md5sum </tmp/data'
	sum=$(sed -n 's/ .*//p' "$logs/said")
	save g "$tmp/plain" --stop
	wait_exit g 0
	run "$lkvm" snapshot merge --compress "$tmp/plain" "$tmp/s"
	check_status 0
	rm "$tmp/plain"
}

go_on()
{
	restore g "$tmp/s" "$@"
	wait_listening g
}

remembers()
{
	ask g 'md5sum </tmp/data'
	check "$1: its memory is not what it was" grep -q "^$sum " "$logs/said"
}

case_goes_on()
{
	compressed --cpus 2
	go_on --loglevel info
	remembers "lazy"
	check "it was loaded first" test "$(grep -c 'is loaded first' "$logs/g.err")" = 0
	# Saved and looked into before it has all of its memory.
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

case_balloon_and_reset()
{
	compressed --balloon
	go_on
	"$lkvm" balloon g 96M || fail "balloon"
	remembers "with a balloon"
	"$lkvm" balloon g 0 || fail "balloon"
	ask g 'dd if=/dev/zero of=/tmp/zeroes bs=64k count=1024 2>/dev/null; md5sum </tmp/zeroes; rm /tmp/zeroes'
	check "memory that came back is not right" grep -q '^7f614da9329cd3aebf59b91aadc30bf0 ' "$logs/said"
	remembers "after it"
	"$lkvm" stop --force g
	wait_exit g 0
	: >"$logs/g.out"
	go_on
	"$lkvm" reboot --force g || fail "reboot --force"
	wait_for g '^lkvm-guest: ready'
	ask g 'ls /tmp/data'
	check "memory survived a reset" test "$status" != 0
}

case_ends()
{
	compressed
	# At any moment.
	for pause in 0 0.1 0.3 1; do
		rm "$tmp/g.pid"
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
	check "something runs" test -z "$("$lkvm" list --quiet)"
	# In the middle of a frame of what the guest had.
	printf damage | dd of="$tmp/s" bs=1 seek=$(($(stat -c %s "$tmp/s") / 2)) conv=notrunc 2>/dev/null
	restore g "$tmp/s"
	wait_exit g 4
	check "it does not say why" grep -q 'the snapshot that it was restored from: RAM is damaged: ' "$logs/g.err"
	run "$lkvm" snapshot restore "$tmp/s" --name g --eager
	check_status 1
	check_err 'RAM is damaged: '
}
