#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs VM tests one after another, on a machine with KVM. tests/vm/run starts it there.
#   sh harness.sh LABEL FILE/CASE...
#
# To add a test, write tests/vm/NN-name.sh with functions case_something(). Each function is a case of its own. It runs
# in a shell of its own, and no guest of another case is left.
# Lines at the head of the file state where it runs. All of them may be left out; parentheses have the default:
#   # what: one line that describes the file
#   # hosts: 6.1 6.12       kernels of the host; "all"; (6.12)
#   # once: CASE...         cases that do not depend on the host's kernel. They do not run on 6.1, where other cases
#                           of the file run. The line may occur any number of times.
#   # guests: 6.1 6.12      kernels of the guest; "all"; 6.12-full, which has drivers for all machines; (6.12)
#   # cpu: max              for SVE, pauth, MTE (neoverse-n1)
#   # needs: passt tree:iproute2   products of scripts/arm64-debs, as $share/passt ...
#   # clock: counted        the emulated host's clock counts instructions, and jumps over waits: an hour takes no
#                           time (real)
#   # vfio: edu nvme        PCI devices to pass through, named as for scripts/host --vfio (none)
#   # needs: systemd        a guest with systemd and Debian's full kernel, in $share/systemd
#   # soak: yes             runs only with tests/vm/run --soak (make soak); "more": also runs then, with $times times
#                           as many rounds and as much time
#   # timeout: 600          seconds that a case may take (300)
#   # phase: 2              runs after the end of phase 1 on all hosts, and uses the files that phase 1 left (leave and
#                           left in functions.sh); does not run on one real machine
# A case fails when it calls fail, or when a command's failure ends it (set -e).
# A case cannot skip itself: a case that cannot run on its host has failed.
# A case that meets a fault of docs/host-kernels.md calls known_fault, and its result line names the fault.
# A test that runs inside the guest is a script tests/vm/guest/NAME. The guest kernel's parameter lkvm.test=NAME selects
# it. The guest prints "lkvm-guest: NAME: exit N" after it. A guest with lkvm.shell=plain has a shell, which `ask` uses.
# `ready` gives such a guest without a boot for each case. Use it where the case does not test the start of a guest.
#
# A case can use the functions of functions.sh, and these variables: $lkvm $kernel $initrd $share
# $programs (bare-metal guests), $helpers (programs of tests/vm/helpers, for the host), $host and $guest (the kernels'
# versions), $tmp (for temporary files), $logs (kept when the case fails).

share=$(pwd)
lkvm=$share/lkvm
kernel=$share/guest/Image
initrd=$share/guest/initrd
here=$share/tests
times=${times:-1}
export share lkvm kernel initrd here times

# shellcheck source=tests/vm/functions.sh
. "$here/functions.sh"

# clean_up SESSION: ends and removes what a case left. Detached guests have a session of their own.
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

# forget_guests FILE: removes guests that `ready` keeps with options for the cases of another file.
forget_guests()
{
	for kept in "$kept_guests"/*; do
		case ${kept##*/} in
		any | "$1"-*) ;;
		*) rm -f "$kept" ;;
		esac
	done
}

# log_crashes and mark_log: make the emulated host's kernel log where a process crashed, and where a case begins.
# kernel_log: prints the case's part of that log. crash: prints the crash in it as one line, with the offset in the program.
log_crashes() { [ -z "$emulated" ] || echo 1 >/proc/sys/debug/exception-trace; }
mark_log() { [ -z "$emulated" ] || echo "case $1" >/dev/kmsg; }
kernel_log() { dmesg | sed -n "\,case $1\$,,\$p" | tail -n 100; }
crash()
{
	sed -n 's/.*\] \(.*: unhandled .*\)/\1/p; s/.*\] \(lr : .*\)/\1/p' "$logs/dmesg" | head -n 2 | tr '\n' ';'
}

# run_case FILE/CASE: runs the case in a session of its own, so that the whole session can be ended.
run_case()
{
	file=${1%/*} name=${1#*/}
	logs=$share/results/$1
	tmp=$(mktemp -d)
	XDG_RUNTIME_DIR=$(mktemp -d)
	export logs tmp XDG_RUNTIME_DIR
	mkdir -p "$logs"
	forget_guests "$file"
	mark_log "$1"
	limit=$(sed -n 's/^# timeout: //p' "$here/$file.sh")
	limit=$((${limit:-300} * times))
	# With a counted clock, a check of the case takes more time than a wait.
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
		kernel_log "$1" >"$logs/dmesg"
		crash=$(crash)
		echo "not ok $1@$label: $(cat "$logs/reason")${crash:+; a crash: $crash}"
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
log_crashes
for test; do
	run_case "$test"
done
exit $bad
