# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest is saved, killed and restored, and continues as if nothing had happened
# hosts: all
# once: input_is_kept_by_save_and_restore restored_guest_stays_paused_and_resets restore_ends_when_ram_is_damaged
# once: save_waits_for_the_check_of_a_restore
# timeout: 400

boot()
{
	ready g "$@"
}

case_guest_continues_after_save_stop_and_restore()
{
	truncate -s 16M "$tmp/d"
	boot --cpus 2 --disk "$tmp/d" --rng --balloon
	ask g 'echo kept >/tmp/memory; dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null; md5sum /tmp/data'
	sum=$(cat "$logs/said")
	move g "$tmp/s"
	run "$lkvm" snapshot info "$tmp/s"
	check_status 0
	check_out 'memory +256 MiB'
	ask g 'cat /tmp/memory; md5sum /tmp/data'
	check "the restored guest lost its memory" grep -q '^kept' "$logs/said"
	check "the restored guest's data changed" grep -q "${sum%% *}" "$logs/said"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; grep virtio0-req /proc/interrupts; nproc'
	check "the restored guest lost a vCPU" grep -qx 2 "$logs/said"
	"$lkvm" stop g || fail "lkvm stop failed"
	wait_exit g 0
}

case_guest_keeps_running_after_a_save()
{
	boot
	ask g 'echo before >/tmp/when'
	save g "$tmp/s"
	ask g 'echo after >/tmp/when; cat /tmp/when'
	check "the guest does not run after the save" grep -qx after "$logs/said"
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'cat /tmp/when'
	check "the snapshot has data that the guest wrote after the save" grep -qx before "$logs/said"
	# The guest is restored again, from the same file. Nothing changed this file.
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'cat /tmp/when'
	check "the first restore changed the snapshot" grep -qx before "$logs/said"
}

case_guest_is_restored_without_its()
{
	truncate -s 16M "$tmp/d"
	boot --irqchip gicv3 --disk "$tmp/d"
	move g "$tmp/s"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the restored guest cannot read its disk" grep -qx 'read 0' "$logs/said"
}

case_virtio_console_works_after_restore()
{
	start g 'console=hvc0 lkvm.shell=plain' --console virtio
	wait_for g '^lkvm-guest: ready'
	for i in 1 2 3; do
		input g "echo before-$i"
	done
	move g "$tmp/s"
	wait_for g '^before-3'
	ask g 'echo after'
	check "the virtio console does not work after the restore" grep -qx after "$logs/said"
}

# After the restore, the guest reads the input that waited in the UART and the input that arrived while no lkvm ran. It
# reads each byte once.
case_input_is_kept_by_save_and_restore()
{
	boot
	"$lkvm" pause g
	input g 'echo one'
	sleep 1
	move g "$tmp/s"
	"$lkvm" list | grep -q 'g  *paused' && "$lkvm" resume g
	input g 'echo two'
	wait_for g '^two'
	check "the guest did not read the line exactly once" test "$(grep -c '^one' "$logs/g.out")" = 1
}

case_restored_guest_stays_paused_and_resets()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	restore g "$tmp/s" --paused
	wait_listening g
	run "$lkvm" list
	check_out 'g +paused'
	input g 'echo "it runs"'
	sleep 1
	check "the guest ran although it was restored with --paused" test "$(grep -c '^it runs' "$logs/g.out")" = 0
	"$lkvm" resume g
	wait_for g '^it runs'
	ask g 'echo gone >/tmp/x'
	: >"$logs/g.out"
	"$lkvm" reboot --force g || fail "lkvm reboot --force failed"
	wait_for g '^lkvm-guest: ready'
	ask g 'ls /tmp/x'
	check "the guest kept a file of its memory over the reset" test "$status" != 0
	move g "$tmp/s"
	ask g 'echo alive'
	check "the guest does not run after a reset, a save and a restore" grep -qx alive "$logs/said"
}

# One byte of RAM in the file is damaged, in a page that the guest has not written. lkvm finds the damage while the
# guest runs, before the guest runs, or never.
case_restore_ends_when_ram_is_damaged()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	printf x | dd of="$tmp/s" bs=1 seek=$((65536 + 250 * 1024 * 1024)) conv=notrunc 2>/dev/null
	restore g "$tmp/s"
	wait_exit g 4
	check "the message does not state that RAM is damaged" grep -q 'RAM is damaged: ' "$logs/g.err"
	run "$lkvm" snapshot restore "$tmp/s" --name g --eager
	check_status 1
	check_err 'RAM is damaged: '
	run "$lkvm" snapshot restore "$tmp/s" --name g --verify=before
	check_status 1
	check_err "$tmp/s: RAM is damaged: "
	run "$lkvm" snapshot restore "$tmp/s" --name g --verify=before --no-verify
	check_status 2
	check_err 'contradicts --verify=before'
	restore g "$tmp/s" --verify=none
	wait_listening g
	ask g 'echo runs all the same'
	check "the guest does not run with --verify=none" grep -qx 'runs all the same' "$logs/said"
	# A save of this guest is valid by its own checksums.
	move g "$tmp/s2"
	ask g 'echo still runs'
	check "the guest does not run after the second restore" grep -qx 'still runs' "$logs/said"
}

# A save that starts while RAM is still being checked waits for the end of the check. The save fails when the check
# fails.
case_save_waits_for_the_check_of_a_restore()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	save g "$tmp/s2"
	run "$lkvm" snapshot verify "$tmp/s2"
	check_status 0
	"$lkvm" stop --force g
	wait_exit g 0
	printf x | dd of="$tmp/s" bs=1 seek=$((65536 + 250 * 1024 * 1024)) conv=notrunc 2>/dev/null
	restore g "$tmp/s" --paused
	run "$lkvm" snapshot save g "$tmp/s3"
	[ "$status" != 0 ] || fail "the save of damaged RAM succeeded"
	wait_exit g 4
	check "the failed save left a file" test ! -e "$tmp/s3"
}

# The guest has every device that a machine can have, with several queues. Its snapshot is valid, and the restored guest
# continues.
case_machine_with_all_devices_is_restored()
{
	truncate -s 16M "$tmp/d"
	truncate -s 16M "$tmp/e"
	start g 'console=hvc0 lkvm.shell=plain' --cpus 4 --console virtio --disk "$tmp/d,queues=3" --disk "$tmp/e,ro" \
		--network mode=tap,queues=2 --network mode=tap --rng --balloon
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the guest cannot read its disk" grep -qx 'read 0' "$logs/said"
	move g "$tmp/s"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the restored guest cannot read its disk" grep -qx 'read 0' "$logs/said"
	save g "$tmp/s"
}
