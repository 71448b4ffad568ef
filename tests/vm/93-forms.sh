# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest continues from its snapshot in each form, and through a pipe
# timeout: 400

boot()
{
	ready g "$@"
	export TMPDIR="$tmp"
}

case_merge_keeps_contents_in_each_form()
{
	boot --cpus 2
	ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null; md5sum /tmp/data'
	sum=$(cat "$logs/said")
	save g "$tmp/packed" --compress
	save g "$tmp/plain" --stop
	wait_exit g 0
	check "the compressed snapshot is too large" test $(($(stat -c %b "$tmp/packed") * 2)) -lt "$(stat -c %b "$tmp/plain")"
	# Two forms of one snapshot are equal, also when merge replaces its own input.
	run "$lkvm" snapshot merge "$tmp/packed" "$tmp/s"
	check_status 0
	run "$lkvm" snapshot diff "$tmp/packed" "$tmp/s"
	check_status 0
	run "$lkvm" snapshot merge --compress=1 "$tmp/s" "$tmp/s"
	check_status 0
	run "$lkvm" snapshot merge "$tmp/s" "$tmp/s"
	check_status 0
	run "$lkvm" snapshot verify "$tmp/s"
	check_status 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'md5sum /tmp/data; nproc'
	check "the restored guest's data changed" grep -q "${sum%% *}" "$logs/said"
	check "the restored guest lost a vCPU" grep -qx 2 "$logs/said"
}

# piped OPTION...: saves guest g to a pipe, from which lkvm restores r.
piped()
{
	(
		"$lkvm" snapshot save g - "$@" 2>"$logs/save.err" |
			"$lkvm" snapshot restore - --name r >"$logs/r.out" 2>"$logs/r.err" && ended=0 || ended=$?
		echo "$ended" >"$tmp/r.status"
	) &
}

case_guest_moves_through_a_pipe()
{
	boot
	input g 'i=0; while sleep 1; do i=$((i + 1)); echo "count $i"; done'
	wait_for g '^count 3'
	piped --stop
	wait_exit g 0
	wait_for r '^count [0-9]+'
	check "the guest's count started again" test "$(sed -n 's/^count \([0-9]*\).*/\1/p' "$logs/r.out" | head -n 1)" -gt 3
	check "save did not print its figures" grep -q 'g saved to standard output, and stopped: 256 MiB of RAM' "$logs/save.err"
	# The restored guest has no input. lkvm can save it again, and the guest then continues like any other.
	save r "$tmp/s" --stop
	wait_exit r 0
	restore g "$tmp/s"
	wait_for g '^count 5'
}

# The stream used standard input. After the restore, the guest reads what the user types.
case_guest_reads_terminal_after_restore_from_a_pipe()
{
	boot
	"$lkvm" snapshot save --stop g - >"$tmp/whole" 2>"$logs/save.err" || fail "the save failed: $(cat "$logs/save.err")"
	wait_exit g 0
	launch g "$helpers/pty" sh -c 'cat "$tmp/whole" | "$lkvm" snapshot restore - --name g'
	wait_listening g
	ask g 'echo "it hears"'
	check "the restored guest does not read the terminal" grep -qx 'it hears' "$logs/said"
}

case_restore_refuses_stream_that_is_cut()
{
	boot
	ask g 'echo kept >/tmp/memory'
	"$lkvm" snapshot save g - 2>"$logs/save.err" | head -c 5000000 >"$tmp/cut"
	check "the save does not state that the reader closed the stream" grep -q 'the reader closed the stream' "$logs/save.err"
	run sh -c '"$lkvm" snapshot restore - --name r <"$tmp/cut"'
	check_status 1
	check_err 'standard input: the stream was cut short'
	"$lkvm" snapshot save g - >"$tmp/whole" 2>"$logs/save.err" || fail "the save failed: $(cat "$logs/save.err")"
	run sh -c 'head -c -10 "$tmp/whole" | "$lkvm" snapshot restore - --name r'
	check_status 1
	check_err 'standard input: it has no commit record'
	run sh -c '{ cat "$tmp/whole"; echo more; } | "$lkvm" snapshot restore - --name r'
	check_status 1
	run "$lkvm" snapshot restore "$tmp/whole" --name r
	check_status 1
	rm "$tmp/cut" "$tmp/whole"
	check "the failed commands left a file" test "$(find "$tmp" -type f ! -name 'g.*' ! -name answer)" = ''
	ask g 'cat /tmp/memory'
	check "the failed commands changed the guest" grep -qx kept "$logs/said"
}

# The guest continues after each failure, and no file is left.
case_compressed_save_leaves_no_file_when_it_fails()
{
	boot
	run "$lkvm" snapshot save g --compress=10 "$tmp/s"
	check_status 2
	run sh -c 'ulimit -f 2000; trap "" XFSZ; "$lkvm" snapshot save g --compress "$tmp/s"'
	check_status 1
	check_err 'writing [0-9]+ bytes at .*: File too large'
	check "the failed save left a part of a snapshot" test ! -e "$tmp/s"
	mkdir "$tmp/full"
	mount -t tmpfs -o size=8m none "$tmp/full"
	run "$lkvm" snapshot save g --compress --stop "$tmp/full/s"
	check_status 1
	check_err 'No space left'
	check "the failed save left a part of a snapshot" test "$(ls "$tmp/full")" = ''
	umount "$tmp/full"
	ask g 'echo alive'
	check "the guest does not run after the failed saves" grep -qx alive "$logs/said"
}
