# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: pvpanic: a guest's panic ends lkvm with the status of a crash, also after a restore; Debian's kernels have no driver for it

kernel=$programs/panic.bin

# crash GUEST: the guest panics, and its lkvm ends.
crash()
{
	input "$1" panic
	wait_exit "$1" 3
	check "lkvm printed no sentence about the panic" grep -qx "lkvm: .*: the guest panicked" "$logs/$1.err"
}

case_guest_that_panics_ends_lkvm()
{
	start g ''
	wait_for g '^panic: ready'
	check "the device does not show the guest the bits of supported events" grep -q '16 bytes, supports 3' "$logs/g.out"
	check "lkvm did not print one warning" test "$(cat "$logs/g.err")" = 'lkvm: warning: the guest panicked, and its crash kernel starts'
	save g "$tmp/s"
	crash g
	restore g "$tmp/s"
	wait_listening g
	crash g
}

case_device_is_absent_without_defaults()
{
	start g '' --nodefaults
	wait_exit g 0
	check "the guest has a pvpanic device with --nodefaults" grep -q '^panic: no pvpanic' "$logs/g.out"
	start g '' --disable-pvpanic
	wait_exit g 0
	check "the guest has a pvpanic device with --disable-pvpanic" grep -q '^panic: no pvpanic' "$logs/g.out"
}
