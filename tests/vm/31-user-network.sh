# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: user-mode networking by passt: DHCP, TCP in both directions, a restore; a missing passt, a passt that fails or ends
# needs: passt

passt=$share/passt/usr/bin/passt

# boot [OPTION FOR PASST...]: passt takes its defaults from the host's default route. This host has no default route, so
# options give all these values. passt's gateway is the host's loopback interface.
boot()
{
	modprobe -q dummy || true
	ip link show lkd0 >/dev/null 2>&1 || ip link add lkd0 type dummy
	ip link set lkd0 up
	network="mode=user,passt=$passt,passt-options=--ipv4-only --interface lkd0 --address 10.8.0.2 --netmask 24 \
--gateway 10.8.0.1 --tcp-ports 5000"
	start g lkvm.shell=plain --network "$network"
	wait_for g '^lkvm-guest: ready'
}

by_dhcp()
{
	ask g 'echo "ip addr add \$ip/\$mask dev \$interface; ip route add default via \$router" >/tmp/leased'
	ask g '(echo "#!/bin/sh"; echo "[ \$1 != bound ] || . /tmp/leased") >/tmp/script; chmod +x /tmp/script'
	ask g 'ip link set eth0 up'
	ask g 'udhcpc -i eth0 -n -q -t 5 -s /tmp/script'
	check "the guest got no DHCP lease" test "$status" = 0
	ask g 'ip addr show eth0; ip route'
	check "the guest does not have the address that passt's options give" grep -q 'inet 10.8.0.2/24' "$logs/said"
	check "the guest has no default route to passt's gateway" grep -q 'default via 10.8.0.1' "$logs/said"
}

both_ways()
{
	dd if=/dev/urandom of="$tmp/sent" bs=1M count=1 2>/dev/null
	sum=$(sha1sum <"$tmp/sent")
	input g 'nc -l -p 5000 >/tmp/r; sha1sum </tmp/r; echo "received"'
	sleep 2
	nc 127.0.0.1 5000 <"$tmp/sent" || fail "the host could not send data to the guest"
	wait_for g '^received'
	grep -qF "$sum" "$logs/g.out" || fail "the guest received other data than the host sent"

	# nc's input stays open, because nc closes the connection at the end of its input.
	mkfifo "$tmp/open"
	nc -l -p 5001 <>"$tmp/open" >"$tmp/back" &
	sleep 1
	ask g 'nc 10.8.0.1 5001 </tmp/r'
	check_status 0
	wait $!
	check "the host received other data than the guest sent" test "$(sha1sum <"$tmp/back")" = "$sum"
}

passt_runs() { pidof passt >/dev/null; }

off()
{
	input g 'poweroff -f'
	wait_exit g 0
	! passt_runs || fail "passt still runs after the guest ended"
}

case_passt_passes_packets_both_ways()
{
	boot
	by_dhcp
	both_ways
	run "$lkvm" stat g
	check_out 'backend +passt'
	off
}

case_passt_is_replaced_by_a_restore()
{
	boot
	by_dhcp
	was=$(pidof passt)
	move g "$tmp/s"
	check "the restored guest uses the same passt process" test "$(pidof passt)" != "$was"
	# A new passt gets the guest's address from the packets that the guest sends, even when they have no answer.
	ask g 'ping -c 1 -W 1 10.8.0.1 >/dev/null'
	both_ways
	off
}

busy() { awk '{ print $14 + $15 }' "/proc/$(pid g)/stat"; }

# The guest's link goes down, and everything else continues.
case_link_goes_down_when_passt_ends()
{
	boot
	by_dhcp
	ask g 'cat /sys/class/net/eth0/carrier'
	check "the guest's link is not up at first" grep -qx 1 "$logs/said"
	kill -9 "$(pidof passt)"
	tick
	end=$((now + 30))
	until ask g 'cat /sys/class/net/eth0/carrier' && grep -qx 0 "$logs/said"; do
		tick
		[ "$now" -lt "$end" ] || fail "the guest's link is still up 30 s after passt ended"
	done
	ask g 'ping -c 1 -W 1 10.8.0.1 >/dev/null'
	check "a ping succeeded although passt ended" test "$status" != 0
	run "$lkvm" stat g
	check_out 'link up +no'
	check "lkvm did not print exactly one message about the link" test "$(grep -c 'link is down' "$logs/g.err")" = 1
	# No worker may loop. lkvm uses little CPU time (ticks of 10 ms) in two seconds in which the guest sleeps.
	before=$(busy)
	sleep 2
	check "lkvm used a second of CPU time while the guest slept" test $(($(busy) - before)) -lt 100
	"$lkvm" stop g || fail "lkvm stop failed"
	wait_exit g 0
}

case_run_fails_when_passt_is_missing()
{
	run env PATH=/nonexistent "$lkvm" run --kernel "$kernel" --network mode=user
	check_status 1
	check "the message is not one sentence" test "$(wc -l <"$logs/run.err")" = 1
	check_err '^lkvm: run: .*passt was not found: .*package passt.*mode=tap$'
}

# run and restore start no guest without the network that the options request.
case_run_and_restore_fail_when_passt_or_script_fails_at_start()
{
	start g lkvm.shell=plain --network mode=tap,tapif=lk0
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/s" --stop
	run "$lkvm" run --name g --kernel "$kernel" --network "mode=user,passt=$passt,passt-options=--no-such-option"
	check_status 1
	check_err 'passt ended with status 1: .*no-such-option'
	printf '#!/bin/sh\necho no route >&2\nexit 3\n' >"$tmp/script"
	chmod +x "$tmp/script"
	run "$lkvm" run --name g --kernel "$kernel" --network "mode=user,passt=$tmp/script"
	check_status 1
	check_err 'script ended with status 3: no route'
	run "$lkvm" run --name g --kernel "$kernel" --network "mode=tap,script=$tmp/script"
	check_status 1
	check_err 'script ended with status 3: no route'
	run "$lkvm" snapshot restore --network "mode=tap,script=$tmp/script" "$tmp/s"
	check_status 1
	check_err '^lkvm: snapshot restore: .*script ended with status 3: no route$'
	run "$lkvm" snapshot restore --network "mode=user,passt=$passt,passt-options=--no-such-option" "$tmp/s"
	check_status 1
	check_err 'passt ended with status 1: .*no-such-option'
	! passt_runs || fail "passt still runs after the start failed"
}
