# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest goes on from its snapshot in each form, and through a pipe
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
	check "it is not much smaller" test $(($(stat -c %b "$tmp/packed") * 2)) -lt "$(stat -c %b "$tmp/plain")"
	# Two forms of one file are that file; over itself, too.
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
	check "data changed" grep -q "${sum%% *}" "$logs/said"
	check "a vCPU is lost" grep -qx 2 "$logs/said"
}

# piped GUEST OPTION...: that guest, on its way through a pipe.
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
	check "it began anew" test "$(sed -n 's/^count \([0-9]*\).*/\1/p' "$logs/r.out" | head -n 1)" -gt 3
	check "the figures are not told" grep -q 'g saved to standard output, and stopped: 256 MiB of RAM' "$logs/save.err"
	# Nobody types to it; it can be saved again, and then goes on as any does.
	save r "$tmp/s" --stop
	wait_exit r 0
	restore g "$tmp/s"
	wait_for g '^count 5'
}

# The stream had standard input; what is typed afterwards is the guest's.
case_guest_reads_terminal_after_restore_from_a_pipe()
{
	boot
	"$lkvm" snapshot save --stop g - >"$tmp/whole" 2>"$logs/save.err" || fail "save: $(cat "$logs/save.err")"
	wait_exit g 0
	launch g "$helpers/pty" sh -c 'cat "$tmp/whole" | "$lkvm" snapshot restore - --name g'
	wait_listening g
	ask g 'echo "it hears"'
	check "nothing that is typed arrives" grep -qx 'it hears' "$logs/said"
}

case_restore_refuses_stream_that_is_cut()
{
	boot
	ask g 'echo kept >/tmp/memory'
	"$lkvm" snapshot save g - 2>"$logs/save.err" | head -c 5000000 >"$tmp/cut"
	check "the writer does not say why" grep -q 'the reader closed the stream' "$logs/save.err"
	run sh -c '"$lkvm" snapshot restore - --name r <"$tmp/cut"'
	check_status 1
	check_err 'standard input: the stream was cut short'
	"$lkvm" snapshot save g - >"$tmp/whole" 2>"$logs/save.err" || fail "save: $(cat "$logs/save.err")"
	run sh -c 'head -c -10 "$tmp/whole" | "$lkvm" snapshot restore - --name r'
	check_status 1
	check_err 'standard input: it has no commit record'
	run sh -c '{ cat "$tmp/whole"; echo more; } | "$lkvm" snapshot restore - --name r'
	check_status 1
	run "$lkvm" snapshot restore "$tmp/whole" --name r
	check_status 1
	rm "$tmp/cut" "$tmp/whole"
	check "something is left" test "$(find "$tmp" -type f ! -name 'g.*' ! -name answer)" = ''
	ask g 'cat /tmp/memory'
	check "the guest noticed" grep -qx kept "$logs/said"
}

# In all of them the guest goes on, and there is no file.
case_compressed_save_leaves_no_file_when_it_fails()
{
	boot
	run "$lkvm" snapshot save g --compress=10 "$tmp/s"
	check_status 2
	run sh -c 'ulimit -f 2000; trap "" XFSZ; "$lkvm" snapshot save g --compress "$tmp/s"'
	check_status 1
	check_err 'writing [0-9]+ bytes at .*: File too large'
	check "half a snapshot is left" test ! -e "$tmp/s"
	mkdir "$tmp/full"
	mount -t tmpfs -o size=8m none "$tmp/full"
	run "$lkvm" snapshot save g --compress --stop "$tmp/full/s"
	check_status 1
	check_err 'No space left'
	check "half a snapshot is left" test "$(ls "$tmp/full")" = ''
	umount "$tmp/full"
	ask g 'echo alive'
	check "the guest does not go on" grep -qx alive "$logs/said"
}
