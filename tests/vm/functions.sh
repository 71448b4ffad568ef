# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# The words that VM tests are written in. See harness.sh for how to write one.

# shellcheck disable=SC2034 # used by tests
programs=$share/programs helpers=$share/helpers

# $now: whole seconds on a clock that does not jump. Without a process: those are
# slow where the processor is emulated.
tick() { read -r now _ </proc/uptime; now=${now%%.*}; }

fail()
{
	echo "$*" >"$logs/reason"
	exit 1
}

# known_fault TEXT: this host has a fault that docs/host-kernels.md describes. The case passes, and its line has TEXT.
known_fault() { echo "$*" >"$logs/known"; }

# start GUEST 'KERNEL PARAMETERS' [OPTION OF lkvm run...]: in the background, with
# output in $logs/GUEST.out and .err, and input from what `input` gives it. What an
# earlier guest of that name said must not be taken for what this one says. The guest's
# kernel leaves out what slows it down most, emulated: tests of its ciphers, and other page
# tables for user space.
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

# launch GUEST COMMAND...: the VMM itself, on that input and output.
launch()
{
	l=$1
	shift
	rm -f "$tmp/$l.status"
	(
		# $$ of that shell is lkvm's; read and write, so that its input never ends
		sh -c 'echo $$ >"$0"; exec "$@"' "$tmp/$l.pid" "$@" \
			<>"$tmp/$l.in" >>"$logs/$l.out" 2>>"$logs/$l.err" && ended=0 || ended=$?
		echo "$ended" >"$tmp/$l.status"
	) &
}

# save GUEST FILE [OPTION...]: lkvm snapshot save, which must succeed; and what it wrote must be right. A file that exists
# may be what the guest was restored from, which a save does not replace: it is replaced afterwards.
save()
{
	s=$1 f=$2 new=$2
	shift 2
	[ ! -e "$f" ] || new=$f.new
	run "$lkvm" snapshot save "$@" "$s" "$new"
	[ "$status" = 0 ] || fail "save: $(cat "$logs/run.err")"
	[ "$new" = "$f" ] || mv "$new" "$f"
	"$lkvm" snapshot verify "$f" >"$logs/verify.out" 2>&1 || fail "verify: $(head -n 3 "$logs/verify.out")"
}

# ready GUEST [OPTION OF lkvm run...]: a guest with a shell for `ask`, as start GUEST lkvm.shell=plain OPTION... gives it. The
# first case that wants these options boots it and saves it. All of them get it restored, which takes a tenth of the time. It is for
# cases that test neither the start of a guest nor one that was never restored. Disks have the size that they had then.
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

# flood GUEST: its eth0, behind lk0, gets packets as fast as it answers; $flood sends them.
flood()
{
	ip addr add 10.9.0.1/24 dev lk0
	ask "$1" 'ifconfig eth0 10.9.0.2 up; ping -c 1 10.9.0.1 >/dev/null; echo "ping $?"'
	check "no network" grep -qx 'ping 0' "$logs/said"
	ping -f -s 1400 10.9.0.2 >/dev/null 2>&1 &
	flood=$!
}

# restore GUEST FILE [OPTION...]: goes on from it, on the same console and in the same log.
restore()
{
	r=$1 f=$2
	shift 2
	launch "$r" "$lkvm" snapshot restore "$f" --name "$r" "$@"
}

# move GUEST FILE [OPTION...]: saved, ended, restored: the guest notices nothing.
move()
{
	m=$1 f=$2
	shift 2
	save "$m" "$f" --stop
	wait_exit "$m" 0
	restore "$m" "$f" "$@"
	wait_listening "$m"
}

# leave FILE NAME: for tests of phase 2, on whichever host.
leave()
{
	mkdir -p "$share/results/carry/$host"
	cp "$1" "$share/results/carry/$host/$2"
}

# left HOST NAME TEST: where what this test left on that host is now, in $path.
left()
{
	path=$share/carry/$1/$2
	[ -e "$path" ] || fail "host $1 left no $2: $3 has to pass there, in the same run of tests/vm/run"
}

