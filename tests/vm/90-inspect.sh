# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: a running guest's and a saved one's interrupts, devices and vCPUs are shown
# hosts: all
# once: inspection_works_without_its inspection_leaves_busy_guest_running inspection_fails_when_guest_or_file_is_missing
# timeout: 400

boot()
{
	truncate -s 16M "$tmp/d"
	ready g --cpus 2 --disk "$tmp/d" --rng "$@"
}

# The events of a device, as /proc/interrupts of the guest has them: it must agree.
case_its_view_has_events_of_the_guest()
{
	boot
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=8 iflag=direct 2>/dev/null; grep -c virtio /proc/interrupts'
	lines=$(head -n 1 "$logs/said")
	run "$lkvm" inspect g --its
	check_status 0
	check_out '^ +0x0 +00:00.0 +virtio-blk0'
	check_out 'restore tables +accepted'
	# GICv3 and ITS of Linux: one LPI a vector, all of them unmasked or not
	events=$(awk '/^  events/ { on = 1; next } /^  faults/ { on = 0 } on && $2 ~ /^virtio/' "$logs/run.out" | wc -l)
	[ "$events" -ge "$lines" ] || fail "the guest has $lines interrupts of virtio, the ITS $events events"
	ask g 'echo goes on'
	check "it does not go on" grep -qx 'goes on' "$logs/said"
}

# The same machine, halted: looked at, and saved and looked at. Only the identity, the time and the file may differ.
case_inspection_shows_the_same_live_and_saved()
{
	boot
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=8 iflag=direct 2>/dev/null'
	"$lkvm" pause g
	for view in '' --its --devices --pci --dot; do
		run "$lkvm" inspect g $view
		check_status 0
		mv "$logs/run.out" "$tmp/live"
		save g "$tmp/s"
		run "$lkvm" snapshot inspect "$tmp/s" $view
		check_status 0
		for file in "$tmp/live" "$logs/run.out"; do
			sed '/^identity /d; /^created /d; /^ram$/,/^vcpus$/d' "$file" >"$file.same"
		done
		[ -s "$tmp/live.same" ] || fail "$view shows nothing"
		cmp "$tmp/live.same" "$logs/run.out.same" || fail "$view of the running machine is another than of its snapshot"
		rm "$tmp/s"
	done
	"$lkvm" list | grep -q 'g  *paused' || fail "it did not stay paused"
	"$lkvm" resume g
	ask g 'echo goes on'
	check "it does not go on" grep -qx 'goes on' "$logs/said"
}

case_inspection_works_without_its()
{
	boot --irqchip gicv3
	run "$lkvm" inspect g --its
	check_status 0
	check_out 'present +no'
	run "$lkvm" inspect g --gic
	check_status 0
	check_out 'interrupts'
	! grep -q 'present' "$logs/run.out" || fail "--gic shows the ITS"
	run "$lkvm" inspect g --json
	check_status 0
	check_out '"machine": \{'
}

# Fifteen looks at a guest that is busy: it works on, and nothing is lost of its interrupts.
case_inspection_leaves_busy_guest_running()
{
	boot
	ask g '(while :; do dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct; done) >/dev/null 2>&1 & echo started'
	i=0
	while [ $((i += 1)) -le 15 ]; do
		run "$lkvm" inspect g
		[ "$status" = 0 ] || fail "look $i: $(cat "$logs/run.err")"
	done
	ask g 'kill %1; dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct && echo reads'
	check "the disk is lost" grep -qx reads "$logs/said"
	run "$lkvm" stat g
	check_status 0
}

case_inspection_fails_when_guest_or_file_is_missing()
{
	run "$lkvm" inspect nobody
	check_status 1
	check_err 'nobody'
	run "$lkvm" inspect
	check_status 2
	run "$lkvm" snapshot inspect "$tmp/none"
	check_status 1
	echo strange >"$tmp/strange"
	run "$lkvm" snapshot inspect "$tmp/strange"
	check_status 1
	check_err 'this is not an lkvm snapshot'
}
