# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a machine saved, restored paused and saved again is the same, of another generation; one that ran in between is not
# hosts: all
# timeout: 400

# differs STATUS FILE FILE: what lkvm snapshot diff says, its output in $logs/run.out.
differs()
{
	run "$lkvm" snapshot diff "$2" "$3"
	[ "$status" = "$1" ] || fail "diff of $2 and $3 is $status: $(head -n 8 "$logs/run.out" "$logs/run.err")"
}

# only_its_generation_differs FILE FILE: which a restore changes on purpose, and the guest did not hear of it yet.
only_its_generation_differs()
{
	differs 1 "$1" "$2"
	check_out '^  SPI 3 +35 +- +pending +no +yes$'
	check_out '^  generation +id\[0-1\] +0x'
	# Behind the heads of both files and of the lists.
	more=$(sed 1,4d "$logs/run.out" | grep -vE '^(interrupts|devices|  (interrupt|section|SPI 3|generation) .*)$') || :
	check "and more: $more" test -z "$more"
}

# Its timers expire while it stands still, interrupts are under way, and only then it is saved.
save_twice()
{
	input g 'while :; do dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; done &'
	sleep 2
	"$lkvm" pause g || fail "pause"
	sleep 2
	save g "$tmp/a" --stop
	wait_exit g 0
	restore g "$tmp/a" --paused
	wait_listening g
	save g "$tmp/b"
	only_its_generation_differs "$tmp/a" "$tmp/b"
	save g "$tmp/again"
	differs 0 "$tmp/b" "$tmp/again"
	check "something is printed" test ! -s "$logs/run.out"
	run "$lkvm" snapshot diff --json "$tmp/b" "$tmp/again"
	check_status 0
	check_out '^\{"identical": true\}$'
}

case_only_what_ran_differs()
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
	check "the machine changed" test "$(grep -cE '^(machine|sections|ram place)$' "$logs/run.out")" = 0
	run "$lkvm" snapshot diff --json --all "$tmp/b" "$tmp/c"
	check_status 1
	check_out '^\{"identical": false, .*"machine": \[\], "vcpus": \[\{'
}

case_without_its()
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
