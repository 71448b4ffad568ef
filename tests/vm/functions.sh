# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# The functions that VM tests use. harness.sh describes how to write a test.

# shellcheck disable=SC2034 # used by tests
programs=$share/programs helpers=$share/helpers

# $now: whole seconds of a clock that does not jump. tick starts no process, because processes are slow on an emulated
# processor.
tick() { read -r now _ </proc/uptime; now=${now%%.*}; }

fail()
{
	echo "$*" >"$logs/reason"
	exit 1
}

# known_fault TEXT: this host has a fault that docs/host-kernels.md describes. The case passes, and its result line has
# TEXT.
known_fault() { echo "$*" >"$logs/known"; }

# start GUEST 'KERNEL PARAMETERS' [OPTION OF lkvm run...]: starts the guest in the background. Its output is in
# $logs/GUEST.out and .err, and its input comes from `input`. The output of an earlier guest of that name is moved away,
# so that it does not count as the output of this guest. The kernel's parameters leave out what slows an emulated guest
# down most: tests of its ciphers, and separate page tables for user space.
start()
{
	g=$1 p=$2
	shift 2
	rm -f "$tmp/$g.in"
	mkfifo "$tmp/$g.in"
	[ ! -e "$logs/$g.out" ] || mv "$logs/$g.out" "$logs/$g.before.out"
	: >"$logs/$g.out"
	launch "$g" "$lkvm" run --name "$g" --kernel "$kernel" --initrd "$initrd" \
		--mem 256 --params "console=ttyS0 quiet cryptomgr.notests kpti=off mitigations=off $p" "$@"
}

# launch GUEST COMMAND...: starts the VMM itself, with that input and output.
launch()
{
	l=$1
	shift
	rm -f "$tmp/$l.status" "$tmp/$l.pid"
	(
		# The shell's process becomes lkvm, so its $$ is lkvm's process ID. The pipe is open for reading and
		# writing, so that lkvm's input never ends.
		sh -c 'echo $$ >"$0"; exec "$@"' "$tmp/$l.pid" "$@" \
			<>"$tmp/$l.in" >>"$logs/$l.out" 2>>"$logs/$l.err" && ended=0 || ended=$?
		echo "$ended" >"$tmp/$l.status"
	) &
	# Its input has a reader from here on: what `input` writes is not lost.
	until [ -s "$tmp/$l.pid" ] || [ -s "$tmp/$l.status" ]; do sleep 0.05; done
}

# save GUEST FILE [OPTION...]: runs lkvm snapshot save, which must succeed and write a valid file. The guest may have
# been restored from a FILE that exists. A save does not replace such a file, so the new file replaces it afterwards.
save()
{
	s=$1 f=$2 new=$2
	shift 2
	[ ! -e "$f" ] || new=$f.new
	run "$lkvm" snapshot save "$@" "$s" "$new"
	[ "$status" = 0 ] || fail "the save failed: $(cat "$logs/run.err")"
	[ "$new" = "$f" ] || mv "$new" "$f"
	"$lkvm" snapshot verify "$f" >"$logs/verify.out" 2>&1 || fail "verify failed: $(head -n 3 "$logs/verify.out")"
}

