# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: a distribution's systemd detects KVM, and powers off and restarts in order when stop and reboot press the keys
# needs: systemd
# soak: yes
# timeout: 600

kernel=$share/systemd/Image
initrd=$share/systemd/initrd

up="Reached target.*Multi-User System"

# boot DEVICE [OPTION...]: waits until the guest is up and logind watches DEVICE. lkvm uses the last --mem of the
# command line.
boot()
{
	device=$1
	shift
	start g 'systemd.journald.forward_to_console=1 systemd.log_color=no systemd.show_status=yes' "$@" --mem 768
	listens 1 "$device"
}

# listens N DEVICE: waits until the guest is up for the Nth time and logind watches DEVICE.
listens()
{
	tick
	end=$((now + 240))
	until [ "$(grep -Ec "$up" "$logs/g.out")" -ge "$1" ] &&
		[ "$(grep -Ec "Watching system buttons.*$2" "$logs/g.out")" -ge "$1" ]; do
		[ ! -s "$tmp/g.status" ] || fail "the guest's lkvm ended with status $(cat "$tmp/g.status")"
		tick
		[ "$now" -lt "$end" ] || fail "boot $1: systemd is not up, or logind does not watch $2"
		sleep 0.5
	done
}

reboots_and_stops()
{
	run "$lkvm" reboot g
	check_status 0
	grep -q 'reboot: Restarting system' "$logs/g.out" || fail "systemd did not restart the guest in order"
	listens 2 "$1"
	run "$lkvm" stop g
	check_status 0
	wait_exit g 0
	grep -q 'reboot: Power down' "$logs/g.out" || fail "systemd did not power the guest off in order"
}

# The guest has only the keys on the board's GPIO.
case_gpio_keys_reboot_and_stop_systemd()
{
	boot gpio-keys --nodefaults
	reboots_and_stops gpio-keys
}

case_systemd_detect_virt_prints_kvm()
{
	boot gpio-keys --nodefaults
	wait_for g 'systemd-detect-virt\[[0-9]*\]: kvm'
	"$lkvm" stop --force g
	wait_exit g 0
}

# With the defaults, lkvm presses each key on both devices.
case_keys_of_both_devices_reboot_and_stop_systemd()
{
	boot 'lkvm power buttons'
	reboots_and_stops 'lkvm power buttons'
}
