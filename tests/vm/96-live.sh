# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: lkvm copies RAM in rounds by the dirty log while a guest writes it; a save with a base has only the changes
# hosts: all
# once: save_refuses_to_replace_file_of_chain save_refuses_unsuitable_base
# timeout: 600

export LKVM_FAULT=save/recheck # a page that no log told of fails the save

boot()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --cpus 2 --disk "$tmp/d" --rng --balloon "$@"
	wait_for g '^lkvm-guest: ready'
}

# $work writes memory from the processors, by the disk's DMA and by the entropy device's DMA.
work='(while :; do dd if=/dev/vda of=/tmp/x bs=64k count=64 iflag=direct 2>/dev/null; dd if=/dev/hwrng of=/tmp/y bs=1k count=4 2>/dev/null; done) &'

# base64 -d would need a program. So remembers only compares the file's checksum with the earlier one.
remember() { ask g 'dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null; md5sum /tmp/data'; sum=$(cut -c1-32 "$logs/said"); }
remembers() { ask g 'md5sum /tmp/data'; check "the guest's data changed" grep -q "$sum" "$logs/said"; }

is_a_part() { check "the snapshot with a base is too large" test "$(du -k "$1" | cut -f1)" -lt "$(($(du -k "$2" | cut -f1) / 2))"; }

saved_live_while_it_works()
{
	remember
	input g "$work"
	for i in 1 2 3; do
		save g "$tmp/s$i" --live=rounds --json
		check_out '"rounds": [1-9]'
	done
	save g "$tmp/s" --live --stop
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	remembers
	"$lkvm" stop --force g
	wait_exit g 0
}

case_live_save_is_consistent_while_guest_works() { boot; saved_live_while_it_works; }

case_live_save_is_consistent_while_packets_arrive()
{
	boot --network mode=tap,tapif=lk0
	flood g
	saved_live_while_it_works
	kill "$flood" 2>/dev/null || true # it may have given up
}

# The first save with a base compares RAM with the base. The other saves use the record of writes since the previous
# save.
case_chain_is_restored_after_saves_of_a_running_guest()
{
	boot
	remember
	input g "$work"
	save g "$tmp/a"
	save g "$tmp/b" --base "$tmp/a"
	save g "$tmp/c" --base "$tmp/b" --live
	save g "$tmp/d1" --base "$tmp/c" --stop
	wait_exit g 0
	is_a_part "$tmp/d1" "$tmp/a"
	restore g "$tmp/d1"
	wait_listening g
	remembers
	"$lkvm" stop --force g
	wait_exit g 0
	run "$lkvm" snapshot info --json "$tmp/d1"
	check_out '"compressed": false, "bases": \["[0-9a-f-]{36}", "[0-9a-f-]{36}", "[0-9a-f-]{36}"\]'
	rm "$tmp/b"
	run "$lkvm" snapshot info "$tmp/d1"
	check_status 1
	check_err 'its base.*/b: No such file'
}

# Only the restored guest's own pages can differ from the file.
case_save_has_only_changes_when_its_base_was_restored()
{
	boot
	remember
	move g "$tmp/a"
	ask g 'echo more >/tmp/more'
	save g "$tmp/b" --base "$tmp/a" --stop
	wait_exit g 0
	is_a_part "$tmp/b" "$tmp/a"
	restore g "$tmp/b"
	wait_listening g
	remembers
	ask g 'cat /tmp/more'
	check "the restored guest lost what it wrote before the second save" grep -qx more "$logs/said"
	# diff reports that the contents differ from the base.
	run "$lkvm" snapshot diff "$tmp/a" "$tmp/b"
	check_status 1
	save g "$tmp/c" --base "$tmp/b" --stop
	wait_exit g 0
	restore g "$tmp/c"
	wait_listening g
	remembers
}

# lkvm slows down a guest that writes memory as fast as lkvm saves it, and the save ends.
case_save_in_rounds_ends_when_guest_writes_all_the_time()
{
	boot
	input g '(while :; do dd if=/dev/zero of=/tmp/z bs=1M count=64 2>/dev/null; dd if=/dev/urandom of=/tmp/z bs=1M count=64 conv=notrunc 2>/dev/null; done) &'
	sleep 2
	save g "$tmp/s" --max-pause 1 --json
	check_out '"rounds": ([2-9]|[1-9][0-9])'
	ask g 'echo alive'
	check "the guest does not run after the save" grep -qx alive "$logs/said"
}

