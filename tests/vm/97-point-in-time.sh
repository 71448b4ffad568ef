# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: lkvm saves RAM as it was at one point in time, and copies it after the pause, while the guest writes it
# timeout: 600

boot()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --cpus 2 --disk "$tmp/d" --rng --balloon "$@"
	wait_for g '^lkvm-guest: ready'
}

# $work writes memory from the processors, by the disk's DMA and by the entropy device's DMA.
work='(while :; do dd if=/dev/vda of=/tmp/x bs=64k count=64 iflag=direct 2>/dev/null; dd if=/dev/hwrng of=/tmp/y bs=1k count=4 2>/dev/null; done) &'

save_point()
{
	save g "$@" --live --json
	check_out '"way": "point-in-time"'
}

# lkvm compares the file's contents with a copy of RAM from the pause.
case_point_in_time_save_is_exact_while_guest_works()
{
	export LKVM_FAULT=save/recheck
	boot
	input g "$work"
	sleep 2
	for i in 1 2 3; do
		save_point "$tmp/s$i"
		check_out '"held_writes": [1-9]'
	done
	ask g 'echo alive'
	check "the guest does not run after the saves" grep -qx alive "$logs/said"
}

case_point_in_time_save_is_exact_while_packets_arrive()
{
	export LKVM_FAULT=save/recheck
	boot --network mode=tap,tapif=lk0
	flood g
	input g "$work"
	for i in 1 2 3; do
		save_point "$tmp/s$i"
	done
	kill "$flood" 2>/dev/null || true # it may have given up
}

case_point_in_time_save_is_exact_on_huge_pages()
{
	echo 140 >/proc/sys/vm/nr_hugepages
	export LKVM_FAULT=save/recheck
	boot --hugetlbfs
	input g "$work"
	for i in 1 2; do
		before=$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)
		save_point "$tmp/s$i"
	done
	check "a save allocated untouched huge pages" test "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)" -gt $((before - 20))
	echo 0 >/proc/sys/vm/nr_hugepages
}

# The balloon returns pages to the host without a write.
case_point_in_time_save_is_exact_while_balloon_works()
{
	export LKVM_FAULT=save/recheck
	boot
	ask g 'dd if=/dev/urandom of=/tmp/x bs=1M count=96 2>/dev/null; rm /tmp/x'
	for i in 1 2 3; do
		"$lkvm" balloon g 160M || fail "lkvm balloon failed"
		save_point "$tmp/s$i"
		"$lkvm" balloon g 0 || fail "lkvm balloon failed"
		ask g 'dd if=/dev/urandom of=/tmp/x bs=1M count=64 2>/dev/null; rm /tmp/x'
	done
}

# The guest writes the same number to eight files again and again. Equal numbers show that the snapshot is of one point
# in time.
case_restore_continues_at_the_point_in_time()
{
	boot
	ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null; md5sum /tmp/data'
	sum=$(cut -c1-32 "$logs/said")
	input g '(i=0; while :; do for f in 1 2 3 4 5 6 7 8; do read -r j </tmp/f$f; [ "$i" = 0 ] || [ "$j" = "$i" ] || echo torn; done 2>/dev/null; i=$((i + 1)); for f in 1 2 3 4 5 6 7 8; do echo $i >/tmp/f$f; done; done) &'
	sleep 2
	save_point "$tmp/s"
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'sleep 3; md5sum /tmp/data'
	check "the restored guest's data changed" grep -q "$sum" "$logs/said"
	ask g 'for n in 1 2 3 4 5 6; do cat /tmp/f1; sleep 1; done' # it is empty for a moment each time
	check "the restored guest does not count" test "$(sort -u "$logs/said" | wc -l)" -gt 1
	check "the snapshot is of more than one point in time" test "$(grep -c torn "$logs/g.out")" = 0
}

