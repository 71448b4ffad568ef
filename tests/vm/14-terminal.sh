# shellcheck shell=sh disable=SC2154,SC2016,SC2059
# SPDX-License-Identifier: MIT
# what: lkvm on a terminal: raw mode while the guest runs, Ctrl-A's commands, and the old settings after each kind of end

# on_a_terminal COMMAND...: a shell runs COMMAND on a terminal, as for a user. The terminal's settings differ from all
# usual defaults. lkvm must restore exactly these settings.
on_a_terminal()
{
	rm -f "$tmp/g.in"
	mkfifo "$tmp/g.in"
	: >"$logs/g.out"
	launch g "$helpers/pty" sh -c '
		stty intr "^G" -ixon -echoe
		stty -g >"$0/before"
		tty >"$0/terminal"
		"$@"
		status=$?
		stty -g >"$0/after"
		exit $status' "$tmp" "$@"
}

# boot [OPTION...]: starts the guest and waits for its shell.
boot()
{
	on_a_terminal "$lkvm" run --name g --kernel "$kernel" --initrd "$initrd" --mem 256 \
		--params "console=${console:-ttyS0} quiet cryptomgr.notests" "$@"
	wait_for g '^lkvm-guest: init'
	says 'echo "the shell is" there' 'the shell is there'
}

# hello: starts a program that is ready at once and waits for a line.
hello()
{
	on_a_terminal "$lkvm" run --name g --kernel "$programs/hello.bin" --nodefaults
	wait_for g '^hello: loaded'
}

# The terminal echoes the input. So the expected output must differ from the input.
says()
{
	input g "$1"
	wait_for g "^$2"
}

keys() { printf "$1" 1<>"$tmp/g.in"; }

vmm() { "$lkvm" list | awk '$2 == "g" { print $1 }'; }

settings() { stty -F "$(cat "$tmp/terminal")" -g; }

is_raw()
{
	stty -F "$(cat "$tmp/terminal")" -a >"$logs/stty"
	for word in -isig -icanon -echo -icrnl; do
		grep -qwe "$word" "$logs/stty" || fail "the terminal is not raw: stty does not show $word"
	done
}

given_back()
{
	wait_exit g "$1"
	cmp "$tmp/before" "$tmp/after" || fail "the output of stty -g was $(cat "$tmp/before"), and is $(cat "$tmp/after")"
	check "lkvm left its control socket" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
}

case_keys_reach_the_guest()
{
	boot
	is_raw
	was=$(vmm)
	input g 'sh -c "echo it waits; exec sleep 1000"; echo "sleep ended with"" $?"'
	wait_for g '^it waits'
	keys '\003'
	says 'echo "then"" $?"' 'then 130'
	# A terminal that is not raw would handle these keys: suspend, quit, end of file, stop output, and the intr key
	# from above.
	input g 'stty raw -echo; echo "it is"" raw"; dd bs=1 count=5 2>/dev/null | od -An -tx1; stty sane'
	wait_for g '^it is raw'
	keys '\032\034\004\023\007'
	wait_for g '^ 1a 1c 04 13 07'
	check "another lkvm process runs the guest" test "$(vmm)" = "$was"
	is_raw
	keys '\001x'
	given_back 0
}

case_ctrl_a_starts_commands()
{
	boot
	input g 'stty raw -echo; echo "it is"" raw"; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane'
	wait_for g '^it is raw'
	keys '\001a'  # Ctrl-A a and twice Ctrl-A: one of it for the guest
	keys '\001\001'
	keys '\001h'
	wait_for g '^lkvm: Ctrl-A x +end the virtual machine'
	wait_for g '^ +Ctrl-A h'
	keys '\001q.' # no command: both are gone, not the key that comes after
	wait_for g '^ 01 01 2e'
	keys '\001'
	sleep 1
	keys x
	given_back 0
}

case_keys_reach_virtio_console()
{
	console=hvc0
	boot --console virtio
	is_raw
	input g 'sh -c "echo it waits; exec sleep 1000"'
	wait_for g '^it waits'
	keys '\003'
	says 'echo "then"" $?"' 'then 130'
	input g 'poweroff -f'
	given_back 0
}

case_terminal_is_restored_after_signals()
{
	for signal in TERM:143 INT:130 HUP:129; do
		hello
		is_raw
		kill "-${signal%:*}" "$(vmm)"
		given_back "${signal#*:}"
	done
}

# The terminal is already in raw mode when the start fails.
case_terminal_is_restored_when_start_fails()
{
	on_a_terminal "$lkvm" run --kernel "$kernel" --disk /nonexistent
	given_back 1
	check "the message does not name /nonexistent" grep -q /nonexistent "$logs/g.out"
}

# The guest loses its memory. A separate thread ends lkvm in this case.
case_terminal_is_restored_when_guest_memory_is_lost()
{
	hello
	"$lkvm" snapshot save --stop g "$tmp/s" || fail "lkvm snapshot save --stop failed"
	given_back 0
	on_a_terminal "$lkvm" snapshot restore "$tmp/s" --name g --verify=none
	wait_listening g
	is_raw
	truncate -s 65536 "$tmp/s"
	keys x
	given_back 4
	check "lkvm does not report the shortened snapshot" grep -q "the snapshot $tmp/s became shorter while" "$logs/g.out"
}

# The same happens at a stop and fg in a shell. The terminal has the shell's settings during the stop, and is raw again
# afterwards.
case_terminal_is_raw_again_after_stop_and_continue()
{
	hello
	kill -STOP "$(vmm)"
	stty -F "$(cat "$tmp/terminal")" "$(cat "$tmp/before")"
	kill -CONT "$(vmm)"
	tick
	end=$((now + 20))
	until [ "$(settings)" != "$(cat "$tmp/before")" ]; do
		tick
		[ "$now" -lt "$end" ] || fail "lkvm does not set the terminal to raw mode again after it continues"
		sleep 0.1
	done
	is_raw
	input g 'still there'
	wait_for g '^hello: you said "still there"'
	given_back 0
}

case_lkvm_ends_when_its_terminal_goes_away()
{
	hello
	was=$(vmm)
	kill -9 "$(pid g)"
	wait_exit g 137
	tick
	end=$((now + 20))
	while [ -d "/proc/$was" ]; do
		tick
		[ "$now" -lt "$end" ] || fail "lkvm still runs after its terminal went away"
		sleep 0.2
	done
	check "lkvm left its control socket" test ! -e "$XDG_RUNTIME_DIR/lkvm/g.sock"
}
