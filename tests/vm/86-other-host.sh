# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest that was saved on another host's kernel continues on a newer one; an older one refuses it and states the reason
# hosts: all
# phase: 2

# take HOST: copies the files that 85-leave left on that host.
take()
{
	for name in snapshot disk sum; do
		left "$1" $name 85-leave
		cp "$path" "$tmp/$name"
	done
}

goes_on()
{
	run "$lkvm" snapshot verify --host "$tmp/snapshot"
	check_status 0
	check_out 'good \(128 MiB of RAM, .* and this host can restore it\)'
	rm -f "$tmp/g.in"
	mkfifo "$tmp/g.in"
	restore g "$tmp/snapshot" --disk "$tmp/disk"
	wait_listening g
	ask g 'cat /tmp/memory; md5sum </tmp/data; nproc'
	check "the restored guest lost its memory" grep -qx "kept from $1" "$logs/said"
	check "the restored guest's data changed" grep -qxF "$(cat "$tmp/sum")" "$logs/said"
	check "the restored guest lost a vCPU" grep -qx 2 "$logs/said"
	ask g 'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k count=16 iflag=direct 2>/dev/null | md5sum'
	check "the restored guest's disk has other contents" grep -qxF "$(cat "$tmp/sum")" "$logs/said"
	ask g 'taskset 1 sleep 1; taskset 2 sleep 1; dmesg | grep -Ei "lockup|stall|BUG:"'
	check "the guest's kernel reports a lockup, a stall or a bug" test ! -s "$logs/said"
	"$lkvm" stop g || fail "lkvm stop failed"
	wait_exit g 0
}

# Of the kernels here, 6.12 can write ID registers, and 6.1 cannot. So 6.12 can give a guest the registers that it had
# on 6.1, but not the reverse. The message names the first register that differs.
refused()
{
	sum=$(md5sum <"$tmp/snapshot")
	run timeout 60 "$lkvm" snapshot restore "$tmp/snapshot" --disk "$tmp/disk"
	check_status 1
	# The disk is a copy without the original's times, which causes a warning.
	check "the restore did not print exactly one sentence" test "$(grep -vc '^lkvm: warning: disk ' "$logs/run.err")" = 1
	check_err '^lkvm: snapshot restore: .*ID_AA64[A-Z0-9]+_EL1'
	check "lkvm list shows a guest after the refused restore" test -z "$("$lkvm" list --quiet)"
	check "the refused restore changed the snapshot" test "$(md5sum <"$tmp/snapshot")" = "$sum"
	# verify reports the register that restore reports first, and others. Without --host, verify finds no fault.
	register=$(grep -Eo 'ID_AA64[A-Z0-9]+_EL1' "$logs/run.err" | head -n 1)
	run "$lkvm" snapshot verify --host "$tmp/snapshot"
	cat "$logs/run.out"
	check_status 1
	check_out "host: vCPU 0: $register is 0x"
	check_out '^[0-9]+ faults?$'
	check "verify does not report the register exactly once" test "$(grep -c "$register" "$logs/run.out")" = 1
	check_out 'host: vCPU 0: CNTP_CTL_EL0 .* is in the snapshot, but this host.s kernel does not know it'
	run "$lkvm" snapshot verify "$tmp/snapshot"
	check_status 0
}

case_restore_continues_or_refuses_guest_of_another_host()
{
	case $host in
	6.1)
		take 6.12
		refused ;;
	6.12)
		take 6.1
		goes_on 6.1 ;;
	*) fail "this case does not name an older or newer host for host $host" ;;
	esac
}

# The files arrived unchanged: the guest also continues on the kernel of its own host.
case_restore_continues_guest_of_its_own_host()
{
	take "$host"
	goes_on "$host"
}
