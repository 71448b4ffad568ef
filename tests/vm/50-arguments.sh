# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: bad arguments give one sentence and a non-zero exit status; command lines and programs for kvmtool work

# refused STATUS 'WORDS OF THE SENTENCE' OPTION...: lkvm run fails with STATUS and the sentence. It starts no guest and
# leaves no socket.
refused()
{
	wanted=$1 words=$2
	shift 2
	run timeout 20 "$lkvm" run --name bad "$@"
	[ "$status" = "$wanted" ] || fail "$*: exit status $status, not $wanted: $(cat "$logs/run.err")"
	grep -Eq -- "$words" "$logs/run.err" || fail "$*: the message has no \"$words\": $(cat "$logs/run.err")"
	[ "$(wc -l <"$logs/run.err")" -le 2 ] || fail "$*: the message has more than two lines: $(cat "$logs/run.err")"
	[ ! -e "$XDG_RUNTIME_DIR/lkvm/bad.sock" ] || fail "$*: lkvm left its control socket"
}

case_run_names_each_bad_argument()
{
	k="--kernel $kernel"
	refused 1 'Fatal: Unable to open kernel /no' --kernel /no
	refused 2 'kernel' --cpus 1
	# shellcheck disable=SC2086 # two words
	{
		refused 1 'initrd' $k --initrd /no
		refused 2 'cpus' $k --cpus 0
		refused 2 'cpus' $k --cpus 513
		refused 2 'cpus' $k --cpus two
		refused 2 'mem' $k --mem 12x
		refused 2 'mem' $k --mem 1
		refused 1 'MiB|GiB|memory' $k --mem 100000G
		refused 1 '/no' $k --disk /no
		refused 2 'blue' $k --disk "$kernel,blue"
		refused 2 'mode' $k --network mode=bridge
		refused 2 'mac' $k --network mode=tap,mac=xx
		refused 2 'console' $k --console vga
		refused 2 'irqchip' $k --irqchip gicv2
		refused 2 'loglevel' $k --loglevel loud
		refused 2 'kaslr' $k --kaslr-seed xyz
		refused 2 'nonsense' $k --nonsense
		refused 1 '/no/' $k --dump-dtb /no/where
		refused 2 'neither the address' $k --vfio-pci 1:2
		refused 1 'no IOMMU' $k --vfio-pci 00:01.0
		refused 1 'passt' $k --network mode=user,passt=/no/passt
	}
	refused 2 'did you mean --kernel' --kernal "$kernel"
	refused 2 'may be --disable-sve' --kernel "$kernel" --disa
	truncate -s 0 "$tmp/empty"
	refused 1 'empty' --kernel "$tmp/empty"
	refused 1 'regular' --kernel "$tmp"
	run "$lkvm" frobnicate
	check_status 2
	check_err frobnicate
	run "$lkvm" save g file
	check_status 2
	check_err "did you mean 'snapshot save'"
	run "$lkvm" pause
	check_status 2
}

case_dump_dtb_refuses_files_of_the_guest()
{
	truncate -s 1M "$tmp/disk"
	cp "$kernel" "$tmp/kernel"
	cp "$initrd" "$tmp/initrd"
	ln -s disk "$tmp/symbolic"
	ln "$tmp/disk" "$tmp/hard"
	before=$(cat "$tmp/disk" "$tmp/kernel" "$tmp/initrd" | sha1sum)
	for file in disk symbolic hard kernel initrd; do
		refused 1 "--dump-dtb $tmp/$file: the file is " --kernel "$tmp/kernel" --initrd "$tmp/initrd" --disk "$tmp/disk" \
			--dump-dtb "$tmp/$file"
	done
	refused 1 "the file is a disk of the guest" --kernel "$tmp/kernel" --disk "$tmp/disk" --disk-overlay "$tmp" \
		--name o --dump-dtb "$tmp/o-disk0.overlay"
	mknod "$tmp/block" b 7 99
	refused 1 "$tmp/block is a block device" --kernel "$tmp/kernel" --dump-dtb "$tmp/block"
	check "--dump-dtb wrote to a file of the guest" test "$(cat "$tmp/disk" "$tmp/kernel" "$tmp/initrd" | sha1sum)" = "$before"
	check "--dump-dtb replaced a symbolic link" test -L "$tmp/symbolic"
}

case_help_version_and_doctor_succeed()
{
	run "$lkvm" --help
	check_status 0
	check_out 'The most commonly used'
	run "$lkvm" help run
	check_out '--irqchip'
	run "$lkvm" version
	check_status 0
	run "$lkvm" completion bash
	check_status 0
	run "$lkvm" doctor
	check_status 0
	check_out 'ok +ITS'
	check_out 'ok +vGICv3'
}

case_run_accepts_command_line_of_kvmtool()
{
	timeout 60 "$lkvm" run --kernel "$kernel" --cpus 4 --params 'console=ttyS0 quiet lkvm.test=hello' --nodefaults \
		--network mode=none --loglevel=warning --irqchip=gicv3-its --initrd "$initrd" </dev/null >"$logs/g.out" 2>"$logs/g.err" ||
		fail "lkvm run ended with status $?"
	check "the guest did not print hello with 4 vCPUs" grep -q 'hello from.*4 vCPUs' "$logs/g.out"
	check "lkvm printed messages" test ! -s "$logs/g.err"
}

