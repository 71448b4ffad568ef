# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: lkvm is killed at random instants of starts, saves and restores, and the host's kernel reports no stall
# soak: yes
# timeout: 3600

rounds=$((20 * times))

# The kernel writes these messages when a CPU or a task makes no progress.
stalls='soft lockup|hard LOCKUP|rcu.*(stall|detected)|blocked for more than'

# choose N: sets $chosen to a number from 0 to N - 1. The same LKVM_SEED gives the same sequence.
choose()
{
	random=$(((random * 1103515245 + 12345) & 0x7fffffff))
	chosen=$((random / 65536 % $1))
}

# pause_up_to MILLISECONDS: sleeps for a random time.
pause_up_to()
{
	choose "$1"
	sleep "$(printf '%d.%03d' $((chosen / 1000)) $((chosen % 1000)))"
}

check_host()
{
	! dmesg | grep -E "$stalls" >"$logs/stalls" || fail "round $n: the host's kernel reports: $(head -n 1 "$logs/stalls")"
}

# Makes snapshots of a guest that touched 64 MiB, so that the kernel has to unmap much memory.
make_snapshots()
{
	start s lkvm.shell=plain --cpus 2
	wait_for s '^lkvm-guest: ready'
	ask s 'dd if=/dev/urandom of=/tmp/data bs=64k count=1024 2>/dev/null'
	save s "$tmp/plain"
	save s "$tmp/compressed" --compress=1 --stop
	wait_exit s 0
}

# begin GUEST: starts the guest, or restores it. Each kind of restore loads RAM in another way.
begin()
{
	rm -f "$tmp/$1.status" "$tmp/$1.pid" "$tmp/$1.in"
	choose 5
	case $chosen in
	0) start "$1" lkvm.test=work --cpus 2 --network mode=tap,vhost=on ;;
	*)
		mkfifo "$tmp/$1.in"
		case $chosen in
		1) restore "$1" "$tmp/plain" ;;
		2) restore "$1" "$tmp/plain" --eager ;;
		3) restore "$1" "$tmp/compressed" ;;
		4) restore "$1" "$tmp/compressed" --eager ;;
		esac
		;;
	esac
}

# end GUEST: saves the guest in a random way, or not at all, and kills its lkvm during the save.
end()
{
	choose 4
	case $chosen in
	0) ;;
	1) timeout 60 "$lkvm" snapshot save "$1" "$tmp/$1.saved" >/dev/null 2>&1 & ;;
	2) timeout 60 "$lkvm" snapshot save --live "$1" "$tmp/$1.saved" >/dev/null 2>&1 & ;;
	3) timeout 60 "$lkvm" snapshot save --compress=1 "$1" "$tmp/$1.saved" >/dev/null 2>&1 & ;;
	esac
	pause_up_to 1500
	[ -s "$tmp/$1.pid" ] || return 0
	kill -9 "$(cat "$tmp/$1.pid")" 2>/dev/null || true
	tick
	begun=$now
	until [ -s "$tmp/$1.status" ]; do
		tick
		[ "$now" -lt $((begun + 60)) ] || fail "round $n: $1 still runs 60 s after kill -9"
		sleep 0.1
	done
	rm -f "$tmp/$1.saved" "$tmp/$1.pid"
}

case_host_reports_no_stall_when_guests_are_killed()
{
	random=${LKVM_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
	echo "LKVM_SEED=$random"
	dmesg -c >"$logs/dmesg.before"
	n=0
	make_snapshots
	start k lkvm.shell=plain
	wait_for k '^lkvm-guest: ready'
	while [ $n -lt $rounds ]; do
		n=$((n + 1))
		choose 3
		slot=g$chosen
		[ ! -s "$tmp/$slot.pid" ] || end $slot
		begin $slot
		pause_up_to 1500
		check_host
	done
	ask k 'echo alive'
	check "the guest that was not killed does not answer" grep -qx alive "$logs/said"
	check_host
}
