# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: MIT
# what: resets, --no-reboot and its exit status, missing kernel files, alarms, resource limits

case_no_reboot_ends_with_status_5_when_the_guest_panics()
{
	start g 'lkvm.shell=plain panic=-1' --no-reboot
	wait_for g '^lkvm-guest: ready'
	input g 'echo c >/proc/sysrq-trigger'
	wait_exit g 5
	check "lkvm printed no message about the reset" grep -q 'the guest has reset itself: --no-reboot ends' "$logs/g.err"
	check "lkvm printed more than one line" test "$(wc -l <"$logs/g.err")" = 1
}

case_no_reboot_ends_with_status_5_at_reboot_force()
{
	start g lkvm.shell=plain --no-reboot
	wait_for g '^lkvm-guest: ready'
	run "$lkvm" reboot --force g
	check_status 1
	check_err 'the guest was reset, and --no-reboot ended the virtual machine'
	wait_exit g 5
}

case_guest_sees_that_it_runs_on_kvm()
{
	start g lkvm.shell=plain
	wait_for g '^lkvm-guest: ready'
	ask g 'tr "\0" "\n" </proc/device-tree/hypervisor/compatible'
	check "the device tree has no hypervisor node for linux,kvm" grep -qx linux,kvm "$logs/said"
}

# The kernel file of a restored guest is missing. The guest runs, and lkvm does not reset it by force. The guest's own
# reset ends lkvm with a sentence.
case_kernel_that_is_gone_ends_no_running_guest()
{
	cp "$kernel" "$tmp/kernel"
	start g lkvm.shell=plain --kernel "$tmp/kernel"
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/s" --stop
	wait_exit g 0
	rm "$tmp/kernel"
	restore g "$tmp/s"
	wait_listening g
	check "the restore prints no warning" grep -q "Unable to open kernel $tmp/kernel: .*cannot restart" "$logs/g.err"
	run "$lkvm" reboot --force g
	check_status 1
	check_err "$tmp/kernel.*continues without a reset"
	ask g 'echo $((6 * 7))'
	check "the guest does not run after the refused reset" grep -qx 42 "$logs/said"
	cp "$kernel" "$tmp/kernel"
	"$lkvm" reboot --force g || fail "lkvm reboot --force failed although the kernel file is back"
	wait_boot g 2
	"$lkvm" stop --force g
	wait_exit g 0
	rm "$tmp/kernel"
	restore g "$tmp/s"
	wait_listening g
	input g 'reboot -f'
	wait_exit g 4
	check "no message" grep -q "the guest cannot start again after its reset: Unable to open kernel $tmp/kernel" "$logs/g.err"
}

case_alarm_that_expires_while_saved_rings_after_the_restore()
{
	start g lkvm.shell=plain
	wait_for g '^lkvm-guest: ready'
	ask g 'echo +20 >/sys/class/rtc/rtc0/wakealarm; cat /sys/class/rtc/rtc0/wakealarm'
	check "the guest could not set the alarm" grep -q '^[0-9]' "$logs/said"
	save g "$tmp/s" --stop
	wait_exit g 0
	sleep 22
	restore g "$tmp/s"
	wait_listening g
	ask g 'n=0; while [ -n "$(cat /sys/class/rtc/rtc0/wakealarm)" ] && [ $n -lt 20 ]; do sleep 1; n=$((n + 1)); done; echo "alarm: $(cat /sys/class/rtc/rtc0/wakealarm)."'
	check "the alarm did not ring after the restore" grep -qx 'alarm: .' "$logs/said"
}

# The limit is smaller than the data that the guest has written to its RAM.
case_save_fails_when_it_exceeds_the_limit_of_file_sizes()
{
	(
		ulimit -f 20480
		start g lkvm.shell=plain
	)
	wait_for g '^lkvm-guest: ready'
	ask g 'dd if=/dev/urandom of=/tmp/random bs=1M count=60 2>/dev/null; echo written'
	run "$lkvm" snapshot save g "$tmp/s"
	check_status 1
	check_err 'File too large'
	check "the failed save left a file" test ! -e "$tmp/s"
	ask g 'echo $((6 * 7))'
	check "the guest does not run after the failed save" grep -qx 42 "$logs/said"
}

