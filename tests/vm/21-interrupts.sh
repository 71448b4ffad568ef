# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: the interrupts of every virtio device are counted: LPIs through the ITS, and interrupt lines without an ITS

# Kernels use different names for an LPI of a PCI device: ITS-MSI (6.1) or ITS-PCI-MSIX-... (6.12).

# work [OPTION...]: gives each device work, and then reads the guest's interrupt counts.
work()
{
	truncate -s 8M "$tmp/d"
	start g lkvm.shell=plain --cpus 2 --disk "$tmp/d" --network mode=tap,tapif=lk0 --rng --balloon "$@"
	wait_for g '^lkvm-guest: ready'
	ip addr add 10.9.0.1/24 dev lk0
	ask g 'ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; ping -c 3 -W 5 10.9.0.1'
	check_status 0
	ask g 'dd if=/dev/vda of=/dev/null bs=64k count=32; head -c 64 /dev/hwrng | wc -c'
	check_status 0
	"$lkvm" balloon g 16M || fail "lkvm balloon failed"
	sleep 2
	ask g 'cat /proc/interrupts'
	cp "$logs/said" "$logs/interrupts"
}

# counted CHIP VIRTIO: fails when the sum of the device's interrupt counts is 0.
counted()
{
	grep "$1" "$logs/interrupts" | grep "$2-" |
		awk '{ for (i = 2; i <= 3; i++) sum += $i } END { exit sum == 0 }' ||
		fail "the guest has no interrupt of $2 by $1"
}

finish()
{
	"$lkvm" stop g || fail "lkvm stop failed"
	wait_exit g 0
	grep -q '^lkvm-guest: power key' "$logs/g.out" || fail "the guest received no power key"
}

case_interrupts_arrive_through_the_its()
{
	work
	for device in virtio0 virtio1 virtio2 virtio3; do counted ITS- "$device"; done
	finish
}

case_interrupts_arrive_by_lines_without_its()
{
	work --irqchip gicv3
	! grep -q ITS- "$logs/interrupts" || fail "the guest has an ITS with --irqchip gicv3"
	for device in virtio0 virtio1 virtio2 virtio3; do
		grep GICv3 "$logs/interrupts" | grep -w "$device" | awk '{ sum += $2 + $3 } END { exit sum == 0 }' ||
			fail "the guest has no interrupt of $device by its line"
	done
	finish
}

case_interrupts_of_virtio_console_arrive()
{
	start g 'console=hvc0 lkvm.shell=plain' --console virtio
	wait_for g '^lkvm-guest: ready'
	ask g 'echo $((6 * 7)); cat /proc/interrupts'
	check "the guest's shell did not print 42" grep -qx 42 "$logs/said"
	cp "$logs/said" "$logs/interrupts"
	counted ITS- virtio0
	input g 'poweroff -f'
	wait_exit g 0
}
