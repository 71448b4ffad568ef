# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: passed-through PCI devices: data, interrupts, resets; devices that cannot be passed through, and the reasons
# hosts: all
# once: nvme_works_after_garbage_in_config_space nvme_works_after_each_of_ten_reboots
# once: run_names_the_reason_when_device_cannot_be_passed
# vfio: edu nvme pair
# timeout: 400

# scripts/host gives these slots to its devices, in the order of the line above.
edu=0000:00:10.0
nvme=0000:00:11.0
pair=0000:00:12

# shellcheck source=tests/vm/vfio.sh
. "$here/vfio.sh"

# look_again_and_again GUEST: inspects the guest until $tmp/enough exists. Each inspection disconnects the guest's
# irqfds and connects them again.
look_again_and_again()
{
	while [ ! -e "$tmp/enough" ]; do
		"$lkvm" inspect --its --json "$1" >/dev/null 2>>"$logs/looks.err" || break
		echo >>"$logs/looks"
	done &
}

# Each KiB of the disk begins with its number. Blanks follow.
read_all()
{
	sum=$(awk 'BEGIN { for (i = 0; i < 16384; i++) printf "%-1023d\n", i }' | sha1sum | cut -c1-40)
	says 'sha1sum </dev/nvme0n1 | cut -c1-40' "$sum"
}

case_nvme_works_with_its_own_driver()
{
	bind $nvme
	boot --cpus 2 --vfio-pci $nvme
	read_all
	# The device has a 64-bit BAR, in the upper half of the guest's physical addresses.
	says 'd=$(readlink -f /sys/block/nvme0n1/device/device); head -n 1 $d/resource | cut -c1-10' 0x00000080
	counted 'nvme0q[1-9]'
	check "the guest has no interrupt of the disk's queues" test "$count" -gt 0
	before=$count
	# The write goes to a part of the disk after the part that other cases read.
	says 'dd if=/dev/urandom of=/tmp/x bs=1M count=4 2>/dev/null; dd if=/tmp/x of=/dev/nvme0n1 bs=1M seek=12 conv=fsync 2>/dev/null;
		echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/nvme0n1 bs=1M skip=12 2>/dev/null | cmp - /tmp/x && echo same' same
	counted 'nvme0q[1-9]'
	check "the guest has no interrupt of the disk's queues for the last write and read" test "$count" -gt "$before"
	# This host has a GICv4.0, which sends the interrupts to the vCPUs itself. Newer kernels report this.
	run "$lkvm" stat --json g
	check_out "\"$nvme\": .*\"vectors\": \[\{\"vector\": 0, \"path\": \"irqfd\", \"host_interrupts\": 0\}, "
	path=irqfd
	mount -t debugfs none /sys/kernel/debug
	! test -e /sys/kernel/debug/kvm/*-*/vgic-its-state@* || path=vLPI
	# An inspection disconnects the irqfds and connects them again. No interrupt is lost.
	run "$lkvm" inspect --its g
	check_status 0
	says 'dd if=/dev/nvme0n1 bs=1M skip=12 iflag=direct 2>/dev/null | cmp - /tmp/x && echo same' same
	run "$lkvm" stat --json g
	check_out "\"path\": \"$path\", \"host_interrupts\": 0\}, "
	umount /sys/kernel/debug
	input g 'poweroff -f'
	wait_exit g 0
	unbind $nvme
}

case_edu_passes_all_cases()
{
	drive_edu ''
	edu_passes 1 13
}

case_edu_works_without_its()
{
	drive_edu 'count=30' --irqchip gicv3
	edu_passes 1 7
}

# An interrupt is in progress at each reset.
case_edu_works_after_each_of_ten_resets()
{
	drive_edu 'boots=11 count=20 cases=registers,dma,msi,line'
	edu_passes 11 4
}

# This host has a GICv4.0: the device's interrupts reach the vCPU without an interrupt of the host.
case_interrupts_are_forwarded_by_hardware()
{
	drive_edu 'count=200 cases=msi linger=4000'
	wait_for g '^edu: 200 MSIs'
	taken=$(grep "vfio-msi.*$edu" /proc/interrupts | awk '{ print $2 + $3 }')
	check "the host handled $taken interrupts of 200" test "${taken:-200}" -lt 20
	edu_passes 1 1
}

case_interrupts_are_complete_while_irqfds_come_and_go()
{
	drive_edu 'cases=storm storm=20000'
	wait_listening g
	look_again_and_again g
	wait_for g '^edu: 20000 MSIs' 300
	looks=$(wc -l <"$logs/looks")
	check "lkvm made only $looks inspections" test "$looks" -gt 4
	touch "$tmp/enough"
	edu_passes 1 1
}

