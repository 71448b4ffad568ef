# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: a guest is saved and restored again and again, at random instants of its boot and of its work
# soak: more
# timeout: 900

# $instants is the number of instants in a case. Each check uses other random instants; `make soak` has a thousand of
# them in one run.
instants=4
[ "$times" = 1 ] || instants=$((13 * times))
way=plain
export LKVM_FAULT=save/recheck # a save that goes by what was written looks whether it missed something

# pause_between N: sleeps for a random number of milliseconds, up to N. The number is in $ms.
pause_between()
{
	ms=$(($(od -An -N2 -tu2 /dev/urandom) % $1))
	sleep "$(printf '0.%03d' $ms)"
}

# The boot takes a few seconds. Each instant of it is equally useful.
boot_with()
{
	n=0
	while [ $n -lt "$instants" ]; do
		start g "$1" --cpus "$2"
		wait_listening g
		pause_between 900
		while [ ! -s "$tmp/g.status" ] && [ $n -lt "$instants" ]; do
			pause_between 400
			run "$lkvm" snapshot save --stop g "$tmp/s.new"
			[ "$status" = 0 ] || break # it may just have ended
			mv "$tmp/s.new" "$tmp/s"
			n=$((n + 1))
			wait_exit g 0
			restore g "$tmp/s"
			wait_listening g
		done
		wait_for g '^lkvm-guest: hello: exit 0'
		wait_exit g 0
	done
	echo "$n instants"
}

case_boot_continues_after_each_restore_with_1_vcpu() { boot_with lkvm.test=hello 1; }
case_boot_continues_after_each_restore_with_2_vcpus() { boot_with lkvm.test=hello 2; }
case_boot_continues_after_each_restore_with_4_vcpus() { boot_with lkvm.test=hello 4; }

# Each lkvm has a tap of its own. The guest must find the same neighbour on each tap.
connect()
{
	ip link set dev lk0 address 02:00:00:00:00:01
	ip addr add 10.9.0.1/24 dev lk0
}

# once N: saved in the way that $way says, ended and restored.
once()
{
	case $way in
	plain) save g "$tmp/s" --stop ;;
	rounds) save g "$tmp/s" --live --stop ;;
	compressed) save g "$tmp/s" --compress=1 --stop ;;
	chain)
		# shellcheck disable=SC2046 # the first one has no base
		save g "$tmp/s$1" --stop $([ "$1" = 0 ] || echo "--base $tmp/s$(($1 - 1))")
		wait_exit g 0
		restore g "$tmp/s$1"
		return
		;;
	point-in-time)
		# RAM that is mapped from a file cannot be write-protected, hence --eager. The guest continues after its
		# save, so it is stopped here.
		save g "$tmp/s" --live=point-in-time
		"$lkvm" stop --force g
		wait_exit g 0
		restore g "$tmp/s" --eager
		return
		;;
	esac
	wait_exit g 0
	restore g "$tmp/s"
}

work_with()
{
	cpus=$1 parts=$2
	shift 2
	truncate -s 16M "$tmp/d"
	start g "lkvm.test=work lkvm.work=$parts" --cpus "$cpus" --disk "$tmp/d" "$@"
	wait_for g '^work: started'
	[ $# = 0 ] || connect
	n=0
	while [ $n -lt "$instants" ]; do
		pause_between 999
		once $n
		wait_listening g
		[ $# = 0 ] || connect
		n=$((n + 1))
	done
	input g stop
	passes g work 120
	wait_exit g 0
	echo "$n instants"
}

case_disk_and_time_continue_after_each_restore_with_1_vcpu() { work_with 1 disk,sleep; }
case_disk_and_cpu_continue_after_each_restore_with_2_vcpus() { work_with 2 disk,cpu,sleep; }
case_disk_and_cpu_continue_after_each_restore_with_4_vcpus() { work_with 4 disk,cpu; }
case_disk_and_packets_continue_after_each_restore_with_2_vcpus() { work_with 2 disk,net --network mode=tap,tapif=lk0,vhost=off; }
case_disk_and_vhost_continue_after_each_restore_with_2_vcpus() { work_with 2 disk,net --network mode=tap,tapif=lk0,vhost=required; }

# The other kinds of saves have two instants in each case, and N times ten instants in `make soak`.
in_way() { way=$1 instants=2; [ "$times" = 1 ] || instants=$(($2 * times)); shift 2; work_with "$@"; }
case_guest_continues_after_each_save_in_rounds() { in_way rounds 5 2 disk,cpu,sleep; }
case_guest_continues_after_each_save_of_a_chain() { in_way chain 5 2 disk,cpu; }
case_guest_continues_after_each_compressed_save() { in_way compressed 2 2 disk,cpu,sleep; }
case_guest_continues_after_each_point_in_time_save() { in_way point-in-time 5 2 cpu,sleep; }
