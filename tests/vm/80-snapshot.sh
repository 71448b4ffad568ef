# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest is saved, killed, restored, and goes on as if nothing had happened
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
	check "memory is lost" grep -q '^kept' "$logs/said"
	check "data changed" grep -q "${sum%% *}" "$logs/said"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; grep virtio0-req /proc/interrupts; nproc'
	check "a vCPU is lost" grep -qx 2 "$logs/said"
	"$lkvm" stop g || fail "stop"
	wait_exit g 0
}

case_guest_keeps_running_after_a_save()
{
	boot
	ask g 'echo before >/tmp/when'
	save g "$tmp/s"
	ask g 'echo after >/tmp/when; cat /tmp/when'
	check "it did not go on" grep -qx after "$logs/said"
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'cat /tmp/when'
	check "what came after the save is in it" grep -qx before "$logs/said"
	# again, from the same file, which nobody changed
	"$lkvm" stop --force g
	wait_exit g 0
	restore g "$tmp/s"
	wait_listening g
	ask g 'cat /tmp/when'
	check "the snapshot changed" grep -qx before "$logs/said"
}

case_guest_is_restored_without_its()
{
	truncate -s 16M "$tmp/d"
	boot --irqchip gicv3 --disk "$tmp/d"
	move g "$tmp/s"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the disk is lost" grep -qx 'read 0' "$logs/said"
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
	check "the console is lost" grep -qx after "$logs/said"
}

# What waits in the UART and what comes while nobody runs is read later, each byte once.
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
	check "a line was lost" test "$(grep -c '^one' "$logs/g.out")" = 1
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
	check "it runs though paused" test "$(grep -c '^it runs' "$logs/g.out")" = 0
	"$lkvm" resume g
	wait_for g '^it runs'
	ask g 'echo gone >/tmp/x'
	: >"$logs/g.out"
	"$lkvm" reboot --force g || fail "reboot --force"
	wait_for g '^lkvm-guest: ready'
	ask g 'ls /tmp/x'
	check "memory survived a reset" test "$status" != 0
	move g "$tmp/s"
	ask g 'echo alive'
	check "no life after a reset" grep -qx alive "$logs/said"
}

# One byte of RAM in the file, where the guest has none of its own: found while it runs, or before, or never.
case_restore_ends_when_ram_is_damaged()
{
	boot
	save g "$tmp/s" --stop
	wait_exit g 0
	printf x | dd of="$tmp/s" bs=1 seek=$((65536 + 250 * 1024 * 1024)) conv=notrunc 2>/dev/null
	restore g "$tmp/s"
	wait_exit g 4
	check "it does not say why" grep -q 'RAM is damaged: ' "$logs/g.err"
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
	check "it does not run" grep -qx 'runs all the same' "$logs/said"
	# Saved, it is right by its own checksums.
	move g "$tmp/s2"
	ask g 'echo goes on'
	check "it does not go on" grep -qx 'goes on' "$logs/said"
}

# Asked to save while RAM is still being checked, it waits for that; and refuses where that fails.
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
	[ "$status" != 0 ] || fail "damage was saved"
	wait_exit g 4
	check "a file is left" test ! -e "$tmp/s3"
}

# All that a machine can have, with several queues: what is saved is right, and goes on.
case_machine_with_all_devices_is_restored()
{
	truncate -s 16M "$tmp/d"
	truncate -s 16M "$tmp/e"
	start g 'console=hvc0 lkvm.shell=plain' --cpus 4 --console virtio --disk "$tmp/d,queues=3" --disk "$tmp/e,ro" \
		--network mode=tap,queues=2 --network mode=tap --rng --balloon
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the disk does not work" grep -qx 'read 0' "$logs/said"
	move g "$tmp/s"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; echo "read $?"'
	check "the disk is lost" grep -qx 'read 0' "$logs/said"
	save g "$tmp/s"
}
