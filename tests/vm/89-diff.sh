# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a machine that is saved, restored paused and saved again is identical; a machine that ran in between is not
# timeout: 400

# differs STATUS FILE FILE: lkvm snapshot diff exits with STATUS. Its output is in $logs/run.out.
differs()
{
	run "$lkvm" snapshot diff "$2" "$3"
	[ "$status" = "$1" ] || fail "diff of $2 and $3 exited with $status: $(head -n 8 "$logs/run.out" "$logs/run.err")"
}

# The guest's timers expire while it is paused, and interrupts are in progress. The guest is saved only after that.
save_twice()
{
	input g 'while :; do dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; done &'
	sleep 2
	"$lkvm" pause g || fail "lkvm pause failed"
	sleep 2
	save g "$tmp/a" --stop
	wait_exit g 0
	restore g "$tmp/a" --paused
	wait_listening g
	save g "$tmp/b"
	differs 0 "$tmp/a" "$tmp/b"
	check "diff printed a difference of identical snapshots" test ! -s "$logs/run.out"
	run "$lkvm" snapshot diff --json "$tmp/a" "$tmp/b"
	check_status 0
	check_out '^\{"identical": true\}$'
}

case_diff_shows_only_what_ran()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --mem 96 --cpus 2 --disk "$tmp/d" --rng --balloon --network mode=tap,tapif=lk0
	wait_for g '^lkvm-guest: ready'
	save_twice
	"$lkvm" resume g
	ask g 'echo alive'
	save g "$tmp/c"
	differs 1 "$tmp/b" "$tmp/c"
	check_out '^vcpus$'
	check_out '  CNTV_CVAL_EL0 +0x'
	check_out 'clock +counter'
	check_out '^ram pages +[1-9]'
	check "diff shows a change of the machine" test "$(grep -cE '^(machine|sections|ram place)$' "$logs/run.out")" = 0
	run "$lkvm" snapshot diff --json --all "$tmp/b" "$tmp/c"
	check_status 1
	check_out '^\{"identical": false, .*"machine": \[\], "vcpus": \[\{'
}

case_diff_compares_machines_without_its()
{
	truncate -s 16M "$tmp/d"
	start g lkvm.shell=plain --mem 96 --irqchip gicv3 --disk "$tmp/d"
	wait_for g '^lkvm-guest: ready'
	save_twice
	head -c 100000 "$tmp/a" >"$tmp/cut"
	differs 2 "$tmp/a" "$tmp/cut"
	check_err 'lkvm: snapshot diff: .*/cut: '
	differs 2 "$tmp/a" "$tmp/nowhere"
	run "$lkvm" snapshot diff "$tmp/a"
	check_status 2
}
