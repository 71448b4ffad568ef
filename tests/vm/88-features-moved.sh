# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: SVE, pointer authentication and the PMU work after a restore
# cpu: max
# timeout: 400

# The case does not run on host 6.1. When a page walk finds nothing in stage 2, the emulator reports a fault at level -1
# (0x2b), where the guest's tables start. KVM 6.1 does not know this level, and KVM_RUN ends with EFAULT after any
# restore.
case_vectors_keys_and_pmu_work_after_restores()
{
	# The program reaches the guest as a disk of whole blocks.
	dd if="$helpers/vectors" of="$tmp/program" bs=4096 conv=sync 2>/dev/null
	start g lkvm.shell=plain --cpus 2 --pmu --disk "$tmp/program,ro"
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/vda of=/tmp/vectors bs=4k 2>/dev/null && chmod +x /tmp/vectors'
	input g '/tmp/vectors 40 & other=$!; /tmp/vectors 40; wait $other; echo vectors are done'
	n=0
	while [ $n -lt 4 ]; do
		n=$((n + 1))
		sleep 2
		move g "$tmp/s"
	done
	wait_for g '^vectors are done' 200
	grep '^vectors:' "$logs/g.out"
	check "a restore changed registers" test "$(grep -c 'vectors: BAD' "$logs/g.out")" = 0
	check "the program did not report rounds of both its runs" test "$(grep -c '^vectors: [1-9].* rounds' "$logs/g.out")" = 2
	ask g 'dmesg | grep perfevents; cat /sys/bus/event_source/devices/armv8_pmuv3*/type'
	check "the restored guest has no PMU" grep -q armv8_pmuv3 "$logs/said"
}