# wait_listening GUEST: until it answers other commands: its machine is open then. Its
# socket is there before that, to keep the name.
wait_listening()
{
	tick
	end=$((now + 60))
	until "$lkvm" stat "$1" >/dev/null 2>&1; do
		[ ! -s "$tmp/$1.status" ] || fail "$1 ended with $(cat "$tmp/$1.status"): $(tail -n 1 "$logs/$1.err")"
		tick
		[ "$now" -lt "$end" ] || fail "$1 does not listen"
		sleep 0.1
	done
}

# input GUEST TEXT: a line on its console. A guest that has just ended loses it: opened for writing only, the pipe would wait for a reader.
input() { printf '%s\n' "$2" 1<>"$tmp/$1.in"; }

# ask GUEST COMMAND [SECONDS]: what its shell answers, in $logs/said, its exit status in
# $status. For guests with lkvm.shell=plain, once they said "lkvm-guest: ready".
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

# wait_for GUEST REGEX [SECONDS]: until its output has a line like it.
wait_for()
{
	tick
	end=$((now + ${3:-120}))
	until grep -Eq "$2" "$logs/$1.out" 2>/dev/null; do
		if [ -s "$tmp/$1.status" ] && ! grep -Eq "$2" "$logs/$1.out"; then
			fail "$1 ended with $(cat "$tmp/$1.status") before \"$2\""
		fi
		! grep -q 'Kernel panic' "$logs/$1.out" 2>/dev/null || fail "$1 panicked"
		tick
		[ "$now" -lt "$end" ] || fail "$1 did not say \"$2\" in ${3:-120} s"
		sleep 0.2
	done
}

# wait_boot GUEST N: until it is up for the Nth time, in one run of its lkvm.
wait_boot()
{
	tries=0
	until [ "$(grep -c '^lkvm-guest: ready' "$logs/$1.out")" = "$2" ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || fail "boot $2 of $1 did not end"
		sleep 0.2
	done
}

# wait_exit GUEST [STATUS [SECONDS]]: until its lkvm has ended, with this status.
wait_exit()
{
	tick
	end=$((now + ${3:-120}))
	until [ -s "$tmp/$1.status" ]; do
		tick
		[ "$now" -lt "$end" ] || fail "$1 did not end in ${3:-120} s"
		sleep 0.2
	done
	[ "$(cat "$tmp/$1.status")" = "${2:-0}" ] ||
		fail "$1 ended with $(cat "$tmp/$1.status"), not ${2:-0}"
}

# passes GUEST TEST: the guest's test said that it passed.
passes()
{
	wait_for "$1" "^lkvm-guest: $2: exit" "${3:-120}"
	grep -q "^lkvm-guest: $2: exit 0" "$logs/$1.out" || fail "$2 failed in the guest"
}

# run COMMAND...: then $status, and its output in $logs/run.out and run.err.
run()
{
	status=0
	"$@" >"$logs/run.out" 2>"$logs/run.err" </dev/null || status=$?
}

# check WHAT COMMAND...: fails with WHAT when the command does.
check()
{
	what=$1
	shift
	"$@" || fail "$what"
}

check_status() { [ "$status" = "$1" ] || fail "exit status $status, not $1"; }

check_out() { grep -Eq -- "$1" "$logs/run.out" || fail "no \"$1\" in the output"; }

check_err() { grep -Eq -- "$1" "$logs/run.err" || fail "no \"$1\" in the messages"; }

# refused 'WORDS' OPTION...: one sentence, and nothing is run.
refused()
{
	words=$1
	shift
	run timeout 20 "$lkvm" run --name bad --kernel "$kernel" "$@"
	[ "$status" = 1 ] || fail "$*: exit status $status: $(cat "$logs/run.err")"
	grep -Eq -- "$words" "$logs/run.err" || fail "$*: no \"$words\" in: $(cat "$logs/run.err")"
	[ "$(wc -l <"$logs/run.err")" = 1 ] || fail "$*: more than a sentence: $(cat "$logs/run.err")"
}