case_nodefaults_gives_exactly_the_params()
{
	truncate -s 1M "$tmp/disk"
	for params in 'lkvm.test=none  quiet' ''; do
		"$lkvm" run --name n --kernel "$kernel" --params "$params" --nodefaults --disk "$tmp/disk" --dump-dtb "$tmp/dtb" \
			--detach >"$logs/n.out" 2>"$logs/n.err" || fail "lkvm run failed: $(cat "$logs/n.err")"
		"$lkvm" stop --force n >/dev/null
		! grep -aq 'console=\|root=' "$tmp/dtb" || fail "\"$params\": lkvm added parameters"
		[ -z "$params" ] || grep -aq "$params" "$tmp/dtb" || fail "\"$params\" is not in the device tree"
	done
}

case_kernel_in_another_format_is_refused_by_name()
{
	printf '070701%0200d' 0 >"$tmp/cpio"
	gzip -c "$tmp/cpio" >"$tmp/cpio.gz"
	printf 'MZ%0600d' 0 >"$tmp/efi"
	printf '\177ELF%0600d' 0 >"$tmp/vmlinux"
	printf 'QFI\373%0600d' 0 >"$tmp/qcow2"
	dd if=/dev/zero of="$tmp/zeroes" bs=1M count=1 2>/dev/null
	dd if=/dev/zero of="$tmp/bzImage" bs=514 count=1 2>/dev/null
	printf 'HdrS%0600d' 0 >>"$tmp/bzImage"
	refused 1 'initrd' --kernel "$tmp/cpio"
	refused 1 'cpio.*gzip' --kernel "$tmp/cpio.gz"
	refused 1 'cpio' --kernel "$initrd"
	refused 1 'EFI' --kernel "$tmp/efi"
	refused 1 'vmlinux' --kernel "$tmp/vmlinux"
	refused 1 'qcow2' --kernel "$tmp/qcow2"
	refused 1 'zeroes' --kernel "$tmp/zeroes"
	refused 1 'bzImage' --kernel "$tmp/bzImage"
}

case_flat_program_runs_with_a_warning()
{
	kernel=$programs/hello.bin
	start h ''
	wait_for h '^hello: loaded'
	input h 'hello'
	wait_exit h 0
	check "lkvm did not print exactly one header warning" test "$(grep -c 'no header of an arm64 Image' "$logs/h.err")" = 1
}

case_disk_image_that_is_not_raw_is_refused_and_left_as_it_is()
{
	dd if=/dev/zero of="$tmp/d" bs=64k count=1 2>/dev/null
	printf 'QFI\373' | dd of="$tmp/d" conv=notrunc 2>/dev/null
	dd if=/dev/zero of="$tmp/vhd" bs=64k count=1 2>/dev/null
	printf 'conectix%0504d' 0 >>"$tmp/vhd"
	head -c 4096 /dev/urandom | gzip >"$tmp/gz"
	for d in d:qcow2 vhd:vpc gz:gunzip; do
		sum=$(md5sum <"$tmp/${d%:*}")
		refused 1 "${d#*:}" --kernel "$kernel" --disk "$tmp/${d%:*}"
		check "lkvm wrote to $d" test "$(md5sum <"$tmp/${d%:*}")" = "$sum"
	done
	# With format=raw, lkvm uses the image. The guest is saved. The restore does not check the image's first bytes.
	start g lkvm.shell=plain --disk "$tmp/d,format=raw"
	wait_for g '^lkvm-guest: ready'
	save g "$tmp/s" --stop
	wait_exit g 0
	for items in ro queues=2 serial=other; do
		run "$lkvm" snapshot restore --name r --disk "$tmp/d,$items" "$tmp/s"
		check_status 1
		check_err "${items%=*}"
	done
	for items in '' ,queues=1 ,format=raw; do
		run "$lkvm" snapshot restore --name r --paused --detach --disk "$tmp/d$items" "$tmp/s"
		check_status 0
		"$lkvm" stop --force r >/dev/null
	done
}

case_commands_give_advice_when_they_refuse()
{
	truncate -s 1M "$tmp/d"
	ln -s d "$tmp/other"
	refused 1 'disks 0 and 1 are the same file' --kernel "$kernel" --disk "$tmp/d" --disk "$tmp/other,ro"
	refused 2 'not a mounted hugetlbfs' --kernel "$kernel" --hugetlbfs "$tmp"
	refused 2 "$tmp/missing: No such file" --kernel "$kernel" --hugetlbfs "$tmp/missing"
	refused 2 'h may be --hugetlbfs, --help' --kernel "$kernel" --h
	run env XDG_RUNTIME_DIR="$tmp/no" "$lkvm" run --kernel "$kernel"
	check_status 1
	check_err "XDG_RUNTIME_DIR is $tmp/no, which does not exist"
	run env XDG_RUNTIME_DIR="$tmp/no" "$lkvm" list
	check_status 1
	check_err 'XDG_RUNTIME_DIR'

	# lkvm allows two read-only uses of one file. It only warns about more memory than the host has.
	mem=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 + 64))
	start g lkvm.shell=plain --balloon --disk "$tmp/d,ro" --disk "$tmp/other,ro" --mem $mem
	wait_for g '^lkvm-guest: ready'
	check "lkvm did not warn about the guest's memory" grep -q "the guest has $mem MiB of memory, the host only" "$logs/g.err"
	run "$lkvm" balloon g 65G
	check_status 1
	check_err 'the guest has [0-9.]+ GiB of memory, and cannot give up 65 GiB'
	"$lkvm" stop --force g
	wait_exit g 0
}
