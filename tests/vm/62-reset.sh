# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: after a reset the whole machine is in its power-on state (tests/guest/reset)
# hosts: all

kernel=$programs/reset.bin

resets()
{
	head -c 4194304 /dev/zero >"$tmp/disk"
	start r '' --disk "$tmp/disk" --rng "$@"
	wait_exit r 0 100
	grep -q '^reset: 5 boots passed' "$logs/r.out" || fail "$(grep '^reset:' "$logs/r.out" | tail -n 1)"
}

case_reset_restores_power_on_state_with_two_vcpus() { resets --cpus 2 --balloon --network mode=tap,vhost=off; }
case_reset_restores_power_on_state_without_its() { resets --cpus 1 --irqchip gicv3; }
case_reset_restores_power_on_state_with_vhost() { resets --cpus 2 --network mode=tap,vhost=on; }
