# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest is saved, killed, restored, and goes on as if nothing had happened
# hosts: all
# timeout: 400

boot()
{
	start g lkvm.shell=plain "$@"
	wait_for g '^lkvm-guest: ready'
}

# restore GUEST FILE [OPTION...]: as start does.
restore()
{
	g=$1 f=$2
	shift 2
	launch "$g" "$lkvm" snapshot restore "$f" --name "$g" "$@"
}

case_saved_stopped_restored()
{
	truncate -s 16M "$tmp/d"
	boot --cpus 2 --disk "$tmp/d" --rng
	ask g 'echo kept >/tmp/memory; dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null; md5sum /tmp/data'
	sum=$(cat "$logs/said")
	run "$lkvm" snapshot save --stop g "$tmp/s"
	check_status 0
	wait_exit g 0
	run "$lkvm" snapshot info "$tmp/s"
	check_status 0
	check_out 'memory +256 MiB'
	restore g "$tmp/s"
	ask g 'cat /tmp/memory; md5sum /tmp/data'
	check "memory is lost" grep -q '^kept' "$logs/said"
	check "data changed" grep -q "${sum%% *}" "$logs/said"
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null; grep virtio0-req /proc/interrupts; nproc'
	check "a vCPU is lost" grep -qx 2 "$logs/said"
	"$lkvm" stop g || fail "stop"
	wait_exit g 0
}
