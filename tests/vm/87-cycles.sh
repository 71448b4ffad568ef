# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: a guest with virtio-net-pci is rebooted, reset, paused, moved and powered off, in random order
# soak: more
# timeout: 900

# $cycles is the number of cycles in a case. Each check uses another random order; `make soak` has five hundred cycles
# in both cases together.
cycles=8
[ "$times" = 1 ] || cycles=$((25 * times))

begin()
{
	start g lkvm.shell=plain --cpus 2 --network "mode=tap,tapif=lk0,$1" --rng
	up "$1"
}

# The guest has booted. Its network works in both directions, by interrupts through the ITS.
up()
{
	wait_for g '^lkvm-guest: ready'
	ask g 'ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up'
	alive
}

# A new lkvm has a new tap. The guest must find the same neighbour on it.
alive()
{
	ip link set dev lk0 address 02:00:00:00:00:01
	ip addr replace 10.9.0.1/24 dev lk0
	ask g 'ping -q -c 1 -W 20 10.9.0.1 >/dev/null; echo "host $?"; grep -c "ITS.*virtio" /proc/interrupts'
	check "cycle $n, $kind: the guest does not reach the host" grep -qx 'host 0' "$logs/said"
	check "cycle $n, $kind: the host does not reach the guest" ping -q -c 1 -W 20 10.9.0.2 >/dev/null
}

# as_at_power_on: GIC and ITS of the current machine must be in their power-on state.
as_at_power_on()
{
	save g "$tmp/reset"
	run "$programs/irqchip" compare "$tmp/fresh" "$tmp/reset"
	[ "$status" = 0 ] || fail "cycle $n, $kind: $(cat "$logs/run.out")"
	rm "$tmp/reset"
}

forget() { : >"$logs/g.out"; }

cycle()
{
	case $kind in
	reboot_inside)
		forget
		input g 'reboot -f'
		up "$1"
		;;
	reboot_asked)
		forget
		# A process in the guest reads the power buttons and receives the restart key.
		input g '(head -c 24 /dev/input/event0 >/dev/null; reboot -f) &'
		sleep 1
		"$lkvm" reboot g || fail "cycle $n: lkvm reboot failed"
		up "$1"
		;;
	reset)
		forget
		"$lkvm" pause g
		"$lkvm" reboot --force g || fail "cycle $n: lkvm reboot --force failed"
		as_at_power_on
		"$lkvm" resume g
		up "$1"
		;;
	pause)
		"$lkvm" pause g
		sleep 1
		"$lkvm" resume g
		;;
	move)
		move g "$tmp/s"
		;;
	move_after_reset)
		forget
		"$lkvm" pause g
		"$lkvm" reboot --force g || fail "cycle $n: lkvm reboot --force failed"
		move g "$tmp/s"
		[ "$("$lkvm" stat g --json | grep -c '"state": "paused"')" = 0 ] || "$lkvm" resume g
		up "$1"
		;;
	power_off)
		input g 'poweroff -f'
		wait_exit g 0
		begin "$1"
		;;
	esac
}

# fresh: saves a machine whose guest never accessed GIC and ITS.
fresh()
{
	kernel=$programs/hello.bin start f "" --cpus 2 --paused
	wait_listening f
	save f "$tmp/fresh" --stop
	wait_exit f 0
}

case_guest_survives_random_cycles_without_vhost() { cycles_with vhost=off; }
case_guest_survives_random_cycles_with_vhost() { cycles_with vhost=required; }

cycles_with()
{
	seed=${LKVM_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
	echo "LKVM_SEED=$seed"
	n=0 kind=first random=$seed
	fresh
	begin "$1"
	while [ $n -lt "$cycles" ]; do
		n=$((n + 1))
		random=$(((random * 1103515245 + 12345) & 0x7fffffff))
		kind=$(echo reboot_inside reboot_asked reset pause move move_after_reset power_off move |
			cut -d ' ' -f $((random / 65536 % 8 + 1)))
		echo "cycle $n: $kind"
		cycle "$1"
		alive
	done
}
