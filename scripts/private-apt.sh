# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# An apt of our own beside the system's: arm64 only, own lists, nothing installed.
# Sourced after lib.sh.

# Where this machine gets Debian from, in either form that apt's sources have.
apt_uris()
{
	local dir=${LKVM_APT_ETC:-/etc/apt}
	cat "$dir"/sources.list.d/*.sources 2>/dev/null |
		sed -n 's/^URIs:[[:space:]]*//Ip' | tr -s ' \t' '\n'
	cat "$dir"/sources.list "$dir"/sources.list.d/*.list 2>/dev/null |
		sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p'
}

# debootstrap knows Debian's mirror also where the system is not Debian.
debootstrap_mirror()
{
	cat /usr/share/debootstrap/scripts/sid /usr/share/debootstrap/scripts/debian-common \
		/usr/sbin/debootstrap 2>/dev/null |
		grep -o 'http://[^" ]*/debian\>' | head -n 1
}

debian_mirror()
{
	local uri
	if [ -n "${LKVM_DEBIAN_MIRROR:-}" ]; then
		echo "$LKVM_DEBIAN_MIRROR"
		return
	fi
	for uri in $(apt_uris); do
		case $uri in
		*docker.com/*) ;;
		*/debian|*/debian/|mirror*/debian.list) echo "$uri"; return ;;
		esac
	done
	uri=$(debootstrap_mirror) || true
	[ -n "$uri" ] || die "no Debian mirror found: set LKVM_DEBIAN_MIRROR"
	echo "$uri"
}

# Nothing of the system's apt configuration is used but how to reach the network:
# its hooks are not meant for us.
apt_setup()
{
	# shellcheck disable=SC2154 # lib.sh has it
	local suite=$1 dir=$cache/apt/$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror
	mirror=$(debian_mirror)
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	cat >"$dir/debian.sources" <<-END
	Types: deb
	URIs: $mirror
	Suites: $suite
	Components: main
	Signed-By: $keys
	END
	{
		apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries)' || true
		cat <<-END
		Dir::Etc::Main "/dev/null";
		Dir::Etc::Parts "/dev/null";
		Dir::Etc::SourceList "$dir/debian.sources";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$dir/state";
		Dir::State::Status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; };
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::PDiffs "false";
		Acquire::Retries "3";
		END
	} >"$dir/apt.conf"
}

# apt_private SUITE COMMAND...
apt_private()
{
	local suite=$1
	shift
	APT_CONFIG=$cache/apt/$suite/apt.conf "$@"
}

# Package lists no older than a day: their packages may be gone from the mirror.
apt_lists()
{
	local dir=$cache/apt/$1
	mkdir -p "$dir"
	(
		flock 8
		[ -z "$(find "$dir/fresh" -mmin -1440 2>/dev/null)" ] || exit 0
		say "package lists of $1"
		apt_setup "$1"
		apt_private "$1" apt-get -q -o APT::Update::Error-Mode=any update >&2 || exit 1
		touch "$dir/fresh"
	) 8>"$dir/lock"
}

# apt_fetch SUITE PACKAGE...: their .debs into the current folder.
apt_fetch()
{
	local suite=$1
	shift
	apt_lists "$suite" || die "no package lists of $suite: is the network there?"
	apt_private "$suite" apt-get -q download "$@" >&2 && return
	say "once more, with new package lists"
	rm -f "$cache/apt/$suite/fresh"
	apt_lists "$suite"
	apt_private "$suite" apt-get -q download "$@" >&2 || die "download failed: $*"
}

# apt_fetch_closure SUITE PACKAGE...: the same, with all that they depend on.
apt_fetch_closure()
{
	local suite=$1 names
	shift
	apt_lists "$suite" || die "no package lists of $suite: is the network there?"
	names=$(apt_private "$suite" apt-get -qq -s install "$@" |
		sed -n 's/^Inst \([^ ]*\).*/\1/p')
	# shellcheck disable=SC2086 # a list of names
	apt_fetch "$suite" $names
}