# ready GUEST [OPTION OF lkvm run...]: gives a guest with a shell for `ask`, as start GUEST lkvm.shell=plain OPTION...
# does. The first case that requests these options boots the guest and saves it. All cases get the guest restored, which
# takes a tenth of the time. It is for cases that do not test the start of a guest or a guest that was never restored.
# Disks have the size that they had at the save.
ready()
{
	r=$1 kept=$kept_guests/any
	shift
	[ $# = 0 ] || kept=$kept_guests/$case_file-$(echo "$*" | sed "s,$tmp,TMP,g" | md5sum | cut -c1-16)
	if [ ! -e "$kept" ]; then
		start "$r" lkvm.shell=plain "$@"
		wait_for "$r" '^lkvm-guest: ready'
		save "$r" "$kept.new" --stop
		wait_exit "$r" 0
		mv "$kept.new" "$kept"
		mv "$logs/$r.out" "$logs/$r.boot.out"
	fi
	rm -f "$tmp/$r.in"
	mkfifo "$tmp/$r.in"
	echo 'lkvm-guest: ready' >"$logs/$r.out"
	ready_disks=
	while [ $# -gt 0 ]; do
		[ "$1" != --disk ] || ready_disks="$ready_disks --disk ${2%%,*}"
		shift
	done
	# shellcheck disable=SC2086 # options and their files
	restore "$r" "$kept" $ready_disks
	wait_listening "$r"
}

# flood GUEST: sends packets through lk0 to the guest's eth0, as fast as the guest answers. $flood is the process that
# sends them.
flood()
{
	ip addr add 10.9.0.1/24 dev lk0
	ask "$1" 'ifconfig eth0 10.9.0.2 up; ping -c 1 10.9.0.1 >/dev/null; echo "ping $?"'
	check "the guest does not reach the host by ping" grep -qx 'ping 0' "$logs/said"
	ping -f -s 1400 10.9.0.2 >/dev/null 2>&1 &
	flood=$!
}

# restore GUEST FILE [OPTION...]: restores the guest from FILE, with the same console and the same log.
restore()
{
	r=$1 f=$2
	shift 2
	launch "$r" "$lkvm" snapshot restore "$f" --name "$r" "$@"
}

# move GUEST FILE [OPTION...]: saves, ends and restores the guest. The guest does not notice this.
move()
{
	m=$1 f=$2
	shift 2
	save "$m" "$f" --stop
	wait_exit "$m" 0
	restore "$m" "$f" "$@"
	wait_listening "$m"
}

# leave FILE NAME: keeps FILE for tests of phase 2, on any host.
leave()
{
	mkdir -p "$share/results/carry/$host"
	cp "$1" "$share/results/carry/$host/$2"
}

# left HOST NAME TEST: sets $path to the file that TEST left on HOST.
left()
{
	path=$share/carry/$1/$2
	[ -e "$path" ] || fail "host $1 left no $2: $3 must pass there, in the same run of tests/vm/run"
}

# wait_listening GUEST: waits until the guest's lkvm answers commands. Its machine is open then. The socket exists
# earlier, to reserve the name.
wait_listening()
{
	tick
	end=$((now + 60))
	until "$lkvm" stat "$1" >/dev/null 2>&1; do
		[ ! -s "$tmp/$1.status" ] || fail "$1 ended with status $(cat "$tmp/$1.status"): $(tail -n 1 "$logs/$1.err")"
		tick
		[ "$now" -lt "$end" ] || fail "$1 does not answer commands after 60 s"
		sleep 0.1
	done
}

# input GUEST TEXT: writes a line to the guest's console. The line is lost when the guest has just ended. The pipe is
# open for reading and writing, because an open for writing only would wait for a reader.
input() { printf '%s\n' "$2" 1<>"$tmp/$1.in"; }

# ask GUEST COMMAND [SECONDS]: runs COMMAND in the guest's shell. The output is in $logs/said, and the exit status in
# $status. It is for guests with lkvm.shell=plain that have printed "lkvm-guest: ready".
asked=0
ask()
{
	asked=$((asked + 1))
	input "$1" "echo \"lkvm-asking $asked\"; $2; echo \"lkvm-asked $asked \$?\""
	wait_for "$1" "^lkvm-asked $asked [0-9]+" "${3:-120}"
	tr -d '\r' <"$logs/$1.out" |
		awk -v mark="lkvm-asking $asked\$" 'found; $0 ~ mark { found = 1 }' >"$tmp/answer"
	status=$(sed -n "s/^lkvm-asked $asked //p" "$tmp/answer")
	sed '/^lkvm-asked /d' "$tmp/answer" >"$logs/said"
}

pid() { cat "$tmp/$1.pid"; }

# wait_for GUEST REGEX [SECONDS]: waits until the guest's output has a line that matches REGEX.
wait_for()
{
	tick
	end=$((now + ${3:-120}))
	until grep -Eq "$2" "$logs/$1.out" 2>/dev/null; do
		if [ -s "$tmp/$1.status" ] && ! grep -Eq "$2" "$logs/$1.out"; then
			fail "$1 ended with status $(cat "$tmp/$1.status") before \"$2\""
		fi
		! grep -q 'Kernel panic' "$logs/$1.out" 2>/dev/null || fail "$1 panicked"
		tick
		[ "$now" -lt "$end" ] || fail "$1 did not print \"$2\" within ${3:-120} s"
		sleep 0.2
	done
}

# wait_boot GUEST N: waits until the guest is up for the Nth time in one run of its lkvm.
wait_boot()
{
	tries=0
	until [ "$(grep -c '^lkvm-guest: ready' "$logs/$1.out")" = "$2" ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || fail "boot $2 of $1 did not end"
		sleep 0.2
	done
}

# wait_exit GUEST [STATUS [SECONDS]]: waits until the guest's lkvm has ended. It must end with STATUS.
wait_exit()
{
	tick
	end=$((now + ${3:-120}))
	until [ -s "$tmp/$1.status" ]; do
		tick
		[ "$now" -lt "$end" ] || fail "$1 did not end within ${3:-120} s"
		sleep 0.2
	done
	[ "$(cat "$tmp/$1.status")" = "${2:-0}" ] ||
		fail "$1 ended with status $(cat "$tmp/$1.status"), not ${2:-0}"
}

# passes GUEST TEST: waits until the guest's test has ended. It must report success.
passes()
{
	wait_for "$1" "^lkvm-guest: $2: exit" "${3:-120}"
	grep -q "^lkvm-guest: $2: exit 0" "$logs/$1.out" || fail "$2 failed in the guest"
}

# run COMMAND...: runs COMMAND. The exit status is in $status, and the output in $logs/run.out and run.err.
run()
{
	status=0
	"$@" >"$logs/run.out" 2>"$logs/run.err" </dev/null || status=$?
}

# check WHAT COMMAND...: fails with WHAT when COMMAND fails.
check()
{
	what=$1
	shift
	"$@" || fail "$what"
}

check_status() { [ "$status" = "$1" ] || fail "exit status $status, not $1"; }

check_out() { grep -Eq -- "$1" "$logs/run.out" || fail "the output has no \"$1\""; }

check_err() { grep -Eq -- "$1" "$logs/run.err" || fail "the messages have no \"$1\""; }

# refused 'WORDS' OPTION...: lkvm run fails with one sentence that has WORDS, and starts no guest.
refused()
{
	words=$1
	shift
	run timeout 20 "$lkvm" run --name bad --kernel "$kernel" "$@"
	[ "$status" = 1 ] || fail "$*: exit status $status: $(cat "$logs/run.err")"
	grep -Eq -- "$words" "$logs/run.err" || fail "$*: the message has no \"$words\": $(cat "$logs/run.err")"
	[ "$(wc -l <"$logs/run.err")" = 1 ] || fail "$*: the message has more than one sentence: $(cat "$logs/run.err")"
}
