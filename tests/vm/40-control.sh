# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: list, stat, pause, resume, stop and reboot; each command returns after it took effect
# timeout: 400

boot()
{
	ready g "$@"
}

requests() { "$lkvm" stat g | sed -n '/virtio-blk0/,/virtio-input0/s/^ *requests *//p' | head -n 1; }

case_list_and_stat_show_running_guests()
{
	run "$lkvm" list --json
	check_status 0
	check_out '"machines": *\[\]'
	boot --cpus 2
	run "$lkvm" list
	check_out "$(pid g) +g +running +2 +256 MiB"
	run "$lkvm" stat g --json
	check_status 0
	check_out '"state": *"running"'
	run "$lkvm" stat nobody
	check_status 1
	check_err 'nobody'
	"$lkvm" stop --force g || fail "lkvm stop --force failed"
	wait_exit g 0
	check "lkvm left its control socket" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
}

case_pause_stops_clock_and_workers()
{
	truncate -s 64M "$tmp/d"
	boot --disk "$tmp/d"
	input g 'while :; do dd if=/dev/vda of=/dev/null bs=4k count=1000 iflag=direct 2>/dev/null; done &'
	ask g 'cut -d. -f1 /proc/uptime'
	before=$(cat "$logs/said")
	sleep 1
	"$lkvm" pause g || fail "lkvm pause failed"
	run "$lkvm" list
	check_out 'g +paused'
	first=$(requests)
	sleep 6
	check "the disk handled requests while the guest was paused" test "$(requests)" = "$first"
	"$lkvm" resume g || fail "lkvm resume failed"
	ask g 'cut -d. -f1 /proc/uptime'
	after=$(cat "$logs/said")
	check "the guest's clock ran during the pause: it was $before, and is $after" test $((after - before)) -lt 6
	sleep 1
	check "the disk handled no requests after the resume" test "$(requests)" != "$first"
	"$lkvm" pause g || fail "lkvm pause failed"
	"$lkvm" stop --force g || fail "lkvm stop --force failed for a paused guest"
	wait_exit g 0
}

case_stop_presses_the_power_key()
{
	boot
	"$lkvm" pause g || fail "lkvm pause failed"
	"$lkvm" stop g || fail "lkvm stop failed for a paused guest"
	wait_exit g 0
	grep -q '^lkvm-guest: power key' "$logs/g.out" || fail "the guest received no power key"
}

# booted N: the guest has booted for the Nth time, and it counts LPIs of its disk.
booted()
{
	wait_boot g "$1"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 2>/dev/null; grep ITS- /proc/interrupts'
	grep 'virtio0-req' "$logs/said" | awk '{ sum += $2 } END { exit sum == 0 }' || fail "the disk has no LPI after boot $1"
}

case_reboot_restarts_guest_in_the_same_process()
{
	truncate -s 8M "$tmp/d"
	boot --disk "$tmp/d" --rng --network mode=tap
	was=$(pid g)
	booted 1
	"$lkvm" reboot --force g || fail "lkvm reboot --force failed"
	booted 2
	input g 'reboot -f'
	booted 3
	# A process in the guest reads the power buttons and receives the restart key.
	input g '(head -c 24 /dev/input/event0 >/dev/null; reboot -f) &'
	sleep 1
	"$lkvm" reboot g || fail "lkvm reboot failed"
	booted 4
	"$lkvm" reboot --force g && booted 5
	run "$lkvm" stat g
	check_out 'resets +4'
	check "another lkvm process runs the guest after the resets" test "$(pid g)" = "$was"
	"$lkvm" stop g || fail "lkvm stop failed"
	wait_exit g 0
}

case_run_refuses_taken_names_and_replaces_stale_sockets()
{
	boot
	run "$lkvm" run --kernel "$kernel" --name g
	check_status 1
	check_err 'g'
	kill -9 "$(pid g)"
	wait_exit g 137
	run "$lkvm" list
	check "lkvm list shows a guest whose lkvm was killed" test "$(wc -l <"$logs/run.out")" = 1
	boot
	"$lkvm" stop --force g || fail "lkvm stop --force failed"
	wait_exit g 0
	for name in ../x .x -x 'a b' ''; do
		run "$lkvm" run --kernel "$kernel" "--name=$name"
		check "lkvm run accepted the name \"$name\"" test "$status" = 2 -o "$status" = 1
	done
}

case_signal_ends_the_vm_cleanly()
{
	boot
	kill -TERM "$(pid g)"
	wait_exit g 143
	check "lkvm left its control socket" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
}

case_detached_run_reports_start_or_failure()
{
	run "$lkvm" run --detach --name d --kernel "$kernel" --initrd "$initrd" --params 'quiet lkvm.shell=plain'
	check_status 0
	run "$lkvm" list
	check_out 'd +running'
	"$lkvm" stop --force d || fail "lkvm stop --force failed"
	run "$lkvm" run --detach --name d --kernel /nonexistent
	check_status 1
	check_err 'Fatal: Unable to open kernel /nonexistent'
}

case_output_may_be_closed_early()
{
	"$lkvm" run --name g --kernel "$kernel" --initrd "$initrd" --params 'lkvm.test=hello' </dev/null 2>"$logs/g.err" |
		head -n 1 >"$logs/first"
	check "lkvm wrote no first line to the pipe" test -s "$logs/first"
}

case_guest_waits_for_resume_when_started_paused()
{
	start g lkvm.shell=plain --paused
	wait_listening g
	run "$lkvm" list
	check_out 'g +paused'
	sleep 2
	check "the guest ran although it was started with --paused" test ! -s "$logs/g.out"
	"$lkvm" resume g
	wait_for g '^lkvm-guest: ready'
}
