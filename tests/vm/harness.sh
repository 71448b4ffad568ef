#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs VM tests, one after another, where KVM is: tests/vm/run starts it there.
#   sh harness.sh LABEL FILE/CASE...
#
# To add a test, write tests/vm/NN-name.sh with functions case_something(); each
# is a case of its own, in a shell of its own, with no guest left from another.
# Lines at the file's head say where it runs (all of them may be left out):
#   # what: one line about it
#   # hosts: 6.1 6.12       kernels of the host; "all"; (6.12)
#   # once: CASE...        cases that do not depend on the host's kernel: not on 6.1, where others of the file run
#                           (on any number of lines)
#   # guests: 6.1 6.12      kernels of the guest; "all"; 6.12-full, which has drivers for
#                           all machines; (6.12)
#   # cpu: max              for SVE, pauth, MTE (neoverse-n1)
#   # needs: passt tree:iproute2   products of scripts/arm64-debs, as $share/passt ...
#   # clock: counted       the emulated host's clock counts instructions, and jumps
#                           over what would be waited for: an hour takes no time (real)
#   # vfio: edu nvme        PCI devices to pass through, as of scripts/host --vfio (none)
#   # needs: systemd       a guest with systemd and Debian's full kernel, in $share/systemd
#   # soak: yes             only runs with tests/vm/run --soak (make soak); "more": then, too,
#                           with $times times as many rounds and as much time
#   # timeout: 600          seconds a case may take (300)
#   # phase: 2              runs when phase 1 is over on all hosts, and finds what they left
#                           (leave and left in functions.sh); not on one real machine
# A case fails where it calls fail, or where a command's failure ends it (set -e).
# A case cannot skip itself: one that cannot run where it was asked to has failed.
# One that meets a fault of docs/host-kernels.md calls known_fault, and its line says so.
# A test that runs inside the guest is a script tests/vm/guest/NAME, chosen by the
# guest kernel's parameter lkvm.test=NAME; "lkvm-guest: NAME: exit N" follows it. A guest
# with lkvm.shell=plain has a shell that `ask` drives. `ready` gives such a guest without
# booting it each time: use it where the case does not test the start of a guest.
#
# At hand: the functions of functions.sh; $lkvm $kernel $initrd $share $programs
# (bare-metal guests), $helpers (programs of tests/vm/helpers, for the host), $host and
# $guest (the kernels' versions), $tmp (scratch), $logs (kept when the case fails).

share=$(pwd)
lkvm=$share/lkvm
kernel=$share/guest/Image
initrd=$share/guest/initrd
here=$share/tests
times=${times:-1}
export share lkvm kernel initrd here times

# shellcheck source=tests/vm/functions.sh
. "$here/functions.sh"

# What a case left behind. Detached guests have a session of their own.
clean_up()
{
	for s in "$XDG_RUNTIME_DIR"/lkvm/*; do
		[ -S "$s" ] || continue
		s=${s##*/}
		timeout 5 "$lkvm" stop --force "${s%.sock}" >/dev/null 2>&1
	done
	kill -9 "-$1" 2>/dev/null
	[ -z "$emulated" ] || killall -q -9 lkvm
	rm -rf "$tmp" "$XDG_RUNTIME_DIR"
}

# forget_guests FILE: of the guests that `ready` keeps, those with options are for the cases of one file.
forget_guests()
{
	for kept in "$kept_guests"/*; do
		case ${kept##*/} in
		any | "$1"-*) ;;
		*) rm -f "$kept" ;;
		esac
	done
}

# Each case in a session of its own, so that it can be ended whole.
run_case()
{
	file=${1%/*} name=${1#*/}
	logs=$share/results/$1
	tmp=$(mktemp -d)
	XDG_RUNTIME_DIR=$(mktemp -d)
	export logs tmp XDG_RUNTIME_DIR
	mkdir -p "$logs"
	forget_guests "$file"
	limit=$(sed -n 's/^# timeout: //p' "$here/$file.sh")
	limit=$((${limit:-300} * times))
	# Looking costs more than waiting where instructions are time.
	look=0.2
	! grep -q '^# clock: counted' "$here/$file.sh" || look=60
	tick
	begin=$now
	setsid sh "$here/harness.sh" --case "$file" "$name" >"$logs/case.out" 2>&1 </dev/null &
	session=$!
	while kill -0 $session 2>/dev/null; do
		tick
		if [ "$now" -ge $((begin + limit)) ]; then
			[ -s "$logs/reason" ] || echo "not done in $limit s" >"$logs/reason"
			kill -9 -$session
			break
		fi
		sleep $look
	done
	wait $session 2>/dev/null
	result=$?
	tick
	clean_up $session
	if [ $result = 0 ] && [ ! -s "$logs/reason" ]; then
		known=$(cat "$logs/known" 2>/dev/null)
		echo "ok $1@$label ($((now - begin)) s)${known:+, known fault: $known}"
		[ -n "$LKVM_KEEP" ] || rm -rf "$logs"
	else
		[ -s "$logs/reason" ] || echo "status $result: $(tail -n 1 "$logs/case.out")" \
			>"$logs/reason"
		echo "not ok $1@$label: $(cat "$logs/reason")"
		dmesg | tail -n 100 >"$logs/dmesg"
		bad=1
	fi
}

if [ "$1" = --case ]; then
	set -e
	case_file=$2
	# shellcheck disable=SC1090 # the test's file
	. "$here/$2.sh"
	"case_$3"
	exit
fi

label=$1
shift
bad=0
emulated=$([ -e /run/command ] && echo 1)
kept_guests=$(mktemp -d)
export emulated kept_guests
trap 'rm -rf "$kept_guests"' EXIT
for test; do
	run_case "$test"
done
exit $bad
