# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: guests with passed-through devices are saved without their state, and restored: nothing pending is lost
# hosts: all
# vfio: edu nvme
# timeout: 400

edu=0000:00:10.0
nvme=0000:00:11.0

# shellcheck source=tests/vm/vfio.sh
. "$here/vfio.sh"

drive_edu()
{
	kernel=$programs/edu.bin
	bind $edu
	start g "$@" --vfio-pci $edu
}

edu_passes()
{
	wait_exit g 0 300
	! grep -q 'edu: FAILED' "$logs/g.out" || fail "$(grep 'edu: FAILED' "$logs/g.out")"
	grep -q "^edu: boot 1: 1 cases passed" "$logs/g.out" || fail "it did not end well"
	unbind $edu
}

move_detached()
{
	save g "$1" --stop --detach-vfio
	wait_exit g 0
	restore g "$1"
	wait_listening g
}

# One in the hardware, as the host's count of it shows; one in KVM.
case_pending_interrupts()
{
	drive_edu 'cases=pending linger=4000'
	wait_for g '^edu: two are pending'
	taken=$(grep "vfio-msi.*$edu" /proc/interrupts | awk '{ print $2 + $3 }')
	check "the host took $taken interrupts" test "${taken:-1}" = 0
	save g "$tmp/first" --detach-vfio
	move_detached "$tmp/second"
	edu_passes
	# The first one of them, too.
	bind $edu
	: >"$logs/g.out"
	restore g "$tmp/first"
	edu_passes
}

# The guest ends while it is saved: only that may go wrong.
case_storm_of_saves()
{
	drive_edu 'cases=storm storm=10000'
	wait_listening g
	saves=0
	while :; do
		stops='' saves=$((saves + 1))
		[ $((saves % 4)) != 0 ] || stops=--stop
		run "$lkvm" snapshot save g "$tmp/snapshot" --detach-vfio $stops
		! grep -q '^edu: 10000 MSIs\|edu: FAILED' "$logs/g.out" || break
		check_status 0
		if [ -n "$stops" ]; then
			wait_exit g 0
			restore g "$tmp/snapshot"
			wait_listening g
		fi
		sleep 0.2
	done
	edu_passes
	check "$saves saves" test $saves -gt 5
}

# The guest's disk is the host's: what it wrote is there.
case_nvme_detached()
{
	bind $nvme
	boot --cpus 2 --vfio-pci $nvme
	says 'dd if=/dev/nvme0n1 bs=1k skip=777 count=1 iflag=direct 2>/dev/null | tr -d " "' 777
	save g "$tmp/snapshot" --detach-vfio
	says 'dd if=/dev/nvme0n1 bs=1k skip=778 count=1 2>/dev/null | tr -d " "' 778
	ask g 'dmesg | tail -n 20'
	cp "$logs/said" "$logs/dmesg1"
	move_detached "$tmp/snapshot"
	says 'dd if=/dev/nvme0n1 bs=1k skip=1779 count=1 2>/dev/null | tr -d " "' 1779
	ask g 'dmesg | tail -n 20'
	"$lkvm" stop --force g
	wait_exit g 0
	unbind $nvme
}
