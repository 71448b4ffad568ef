# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: a guest boots to its init and sees its vCPUs; its power-off ends lkvm with status 0
# hosts: all
# guests: all

boots_with()
{
	start g lkvm.test=hello --cpus "$1"
	wait_for g '^lkvm-guest: init'
	wait_for g "hello from ${guest}[.-].*, $1 vCPUs"
	passes g hello
	wait_exit g 0
}

case_guest_boots_with_one_vcpu() { boots_with 1; }
case_guest_boots_with_two_vcpus() { boots_with 2; }