# The device has PCI Express. It resets itself when config space requests this.
case_nvme_works_after_garbage_in_config_space()
{
	kernel=$programs/edu.bin
	bind $nvme
	for seed in 1 2 3; do
		start g "id=0x00101b36 cases=config-garbage count=150 seed=$seed" --vfio-pci $nvme
		edu_passes 1 1
	done
	kernel=$share/guest/Image
	bind $nvme
	boot --vfio-pci $nvme
	says 'head -c 1 /dev/nvme0n1; echo' 0
	"$lkvm" stop --force g
	wait_exit g 0
	unbind $nvme
}

# The device's driver starts after each reboot, although no guest shut the device down before.
case_nvme_works_after_each_of_ten_reboots()
{
	bind $nvme
	boot --vfio-pci $nvme
	boots=1
	while [ $boots -lt 11 ]; do
		ask g '(dd if=/dev/nvme0n1 of=/dev/null bs=64k &)'
		boots=$((boots + 1))
		restart $boots
		says "dd if=/dev/nvme0n1 bs=1k skip=$((boots * 777)) count=1 2>/dev/null | tr -d ' '" $((boots * 777))
		counted 'nvme0q[1-9]'
		check "the guest has no interrupt of the disk's queues after boot $boots" test "$count" -gt 0
	done
	"$lkvm" stop --force g
	wait_exit g 0
	check_only_resets g
	unbind $nvme
}

case_devices_of_one_group_are_passed_together()
{
	bind $pair.0 $pair.1
	check "the two functions are in two groups" test -e $devices/$pair.0/iommu_group/devices/$pair.1
	start g 'lkvm.shell=plain' --vfio-pci $pair.0 --vfio-pci $pair.1
	wait_for g '^lkvm-guest: ready'
	ask g 'cat /sys/bus/pci/devices/*/device'
	check "the guest does not have both functions" test "$(grep -c 0x11e8 "$logs/said")" = 2
	refused 'in use by another program' --vfio-pci $pair.0
	"$lkvm" stop --force g
	wait_exit g 0
	unbind $pair.0 $pair.1
}

case_host_gets_device_back_when_the_guest_ends()
{
	bind $nvme
	boot --vfio-pci $nvme
	echo $nvme >$devices/$nvme/driver/unbind &
	unbinding=$!
	tries=0
	until grep -q "$nvme: the host wants the device back" "$logs/g.err"; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "lkvm does not print that the host wants the device back"
		sleep 0.2
	done
	says 'head -c 1 /dev/nvme0n1; echo' 0
	"$lkvm" stop --force g
	wait_exit g 0
	wait $unbinding || fail "the device was not unbound"

	# The device is removed completely.
	bind $nvme
	boot --vfio-pci $nvme
	echo 1 >$devices/$nvme/remove &
	unplugging=$!
	sleep 1
	"$lkvm" stop --force g
	wait_exit g 0
	wait $unplugging || fail "the device was not removed"
	refused 'no such PCI device' --vfio-pci $nvme
	echo 1 >/sys/bus/pci/rescan
	check "the device is not back after the rescan" test -e $devices/$nvme
	unbind $nvme
}

# The command runs as a user with few rights.
case_run_names_rights_that_the_user_lacks()
{
	bind $nvme
	group=$(basename "$(readlink $devices/$nvme/iommu_group)")
	chmod 1777 "$XDG_RUNTIME_DIR" "$logs"
	chmod 666 /dev/kvm
	as_nobody="ulimit -l 1024; exec $lkvm run --name bad --kernel $kernel --mem 256 --vfio-pci $nvme"
	run su nobody -s /bin/sh -c "$as_nobody"
	check_status 1
	check_err "/dev/vfio/$group cannot be opened"
	chown nobody "/dev/vfio/$group"
	run su nobody -s /bin/sh -c "$as_nobody"
	check_status 1
	check_err "256 MiB of memory, which must be locked; this user may lock 1 MiB"
	unbind $nvme
}

case_run_names_the_reason_when_device_cannot_be_passed()
{
	unbind $edu $nvme
	refused 'no such PCI device' --vfio-pci 00:1f.7
	refused 'no driver of the host is bound to it.*modprobe vfio-pci; echo vfio-pci' --vfio-pci $edu
	echo $nvme >/sys/bus/pci/drivers_probe
	refused 'driver nvme is bound to it.*unbind' --vfio-pci 00:11.0
	run "$lkvm" run --kernel "$kernel" --vfio-pci $nvme --balloon
	check_status 2
	check_err 'balloon'
	refused 'driver nvme is bound to it' --vfio-pci $nvme
	sh -c "$(sed 's/.*bind vfio-pci with: //' "$logs/run.err")" || fail "the commands in the message fail"
	boot --vfio-pci $nvme
	refused 'in use by another program' --vfio-pci $nvme
	run "$lkvm" snapshot save g "$tmp/snapshot"
	check_status 1
	check_err "$nvme.*cannot save its state"
	check "the failed save left a file" test ! -e "$tmp/snapshot"
	"$lkvm" stop --force g
	wait_exit g 0
	unbind $nvme
}
