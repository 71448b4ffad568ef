# shellcheck shell=sh disable=SC2154,SC2016,SC2034
# SPDX-License-Identifier: MIT
# The functions of tests with passed-through devices, which read this file. scripts/host gives slots of the host to its
# devices from 10 on, in the order of the line "# vfio:".

devices=/sys/bus/pci/devices

bind()
{
	modprobe vfio_iommu_type1
	modprobe vfio-pci
	unbind "$@"
	for b; do
		echo vfio-pci >"$devices/$b"/driver_override
		echo "$b" >/sys/bus/pci/drivers_probe
	done
}

unbind()
{
	for b; do
		echo >"$devices/$b"/driver_override
		[ ! -e "$devices/$b"/driver ] || echo "$b" >"$devices/$b"/driver/unbind
	done
}

boot()
{
	start g lkvm.shell=plain "$@"
	wait_for g '^lkvm-guest: ready'
}

# counted REGEX: sets $count to the number of interrupts of these names so far, on all vCPUs.
# shellcheck disable=SC2034 # used by tests
counted()
{
	ask g "grep -E '$1' /proc/interrupts"
	count=$(awk '{ for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' "$logs/said")
}

says() { ask g "$1"; check "the guest's output of \"$1\" has no line \"$2\": $(cat "$logs/said")" grep -qx -- "$2" "$logs/said"; }

# restart N: resets the guest without a request to it, and waits until it is up for the Nth time.
restart()
{
	"$lkvm" reboot --force g || fail "lkvm reboot --force failed at reboot $(($1 - 1))"
	wait_boot g "$1"
}

# check_only_resets NAME: lkvm printed only the messages of the resets that the case requested.
check_only_resets()
{
	message=$(grep -vxF 'lkvm: warning: lkvm reboot --force resets the guest: it starts again' "$logs/$1.err" || true)
	check "lkvm printed other messages: $message" test -z "$message"
}

# drive_edu 'PARAMETERS' [OPTION...]: starts the device's own guest with $edu, in the background.
drive_edu()
{
	kernel=$programs/edu.bin
	bind "$edu"
	start g "$@" --vfio-pci "$edu"
}

# edu_passes BOOT N: the guest ended, and N cases passed in this boot.
edu_passes()
{
	wait_exit g 0 300
	! grep -q 'edu: FAILED' "$logs/g.out" || fail "$(grep 'edu: FAILED' "$logs/g.out")"
	grep -q "^edu: boot $1: $2 cases passed" "$logs/g.out" || fail "the guest did not print \"boot $1: $2 cases passed\""
	unbind "$edu"
}

# move_detached FILE: saves the guest without the devices' state, ends it and restores it.
move_detached()
{
	save g "$1" --stop --detach-vfio
	wait_exit g 0
	restore g "$1"
	wait_listening g
}