case_save_refuses_to_replace_file_of_chain()
{
	boot
	save g "$tmp/even"
	save g "$tmp/odd" --base "$tmp/even"
	ln "$tmp/even" "$tmp/hard"
	ln -s hard "$tmp/soft"
	for file in even hard soft; do
		run "$lkvm" snapshot save g "$tmp/$file" --base "$tmp/odd"
		check_status 1
		check_err 'the base needs it: save to another file'
	done
	save g "$tmp/last" --base "$tmp/odd" --stop
	wait_exit g 0
	restore g "$tmp/last"
	wait_listening g
	for file in last odd even soft; do
		run "$lkvm" snapshot save g "$tmp/$file" --compress
		check_status 1
		check_err 'the guest was restored from, or one that it is based on'
	done
	run "$lkvm" snapshot save --stop g "$tmp/odd"
	check_status 1
	ask g 'echo alive'
	check "the guest does not run after the refused saves" grep -qx alive "$logs/said"
	for file in even odd last; do
		run "$lkvm" snapshot verify "$tmp/$file"
		check_status 0
	done
	check "a refused save replaced the symbolic link" test -L "$tmp/soft"
	ln -s free "$tmp/link"
	run "$lkvm" snapshot save g "$tmp/link"
	check_status 0
	check "the save replaced the symbolic link" test -L "$tmp/link"
	run "$lkvm" snapshot verify "$tmp/free"
	check_status 0
}

case_save_refuses_unsuitable_base()
{
	boot
	save g "$tmp/a"
	run "$lkvm" snapshot save g "$tmp/a" --base "$tmp/a"
	check_status 1
	check_err 'is the base, or the base needs it: save to another file'
	run "$lkvm" snapshot save g "$tmp/b" --base "$tmp/none"
	check_status 1
	check_err '^lkvm: .*none: No such file'
	head -c 100000 "$tmp/a" >"$tmp/cut"
	run "$lkvm" snapshot save g "$tmp/b" --base "$tmp/cut"
	check_status 1
	check "the refused save left a file" test ! -e "$tmp/b"
	start h lkvm.shell=plain --mem 96
	wait_for h '^lkvm-guest: ready'
	run "$lkvm" snapshot save h "$tmp/b" --base "$tmp/a"
	check_status 1
	check_err 'another machine'
	# lkvm does not accept another snapshot in the place of the original base.
	save g "$tmp/b" --base "$tmp/a"
	save g "$tmp/a"
	run "$lkvm" snapshot restore "$tmp/b" --name x
	check_status 1
	check_err 'another snapshot now'
}

# The host's kernel and the other options limit the ways to save RAM that lkvm can choose.
case_save_chooses_way_by_host_and_options()
{
	boot
	save g "$tmp/a" --live --json
	if [ "$host" = 6.1 ]; then
		check_out '"way": "rounds"'
		run "$lkvm" snapshot save --live=point-in-time g "$tmp/b"
		check_status 1
		check_err 'RAM cannot be write-protected while the guest runs: UFFDIO_API'
	else
		check_out '"way": "point-in-time", "rounds": 0'
		save g "$tmp/b" --live=point-in-time --json
		check_out '"way": "point-in-time"'
	fi
	save g "$tmp/b" --max-pause 20 --json
	check_out '"way": "rounds"'
	save g "$tmp/b" --base "$tmp/a" --live --json
	check_out '"way": "rounds"'
	run "$lkvm" snapshot save --base "$tmp/a" --live=point-in-time g "$tmp/c"
	check_status 1
	check_err 'a save with a base'
	run "$lkvm" snapshot save --live=often g "$tmp/c"
	check_status 2
	check_err 'point-in-time or rounds, not "often"'
	save g "$tmp/b" --json
	check_out '"way": "plain"'
	# With --stop no guest runs after the pause, so lkvm does not copy RAM after the pause.
	save g "$tmp/b" --live --stop --json
	check_out '"way": "rounds"'
	wait_exit g 0
}
