# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: packets pass through a tap in both directions, by vhost and by lkvm itself; the link goes down when the tap vanishes

boot()
{
	start g lkvm.shell=plain --network "mode=tap,tapif=lk0,$1" --cpus "${2:-1}"
	wait_for g '^lkvm-guest: ready'
	ip addr add 10.9.0.1/24 dev lk0
	ask g 'ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up'
	check_status 0
	check "the guest does not answer pings" ping -c 3 -W 5 10.9.0.2 >/dev/null
}

both_ways()
{
	dd if=/dev/urandom of="$tmp/sent" bs=1M count=4 2>/dev/null
	sum=$(sha1sum <"$tmp/sent")
	input g 'nc -l -p 5000 >/tmp/r; sha1sum </tmp/r; echo "received"'
	sleep 1
	nc 10.9.0.2 5000 <"$tmp/sent" || fail "the host could not send data to the guest"
	wait_for g '^received'
	grep -qF "$sum" "$logs/g.out" || fail "the guest received other data than the host sent"

	# nc's input stays open, because nc closes the connection at the end of its input.
	mkfifo "$tmp/open"
	nc -l -p 5001 <>"$tmp/open" >"$tmp/back" &
	sleep 1
	ask g 'nc 10.9.0.1 5001 </tmp/r'
	check_status 0
	wait $!
	check "the host received other data than the guest sent" test "$(sha1sum <"$tmp/back")" = "$sum"
}

off()
{
	input g 'poweroff -f'
	wait_exit g 0
}

uses_vhost()
{
	"$lkvm" stat g >"$logs/stat"
	grep -Eq "vhost +$1" "$logs/stat" || fail "lkvm stat does not show vhost as \"$1\""
}

case_tap_passes_packets_by_lkvm() { boot vhost=off; uses_vhost no; both_ways; off; }
case_tap_passes_packets_by_vhost() { boot vhost=required; uses_vhost yes; both_ways; off; }
case_tap_passes_packets_by_two_queue_pairs() { boot vhost=off,queues=2 2; both_ways; off; }

case_link_goes_down_when_tap_vanishes()
{
	boot vhost=off
	ip link del lk0
	ask g 'ping -c 1 -W 1 10.9.0.1 >/dev/null'
	check "a ping succeeded although the tap vanished" test "$status" != 0
	ask g 'cat /sys/class/net/eth0/carrier'
	check "the guest's link is still up although the tap vanished" grep -qx 0 "$logs/said"
	off
}
