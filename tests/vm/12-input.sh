# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: input from a FIFO and from a pipe reaches the guest's console

case_console_reads_input_from_a_fifo()
{
	ready g
	ask g 'echo $((6 * 7)); false'
	check_status 1
	check "the guest's shell did not print 42" grep -qx 42 "$logs/said"
	ask g 'tr a-z A-Z </proc/sys/kernel/ostype'
	check "the guest's shell did not print LINUX" grep -qx LINUX "$logs/said"
	input g 'poweroff -f'
	wait_exit g 0
}

# All input is in the pipe before the guest reads, and then the pipe ends.
case_console_reads_input_from_a_pipe()
{
	echo 'echo from the "pipe"; poweroff -f' | timeout 60 "$lkvm" run --kernel "$kernel" \
		--initrd "$initrd" --params "console=ttyS0 quiet lkvm.shell=plain" \
		>"$logs/g.out" 2>"$logs/g.err"
	check "the guest did not read the input from the pipe" grep -q '^from the pipe' "$logs/g.out"
}