# limited RESOURCE VALUE 'WORDS' OPTION OF lkvm...: lkvm fails with one sentence, and leaves no guest and no file.
limited()
{
	resource=$1 value=$2 words=$3
	shift 3
	run timeout 60 "$helpers/limit" "$resource" "$value" "$@"
	[ "$status" = 1 ] || fail "$resource $value: exit status $status: $(cat "$logs/run.err")"
	grep -Eq -- "$words" "$logs/run.err" || fail "$resource $value: the message has no \"$words\": $(cat "$logs/run.err")"
	[ "$(wc -l <"$logs/run.err")" = 1 ] || fail "$resource $value: the message is more than a sentence: $(cat "$logs/run.err")"
}

# The lkvm of a paused guest still answers commands. The guest runs for the kind of save that needs a running guest.
case_start_save_and_restore_name_the_limit_that_they_hit()
{
	chmod 666 /dev/kvm
	set -- "$lkvm" run --name g --kernel "$kernel" --initrd "$initrd" --mem 128 --cpus 2 --paused --detach
	for files in 5 9 14 22; do
		limited nofile $files "Too many open files \(ulimit -n is $files\)" "$@"
	done
	limited as 20000000 'Cannot allocate memory \(ulimit -v is 19531 KiB\)' "$@"
	chmod 755 "$tmp"
	mkdir -m 1777 "$tmp/user"
	for processes in 1 3; do
		limited nproc $processes "unavailable \(ulimit -u is $processes\)" --user 1000 env XDG_RUNTIME_DIR="$tmp/user" "$@"
	done
	check "lkvm list shows a guest after failed starts" test -z "$("$lkvm" list --quiet)"

	run "$@"
	check_status 0
	save g "$tmp/base"
	pid=$("$lkvm" list | awk '$2 == "g" { print $1 }')
	# shellcheck disable=SC2012 # names are numbers
	files=$(ls "/proc/$pid/fd" | sort -n | tail -n 1)
	for way in '' "--base $tmp/base" --live=point-in-time; do
		[ "$way" != --live=point-in-time ] || "$lkvm" resume g >/dev/null
		for more in 1 2; do
			"$helpers/limit" nofile $((files + more)) --pid "$pid"
			# shellcheck disable=SC2086 # words
			limited nofile 100 "Too many open files \(ulimit -n is $((files + more))\)" \
				"$lkvm" snapshot save $way g "$tmp/s"
			check "the failed save left a file" test "$(ls "$tmp")" = "$(printf 'base\nuser')"
		done
	done
	"$helpers/limit" nofile 1000 --pid "$pid"
	size=$(awk '/^VmSize/ { print $2 }' "/proc/$pid/status")
	"$helpers/limit" as $((size * 1024)) --pid "$pid"
	limited nofile 100 "Cannot allocate memory \(ulimit -v is $size KiB\)" "$lkvm" snapshot save g "$tmp/s"
	"$helpers/limit" as 1000000000000 --pid "$pid"
	limited nofile 5 'Too many open files \(ulimit -n is 5\)' "$lkvm" snapshot save g "$tmp/s"
	check "the failed saves left a file" test "$(ls "$tmp")" = "$(printf 'base\nuser')"
	save g "$tmp/s"
	"$lkvm" stop --force g >/dev/null

	for files in 4 9 12 16 24; do
		limited nofile $files "Too many open files \(ulimit -n is $files\)" "$lkvm" snapshot restore --detach "$tmp/s"
	done
	limited as 140000000 'Cannot allocate memory \(ulimit -v is 136718 KiB\)' "$lkvm" snapshot restore --detach "$tmp/s"
	check "lkvm list shows a guest after failed restores" test -z "$("$lkvm" list --quiet)"
}
