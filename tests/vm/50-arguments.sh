# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: bad arguments get one sentence and a non-zero exit; programs written for kvmtool feel at home

# refused STATUS 'WORDS OF THE SENTENCE' OPTION...: nothing is run, nothing is left.
refused()
{
	wanted=$1 words=$2
	shift 2
	run timeout 20 "$lkvm" run --name bad "$@"
	[ "$status" = "$wanted" ] || fail "$*: exit status $status, not $wanted: $(cat "$logs/run.err")"
	grep -Eq -- "$words" "$logs/run.err" || fail "$*: no \"$words\" in: $(cat "$logs/run.err")"
	[ "$(wc -l <"$logs/run.err")" -le 2 ] || fail "$*: more than a sentence: $(cat "$logs/run.err")"
	[ ! -e "$XDG_RUNTIME_DIR/lkvm/bad.sock" ] || fail "$*: a socket was left"
}

case_each_has_its_sentence()
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
		refused 2 'no address' $k --vfio-pci 1:2
		refused 1 'no IOMMU' $k --vfio-pci 00:01.0
		refused 1 'passt' $k --network mode=user,passt=/no/passt
	}
	truncate -s 0 "$tmp/empty"
	refused 1 'empty' --kernel "$tmp/empty"
	refused 1 'regular' --kernel "$tmp"
	run "$lkvm" frobnicate
	check_status 2
	check_err frobnicate
	run "$lkvm" pause
	check_status 2
}

case_help_and_version()
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

case_as_kvmtool_is_called()
{
	timeout 60 "$lkvm" run --kernel "$kernel" --cpus 4 --params 'console=ttyS0 quiet lkvm.test=hello' --nodefaults \
		--network mode=none --loglevel=warning --irqchip=gicv3-its --initrd "$initrd" </dev/null >"$logs/g.out" 2>"$logs/g.err" ||
		fail "exit status $?"
	check "no guest" grep -q 'hello from.*4 vCPUs' "$logs/g.out"
	check "messages" test ! -s "$logs/g.err"
}
