# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a guest with eight vCPUs or much memory; compressed kernels, clock, seeds, device tree, balloon
# timeout: 400

case_guest_boots_with_eight_vcpus()
{
	start g lkvm.test=hello --cpus 8
	wait_for g 'hello from.*8 vCPUs' 150
	wait_exit g 0
}

case_guest_finds_memory_clock_seeds_and_balloon()
{
	gzip -1 <"$kernel" >"$tmp/Image.gz"
	kernel=$tmp/Image.gz
	start g lkvm.shell=plain --mem 1G --balloon --dump-dtb "$tmp/dtb"
	wait_for g '^lkvm-guest: ready'
	check "--dump-dtb wrote no device tree" test "$(head -c 4 "$tmp/dtb" | od -An -tx1 | tr -d ' \n')" = d00dfeed
	ask g 'date -u +%s'
	here=$(date -u +%s)
	there=$(cat "$logs/said")
	check "the guest's clock shows $there, the host's shows $here" test $((here - there)) -lt 5 -a $((there - here)) -lt 5
	# Linux wipes the seeds after use, but leaves the properties.
	ask g 'ls /proc/device-tree/chosen'
	check "the device tree has no kaslr-seed" grep -q kaslr-seed "$logs/said"
	ask g 'sed -n "s/MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo'
	check "the guest has only $(cat "$logs/said") kB of memory" test "$(cat "$logs/said")" -gt 900000

	free='sed -n "s/MemFree: *\([0-9]*\) kB/\1/p" /proc/meminfo'
	ask g "$free"
	before=$(cat "$logs/said")
	"$lkvm" balloon g 256M || fail balloon
	after=$before tries=0
	while [ $((before - after)) -le 200000 ]; do
		tries=$((tries + 1))
		[ $tries -lt 60 ] || fail "the balloon took too little: $before kB were free before, and $after are free after"
		sleep 1
		ask g "$free"
		after=$(cat "$logs/said")
	done
	input g 'poweroff -f'
	wait_exit g 0
}

case_guest_restarts_when_it_panics()
{
	start g 'panic=1 lkvm.shell=plain'
	wait_for g '^lkvm-guest: ready'
	input g 'echo c >/proc/sysrq-trigger'
	sleep 4
	wait_boot g 2
	"$lkvm" stop --force g
	wait_exit g 0
}
