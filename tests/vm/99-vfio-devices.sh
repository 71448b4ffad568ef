# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: passed-through network cards, disks and USB with their own drivers: data, interrupts, a reset
# guests: 6.12-full
# vfio: virtio-net virtio-blk e1000e xhci

virtio_net=0000:00:10.0
virtio_blk=0000:00:11.0
e1000e=0000:00:12.0
xhci=0000:00:13.0

# shellcheck source=tests/vm/vfio.sh
. "$here/vfio.sh"

# sum_of N: the checksum of the first N KiB of the disks. Each KiB begins with its number.
sum_of() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "%-1023d\n", i }' | sha1sum | cut -c1-40; }

# forwarded DEVICE REGEX: the guest had interrupts of DEVICE whose names match REGEX, and the host had none.
forwarded()
{
	counted "$2"
	check "the guest had no interrupt \"$2\"" test "$count" -gt 0
	run "$lkvm" stat --json g
	sed -n "s/.*\"$1\": {\([^]]*\)\].*/\1/p" "$logs/run.out" >"$logs/vectors"
	check "lkvm stat shows no vector of $1 with an irqfd" grep -q '"path": "irqfd", "host_interrupts": 0' "$logs/vectors"
	! grep -q '"host_interrupts": [1-9]' "$logs/vectors" || fail "the host handled interrupts of $1: $(cat "$logs/vectors")"
}

# fetches DRIVER DEVICE REGEX: the guest fetches a file by the network card that has DRIVER. It switches the card off
# afterwards, because both cards are on the same network.
fetches()
{
	says "cd /sys/class/net; for e in *; do readlink \$e/device/driver | grep -q '/$1\$' && break; done
		ifconfig \$e 10.0.2.15 up; until grep -q 1 \$e/carrier; do sleep 0.1; done
		tftp -g -r file -l /tmp/file 10.0.2.2; sha1sum </tmp/file | cut -c1-40; rm /tmp/file" "$(sum_of 256)"
	forwarded "$2" "$3"
	ask g 'ifconfig $e 0.0.0.0 down'
}

all_work()
{
	fetches virtio_net $virtio_net 'virtio[0-9]*-(input|output)'
	says 'head -c 4194304 /dev/vda | sha1sum | cut -c1-40' "$sum"
	forwarded $virtio_blk 'virtio[0-9]*-req'
	ask g 'modprobe e1000e'
	fetches e1000e $e1000e 'eth[0-9]-(rx|tx)'
	ask g 'modprobe xhci_pci; modprobe usb_storage; modprobe sd_mod; until [ -b /dev/sda ]; do sleep 0.1; done'
	says 'head -c 4194304 /dev/sda | sha1sum | cut -c1-40' "$sum"
	forwarded $xhci xhci
}

case_devices_work_together_and_after_a_reset()
{
	sum=$(sum_of 4096)
	bind $virtio_net $virtio_blk $e1000e $xhci
	boot --cpus 2 --vfio-pci $virtio_net --vfio-pci $virtio_blk --vfio-pci $e1000e --vfio-pci $xhci
	all_work
	restart 2
	all_work
	"$lkvm" stop --force g
	wait_exit g 0
	check_only_resets g
}

# The card has no function-level reset, but the host can reset it in another way. The card's link needs some time to
# come up again.
case_network_card_recovers_after_it_was_detached()
{
	bind $e1000e
	boot --vfio-pci $e1000e
	ask g 'modprobe e1000e; sleep 1; for e in /sys/class/net/eth*; do e=${e##*/}; done; ifconfig $e 10.0.2.15 up'
	reaches='i=0; until ping -c 1 -W 2 10.0.2.2 >/dev/null; do i=$((i + 1)); [ $i -lt 15 ] || break; done; [ $i -lt 15 ] && echo reached'
	says "$reaches" reached
	save g "$tmp/snapshot" --detach-vfio
	says "$reaches" reached
	move_detached "$tmp/snapshot"
	says "$reaches" reached
	says "dmesg | grep -c 'e1000e.*AER: device recovery successful'" 2
	"$lkvm" stop --force g
	wait_exit g 0
	check "lkvm printed messages: $(head -n 1 "$logs/g.err")" test ! -s "$logs/g.err"
}
