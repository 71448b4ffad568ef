# shellcheck shell=sh disable=SC2154,SC2016,SC2034
# SPDX-License-Identifier: MIT
# The words of tests with passed-through devices, which read this file. Slots of the host that scripts/host gives to its
# devices go from 10 on, in the order of the line "# vfio:".

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

# counted REGEX: the interrupts of these names so far, on all vCPUs, in $count.
# shellcheck disable=SC2034 # used by tests
counted()
{
	ask g "grep -E '$1' /proc/interrupts"
	count=$(awk '{ for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' "$logs/said")
}

says() { ask g "$1"; check "\"$1\" did not say \"$2\": $(cat "$logs/said")" grep -qx -- "$2" "$logs/said"; }

# restart N: without asking the guest; it is up for the Nth time then.
restart()
{
	"$lkvm" reboot --force g || fail "reboot $(($1 - 1))"
	wait_boot g "$1"
}

# check_only_resets NAME: the only messages of its lkvm are those of resets that were asked for.
check_only_resets()
{
	message=$(grep -vxF 'lkvm: warning: lkvm reboot --force resets the guest: it starts again' "$logs/$1.err" || true)
	check "messages: $message" test -z "$message"
}

# drive_edu 'PARAMETERS' [OPTION...]: its own guest with $edu, in the background.
drive_edu()
{
	kernel=$programs/edu.bin
	bind "$edu"
	start g "$@" --vfio-pci "$edu"
}

# edu_passes BOOT N: it ended well.
edu_passes()
{
	wait_exit g 0 300
	! grep -q 'edu: FAILED' "$logs/g.out" || fail "$(grep 'edu: FAILED' "$logs/g.out")"
	grep -q "^edu: boot $1: $2 cases passed" "$logs/g.out" || fail "no \"boot $1: $2 cases passed\""
	unbind "$edu"
}

# move_detached FILE: saved without the devices' state, ended, restored.
move_detached()
{
	save g "$1" --stop --detach-vfio
	wait_exit g 0
	restore g "$1"
	wait_listening g
}
