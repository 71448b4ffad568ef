# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: the guest can use SVE, pointer authentication and the PMU
# cpu: max
# timeout: 400

case_guest_sees_sve_pauth_and_pmu()
{
	start g lkvm.shell=plain --pmu
	wait_for g '^lkvm-guest: ready' 120
	ask g 'grep -m 1 Features /proc/cpuinfo'
	check "the guest has no SVE" grep -qw sve "$logs/said"
	check "the guest has no pointer authentication" grep -qw paca "$logs/said"
	ask g 'dmesg | grep perfevents'
	check "the guest has no PMU" grep -q armv8_pmuv3 "$logs/said"
	input g 'poweroff -f'
	wait_exit g 0 120
}

case_guest_sees_no_sve_and_pauth_when_disabled()
{
	start g lkvm.shell=plain --disable-sve --disable-pauth
	wait_for g '^lkvm-guest: ready' 120
	ask g 'grep -m 1 Features /proc/cpuinfo'
	check "the guest still has SVE or pointer authentication" test "$(grep -cwE 'sve|paca' "$logs/said")" = 0
	input g 'poweroff -f'
	wait_exit g 0 120
}
