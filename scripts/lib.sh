# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced by the scripts beside it: names, places and the few words they share.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=${0##*/}

# "v1" goes up when the layout of the cache changes: old caches are then left alone.
cache=${LKVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lkvm}/v1
export top cache

# Progress goes to stderr, so that stdout stays free for paths and results.
say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }

# The comment at the head of a script is its help.
usage() { sed -n '3,/^$/{s/^# \{0,1\}//p}' "$0"; }

machine() { uname -m; }

# Real KVM at hand: nothing needs to be emulated.
native() { [ "$(machine)" = aarch64 ] && [ -w /dev/kvm ]; }

# One process a product: others wait, then find it ready. The lock goes with the process.
lock()
{
	mkdir -p "$cache/locks"
	exec 9>"$cache/locks/$1"
	flock -n 9 || { say "waiting for another run to finish with $1"; flock 9; }
}

unlock() { exec 9>&-; }

# A name for the content of files and folders; symlinks count by where they point.
content_key()
{
	find "$@" \( -type f -o -type l \) -print0 | sort -z |
		xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c1-16
}

# 'it'"'"'s' for a POSIX shell, whatever is in the words.
quote()
{
	local word
	for word; do
		printf "'%s' " "${word//\'/\'\\\'\'}"
	done
}
