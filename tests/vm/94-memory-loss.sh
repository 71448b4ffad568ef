# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: the file that a guest's memory comes from is damaged, cut or unreadable: the guest never runs on zeroes (tests/guest/scan.c)
# hosts: all
# timeout: 600

kernel=$programs/scan.bin
rounds=$((10 * times))

# saved: a guest that scans its memory, in $tmp/plain; its disk is all zeroes.
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

# nothing_lost WORDS: it ended and said so; no zeroes were seen, none written.
nothing_lost()
{
	wait_exit g 4
	check "no \"$1\" in: $(cat "$logs/g.err")" grep -Eq "$1" "$logs/g.err"
	check "more than a sentence: $(cat "$logs/g.err")" test "$(wc -l <"$logs/g.err")" = 1
	check "the guest saw $(grep '^scan: 0x' "$logs/g.out")" test "$(grep -c '^scan: 0x' "$logs/g.out")" = 0
	cmp "$tmp/disk" "$tmp/zeroes" || fail "its disk was changed"
	check "a socket was left" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
	: >"$logs/g.err"
}

case_guest_never_sees_zeroes_when_compressed_snapshot_is_damaged()
{
	saved
	run "$lkvm" snapshot merge --compress "$tmp/plain" "$tmp/s"
	check_status 0
	printf 'damaged!' | dd of="$tmp/s" bs=1 seek=$(($(stat -c %s "$tmp/s") * 7 / 10)) conv=notrunc 2>/dev/null
	for round in $(seq "$rounds"); do
		restore g "$tmp/s"
		nothing_lost "the snapshot $tmp/s: RAM is damaged: .*; since the restore the guest wrote to no disk$"
	done
}

case_guest_never_sees_zeroes_when_plain_snapshot_is_cut()
{
	saved
	for round in 1 2 3; do
		cp "$tmp/plain" "$tmp/s"
		restore g "$tmp/s" --no-verify
		wait_listening g
		truncate -s $((150 * 1024 * 1024)) "$tmp/s"
		nothing_lost "the snapshot $tmp/s became shorter while the guest was running from it: it has 157286400 bytes now, not "
	done
}
