# shellcheck shell=sh disable=SC2154,SC2034
# SPDX-License-Identifier: MIT
# what: a bare-metal program without a header, as written for kvmtool, uses the UART for input and output
# hosts: all
# timeout: 60

kernel=$programs/hello.bin

case_program_prints_and_echoes()
{
	start h '' --nodefaults --network mode=none --irqchip=gicv3-its --loglevel=warning
	wait_for h '^hello: loaded at 0x80080000'
	input h 'knock knock'
	wait_for h '^hello: you said "knock knock"'
	wait_exit h 0
}
