# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: a hostile driver (tests/guest/garbage) cannot harm the VMM or change data that it may not write
# hosts: all
# once: vmm_survives_garbage_without_its vmm_survives_garbage_for_console_and_net
# once: vmm_survives_garbage_while_paused_and_resumed vmm_survives_garbage_while_reset

kernel=$programs/garbage.bin

# The program may write to the first MiB of the disk. The rest of the disk must not change. Its contents can be any text
# that differs from place to place.
make_disk()
{
	i=0
	while [ $i -lt 4096 ]; do
		printf '%1023s\n' $i
		i=$((i + 1))
	done >"$tmp/disk"
	tail -c +1048577 "$tmp/disk" >"$tmp/before"
}

# attack 'PARAMETERS' [OPTION...]: starts the hostile driver.
attack()
{
	parameters=$1
	shift
	make_disk
	start g "$parameters" --disk "$tmp/disk" --rng --disable-pvpanic "$@" # what writes everywhere would panic
}

# survives WHAT: every device that was attacked works again, and nothing else changed.
survives()
{
	wait_exit g 0 100
	grep -q 'FAILED' "$logs/g.out" && fail "$(grep FAILED "$logs/g.out")"
	grep -q "^garbage: $1 passed" "$logs/g.out" || fail "the program did not print \"garbage: $1 passed\""
	tail -c +1048577 "$tmp/disk" | cmp -s - "$tmp/before" || fail "the disk changed after its first MiB"
}

case_vmm_survives_garbage_by_two_vcpus()
{
	attack '' --cpus 2 --balloon
	survives '10 cases'
}

case_vmm_survives_garbage_without_its()
{
	attack seed=2 --cpus 1 --irqchip gicv3 --nodefaults
	survives '10 cases'
}

case_vmm_survives_garbage_for_console_and_net()
{
	attack seed=3 --cpus 2 --console virtio --network mode=tap,vhost=off
	survives '10 cases'
}

case_vmm_survives_garbage_for_vhost()
{
	attack 'seed=4 vhost=1' --cpus 2 --network mode=tap,vhost=required,queues=2
	survives '10 cases'
}

# Meanwhile, the user reads the guest's state, pauses it and resumes it.
case_vmm_survives_garbage_while_paused_and_resumed()
{
	attack seed=5 --cpus 2 --balloon
	wait_for g '^garbage: seed'
	for i in 1 2 3 4 5 6; do
		run timeout 20 "$lkvm" pause g
		check_status 0
		run timeout 20 "$lkvm" stat g --json
		check_status 0
		check_out '"state": *"paused"'
		run timeout 20 "$lkvm" resume g
		check_status 0
	done
	survives '10 cases'
}

# lkvm reboot --force resets the guest at arbitrary moments of the attack. The program runs to its end after the last
# start.
case_vmm_survives_garbage_while_reset()
{
	attack seed=6 --cpus 2 --balloon
	for i in 1 2 3 4; do
		wait_for g "^garbage: seed"
		sleep 1
		run timeout 20 "$lkvm" reboot --force g
		check_status 0
	done
	survives '10 cases'
}