# begin_save: starts a save of a guest that has more data than lkvm can save in a moment. $saving is the process of the
# save.
begin_save()
{
	ask g 'dd if=/dev/urandom of=/tmp/x bs=1M count=128 2>/dev/null'
	mkdir -p "$tmp/folder"
	"$lkvm" snapshot save --live=point-in-time g "$tmp/folder/s" >"$logs/saved" 2>&1 &
	saving=$!
	until grep -q ' uw' "/proc/$(pid g)/smaps"; do kill -0 $saving || fail "the save ended before the case saw it"; done
}

# nothing_is_left: the guest continues, no file is left, and no memory is write-protected any more.
nothing_is_left()
{
	ask g 'dd if=/dev/zero of=/tmp/x bs=1M count=128 2>/dev/null; echo alive'
	check "the guest does not run after the failed save" grep -qx alive "$logs/said"
	check "the failed save left a file" test -z "$(ls -A "$tmp/folder")"
	check "memory is still write-protected after the failed save" test "$(grep -c ' uw' "/proc/$(pid g)/smaps")" = 0
}

case_point_in_time_save_leaves_nothing_when_it_fails()
{
	boot
	begin_save
	kill -9 $saving
	nothing_is_left
	rmdir "$tmp/folder"
	mkdir "$tmp/folder"
	mount -t tmpfs -o size=16m small "$tmp/folder"
	run "$lkvm" snapshot save --live g "$tmp/folder/s"
	check_status 1
	check_err 'No space left'
	nothing_is_left
	umount "$tmp/folder"
	mappings=$(wc -l <"/proc/$(pid g)/maps")
	save_point "$tmp/s"
	check "the save split the guest's memory into more mappings" test "$(wc -l <"/proc/$(pid g)/maps")" -le $((mappings + 2))
}

case_requests_are_refused_during_a_point_in_time_save()
{
	boot
	begin_save
	for request in "snapshot save g $tmp/t" "snapshot save --live g $tmp/t" "inspect g" "pause g" "reboot --force g"; do
		# shellcheck disable=SC2086 # words
		run "$lkvm" $request
		check_status 1
		check_err 'being saved'
	done
	run "$lkvm" stat g
	check_status 0
	kill -0 $saving || fail "the save ended before all requests were refused"
	# The guest may do anything during the save. It resets, and the snapshot has its earlier state.
	input g 'reboot -f'
	wait $saving || fail "the save failed: $(cat "$logs/saved")"
	wait_for g '^lkvm-guest: ready'
	run "$lkvm" snapshot verify "$tmp/folder/s"
	check_status 0
}

case_point_in_time_save_fails_when_guest_ends()
{
	boot
	begin_save
	"$lkvm" stop --force g || fail "lkvm stop --force failed"
	wait_exit g 0
	! wait $saving || fail "the save succeeded although the guest ended"
	check "the message does not state that the guest ended during the save" grep -q 'ended while it was saved' "$logs/saved"
	check "the failed save left a file" test -z "$(ls -A "$tmp/folder")"
	boot
	begin_save
	kill -TERM "$(pid g)"
	! wait $saving || fail "the save succeeded although SIGTERM ended lkvm"
	tick
	end=$((now + 30))
	until [ -s "$tmp/g.status" ]; do tick; [ "$now" -lt $end ] || fail "lkvm still runs 30 s after SIGTERM"; sleep 0.2; done
}

# RAM that is a mapping of a snapshot cannot be write-protected. RAM that is loaded from a snapshot can be.
case_point_in_time_save_requires_loaded_ram()
{
	boot
	save_point "$tmp/s"
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	run "$lkvm" snapshot save --live=point-in-time g "$tmp/t"
	check_status 1
	check_err 'RAM cannot be write-protected while the guest runs: RAM is a mapping of the snapshot'
	save g "$tmp/t" --live --json
	check_out '"way": "rounds"'
	"$lkvm" stop --force g
	wait_exit g 0
	export LKVM_FAULT=save/recheck
	restore g "$tmp/s" --eager
	wait_listening g
	input g "$work"
	save_point "$tmp/u"
	ask g 'echo alive'
	check "the guest does not run after the save" grep -qx alive "$logs/said"
}
