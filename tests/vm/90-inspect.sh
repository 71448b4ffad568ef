# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: inspect shows the interrupts, devices and vCPUs of a running guest and of a saved one
# hosts: all
# once: inspection_works_without_its inspection_leaves_busy_guest_running inspection_fails_when_guest_or_file_is_missing
# timeout: 400

boot()
{
	truncate -s 16M "$tmp/d"
	ready g --cpus 2 --disk "$tmp/d" --rng "$@"
}

# The ITS's events of a device must agree with /proc/interrupts of the guest.
case_its_view_has_events_of_the_guest()
{
	boot
	ask g 'dd if=/dev/vda of=/dev/null bs=4k count=8 iflag=direct 2>/dev/null; grep -c virtio /proc/interrupts'
	lines=$(head -n 1 "$logs/said")
	run "$lkvm" inspect g --its
	check_status 0
	check_out '^ +0x0 +00:00.0 +virtio-blk0'
	check_out 'restore tables +accepted'
	# Linux with GICv3 and ITS has one LPI for each vector, masked or not.
	events=$(awk '/^  events/ { on = 1; next } /^  faults/ { on = 0 } on && $2 ~ /^virtio/' "$logs/run.out" | wc -l)
	[ "$events" -ge "$lines" ] || fail "the guest has $lines interrupts of virtio, but the ITS has $events events"
	ask g 'echo still runs'
	check "the guest does not run after the inspection" grep -qx 'still runs' "$logs/said"
}

# The same paused machine is inspected live and in a snapshot. Only the identity, the time and the file may differ.
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
		[ -s "$tmp/live.same" ] || fail "inspect $view shows nothing"
		cmp "$tmp/live.same" "$logs/run.out.same" || fail "inspect $view differs for the running machine and its snapshot"
		rm "$tmp/s"
	done
	"$lkvm" list | grep -q 'g  *paused' || fail "the guest did not stay paused"
	"$lkvm" resume g
	ask g 'echo still runs'
	check "the guest does not run after the resume" grep -qx 'still runs' "$logs/said"
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
	! grep -q 'present' "$logs/run.out" || fail "inspect --gic shows the ITS"
	run "$lkvm" inspect g --json
	check_status 0
	check_out '"machine": \{'
}

# The guest is busy and is inspected fifteen times. It continues to work, and none of its interrupts is lost.
case_inspection_leaves_busy_guest_running()
{
	boot
	ask g '(while :; do dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct; done) >/dev/null 2>&1 & echo started'
	i=0
	while [ $((i += 1)) -le 15 ]; do
		run "$lkvm" inspect g
		[ "$status" = 0 ] || fail "inspection $i failed: $(cat "$logs/run.err")"
	done
	ask g 'kill %1; dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct && echo reads'
	check "the guest cannot read its disk after the inspections" grep -qx reads "$logs/said"
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
