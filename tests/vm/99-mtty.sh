# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: a mediated device (the kernel's mtty) without an IOMMU: ports, its interrupt line, refused requests
# vfio: mtty

types=/sys/class/mdev_bus/mtty/mdev_supported_types
mediated=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
another=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002

# make_mediated PORTS: makes the mediated device with this number of ports.
make_mediated()
{
	modprobe vfio_iommu_type1
	modprobe mtty
	drop_mediated
	echo $mediated >"$types/mtty-$1/create"
}

drop_mediated() { [ ! -e /sys/bus/mdev/devices/$mediated ] || echo 1 >/sys/bus/mdev/devices/$mediated/remove; }

drive_mtty()
{
	kernel=$programs/mtty.bin
	start g "$@" --vfio-pci $mediated
}

mtty_passes()
{
	wait_exit g 0 300
	! grep -q 'mtty: FAILED' "$logs/g.out" || fail "$(grep 'mtty: FAILED' "$logs/g.out")"
	grep -q "^mtty: $1" "$logs/g.out" || fail "the program did not print \"mtty: $1\""
}

case_mtty_passes_all_cases()
{
	check "the host has an IOMMU" test -z "$(ls /sys/class/iommu)"
	for ports in 1 2; do
		make_mediated $ports
		drive_mtty ''
		mtty_passes "boot 1: 7 cases passed, $ports ports"
		drop_mediated
	done
}

# Each interrupt except the first arrives only if the end of the previous interrupt was reported.
case_interrupts_arrive_without_its()
{
	make_mediated 1
	drive_mtty 'cases=line count=300' --irqchip gicv3
	mtty_passes 'boot 1: 1 cases passed'
	drop_mediated
}

# The kernel does not reset the device, but the guest's next driver finds the interrupt line in its first state.
case_mtty_works_after_each_of_five_resets()
{
	make_mediated 2
	drive_mtty 'boots=6 count=20'
	mtty_passes 'boot 6: 7 cases passed'
	drop_mediated
}

case_bytes_wait_in_the_device()
{
	make_mediated 2
	for options in '' 'pending=1'; do
		drive_mtty "fill=15 linger=300 $options"
		mtty_passes '15 bytes came back'
	done
	drop_mediated
}

# The device's driver saves the device's bytes: all at once, or a part in advance while the guest still runs.
case_save_keeps_bytes_that_wait_in_the_device()
{
	make_mediated 2
	for options in '' 'pending=1'; do
		for way in '' --live; do
			drive_mtty "fill=15 $options"
			wait_for g '^mtty: filled'
			save g "$tmp/snapshot" $way
			save g "$tmp/moved" --stop $way
			wait_exit g 0
			restore g "$tmp/moved"
			wait_listening g
			input g x
			mtty_passes '15 bytes came back'
		done
	done
	# The guest is restored once more, from the first file.
	drop_mediated
	make_mediated 2
	: >"$logs/g.out"
	restore g "$tmp/snapshot"
	wait_listening g
	input g x
	mtty_passes '15 bytes came back'
	drop_mediated
}

# One device is of the same kind and has another name. One device is of another kind.
case_restore_accepts_another_device_of_the_same_kind()
{
	make_mediated 1
	drive_mtty 'fill=7'
	wait_for g '^mtty: filled'
	save g "$tmp/snapshot" --stop
	wait_exit g 0
	drop_mediated
	run timeout 20 "$lkvm" snapshot restore "$tmp/snapshot"
	check_status 1
	check_err 'no such mediated device'
	echo $another >$types/mtty-2/create
	run timeout 20 "$lkvm" snapshot restore "$tmp/snapshot" --vfio-pci $another
	check_status 1
	check_err "$another"
	echo 1 >/sys/bus/mdev/devices/$another/remove
	echo $another >$types/mtty-1/create
	restore g "$tmp/snapshot" --vfio-pci $another
	wait_listening g
	input g x
	mtty_passes '7 bytes came back'
	echo 1 >/sys/bus/mdev/devices/$another/remove
}

# Linux has a driver for these ports.
case_linux_finds_serial_ports()
{
	make_mediated 2
	start g lkvm.shell=plain --vfio-pci $mediated
	wait_for g '^lkvm-guest: ready'
	ask g 'cat /proc/ioports'
	check "the guest does not have two serial ports: $(cat "$logs/said")" test "$(grep -c '^    .* : serial' "$logs/said")" = 2
	"$lkvm" stop --force g
	wait_exit g 0
	drop_mediated
}

case_run_and_save_name_the_reason_when_they_refuse()
{
	drop_mediated
	refused 'no such mediated device.*/mdev_supported_types/TYPE/create' --vfio-pci $mediated
	make_mediated 1
	run "$lkvm" run --kernel "$kernel" --vfio-pci ${mediated}0
	check_status 2
	check_err 'UUID of a mediated'
	echo $mediated >/sys/bus/mdev/drivers/mtty/unbind
	refused 'its driver released it' --vfio-pci $mediated
	sh -c "$(sed 's/.*after this command: //' "$logs/run.err")" || fail "the command in the message fails"
	make_mediated 1
	drive_mtty 'fill=1'
	wait_for g '^mtty: filled'
	refused 'in use by another program' --vfio-pci $mediated
	run "$lkvm" snapshot save g "$tmp/snapshot" --live=point-in-time
	check_status 1
	check_err "a passed-through device's writes to RAM cannot be intercepted"
	check "the refused save left a file" test ! -e "$tmp/snapshot"
	run "$lkvm" snapshot save g "$tmp/snapshot" --live --json
	check_out '"way": "rounds"'
	input g x
	mtty_passes '1 bytes came back'
	drop_mediated
}
