# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: guests with passed-through devices are saved without the devices' state and restored; no pending interrupt is lost
# hosts: all
# vfio: edu nvme
# timeout: 400

edu=0000:00:10.0
nvme=0000:00:11.0

# shellcheck source=tests/vm/vfio.sh
. "$here/vfio.sh"

# One interrupt is pending in the hardware, as the host's count of it shows. The other one is pending in KVM.
case_pending_interrupts_are_kept_by_a_save()
{
	drive_edu 'cases=pending linger=4000'
	wait_for g '^edu: two are pending'
	taken=$(grep "vfio-msi.*$edu" /proc/interrupts | awk '{ print $2 + $3 }')
	check "the host handled $taken interrupts of the device" test "${taken:-1}" = 0
	save g "$tmp/first" --detach-vfio
	move_detached "$tmp/second"
	edu_passes 1 1
	# The first snapshot keeps the interrupts, too.
	bind $edu
	: >"$logs/g.out"
	restore g "$tmp/first"
	edu_passes 1 1
}

has_ended() { grep -q '^edu: 10000 MSIs\|edu: FAILED' "$logs/g.out"; }

# The guest can end during a save, or directly after a restore. A command may fail only then.
case_interrupts_are_complete_during_a_storm_of_saves()
{
	drive_edu 'cases=storm storm=10000'
	wait_listening g
	saves=0
	while :; do
		stops='' saves=$((saves + 1))
		[ $((saves % 4)) != 0 ] || stops=--stop
		# A save does not replace the file that the guest was restored from.
		snapshot=$tmp/snapshot$(((saves - 1) / 4 % 2))
		run "$lkvm" snapshot save g "$snapshot" --detach-vfio $stops
		if [ -n "$stops" ] && [ "$status" = 0 ]; then
			wait_exit g 0
			restore g "$snapshot"
		fi
		! has_ended || break
		check_status 0
		until has_ended || "$lkvm" stat g >/dev/null 2>&1; do sleep 0.2; done
		sleep 0.2
	done
	edu_passes 1 1
	check "lkvm made only $saves saves" test $saves -gt 5
}

# lkvm resets the device while the guest uses it. The guest gets an error, which its driver repairs. Written data and
# requests in progress reach the disk, and no user of the disk gets an error.
case_nvme_recovers_after_it_was_detached()
{
	bind $nvme
	boot --cpus 2 --vfio-pci $nvme
	says 'dd if=/dev/urandom of=/tmp/x bs=1M count=4 2>/dev/null; dd if=/tmp/x of=/dev/nvme0n1 bs=1M seek=12 2>/dev/null; echo $?' 0
	input g '(while :; do dd if=/dev/nvme0n1 of=/dev/null bs=64k count=64 iflag=direct 2>>/tmp/errors || echo bad >>/tmp/bad; done) &'
	for i in 1 2; do
		save g "$tmp/snapshot" --detach-vfio
		says 'dd if=/dev/nvme0n1 bs=1k skip=778 count=1 iflag=direct 2>/dev/null | tr -d " "' 778
		recovered=$((2 * i - 1))
		says "dmesg | grep -c 'nvme0: restart after slot reset'" $recovered
		move_detached "$tmp/snapshot$i"
		says 'dd if=/dev/nvme0n1 bs=1k skip=1779 count=1 iflag=direct 2>/dev/null | tr -d " "' 1779
		says "dmesg | grep -c 'nvme0: restart after slot reset'" $((recovered + 1))
	done
	says 'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/nvme0n1 bs=1M skip=12 2>/dev/null | cmp - /tmp/x && echo same' same
	says 'cat /tmp/bad 2>&1' "cat: can't open '/tmp/bad': No such file or directory"
	says 'dmesg | grep -c "I/O error"' 0
	counted 'nvme0q[1-9]'
	before=$count
	says 'dd if=/dev/nvme0n1 bs=1k skip=777 count=1 iflag=direct 2>/dev/null | tr -d " "' 777
	counted 'nvme0q[1-9]'
	check "the guest has no interrupt of the disk for the last read" test "$count" -gt "$before"
	"$lkvm" stop --force g
	wait_exit g 0
	check "lkvm printed messages: $(head -n 1 "$logs/g.err")" test ! -s "$logs/g.err"
	unbind $nvme
}
