# shellcheck shell=bash
# lib.sh: what the scripts of this folder and of tests/ share. Sourced.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIBEFS=${SCRIBEFS:-$TOP/build/scribefs}
# shellcheck disable=SC2034 # used by the scripts that source this
DATA=${XDG_DATA_HOME:-$HOME/.local/share}/scribefs
# shellcheck disable=SC2034
CONFIG=${XDG_CONFIG_HOME:-$HOME/.config}/scribefs
# shellcheck disable=SC2034
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/scribefs
# shellcheck disable=SC2034
UNITS=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user

say() { printf '%s\n' "$*"; }

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# The comment at the head of the script.
show_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# Runs a command as root. Where there is no terminal sudo must not ask.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		if [ -t 0 ]; then sudo -- "$@"; else sudo -n -- "$@"; fi
	else
		die "this needs root, and there is no sudo; as root run: $*"
	fi
}

package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The packages that the lists ask for and that are not there; of alternatives the first.
missing_packages() {
	local line name
	cat "$@" | sed 's/#.*//; s/[[:space:]]//g; /^$/d' | while IFS= read -r line; do
		local IFS='|'
		for name in $line; do
			package_installed "$name" && continue 2
		done
		printf '%s\n' "${line%%|*}"
	done
}

# install_packages LIST…: nothing, not even the network, is touched where all is there.
install_packages() {
	local missing
	if ! command -v dpkg-query >/dev/null; then
		say "This is no Debian; what is needed stands in: $*"
		return 0
	fi
	mapfile -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "Installing: ${missing[*]}"
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
	as_root "${apt[@]}" update >/dev/null || die "apt-get update failed; is there a network?"
	as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
		die "apt-get could not install: ${missing[*]}"
}

# Runs a command whose output is of interest only when it fails.
quietly() {
	local output status=0
	output=$("$@" 2>&1) || status=$?
	[ "$status" = 0 ] || printf '%s\n' "$output" | tail -n 40 >&2
	return "$status"
}

# build_in DIR NINJA-TARGET… [-- MESON-SETUP-ARGUMENTS…]
build_in() {
	local dir=$1 targets=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		targets+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	if [ -f "$dir/build.ninja" ]; then
		quietly meson setup --reconfigure "$dir" "$TOP" "$@"
	else
		quietly meson setup "$dir" "$TOP" "$@"
	fi && quietly ninja -C "$dir" "${targets[@]}"
}

# The program, unless SCRIBEFS names one that is built already.
build_scribefs() {
	[ "$SCRIBEFS" != "$TOP/build/scribefs" ] || build_in "$TOP/build" scribefs || die "the build failed"
}

# The absolute path of a mountpoint, also where its daemon died or it is yet to be made.
absolute() { realpath -m -- "$1"; }

mounted() { findmnt -n -t fuse.scribefs --mountpoint "$1" >/dev/null; }

# Whether somebody answers there.
serves() { mounted "$1" && "$SCRIBEFS" status "$1" >/dev/null 2>&1; }

# The name of a mountpoint's unit, log and pid file.
instance_name() {
	local name=${1#/}
	name=${name//-/--}
	name=${name//\//-}
	printf '%s\n' "${name//[^A-Za-z0-9_.-]/_}"
}

# While nothing is mounted a mountpoint refuses writes, so that no plaintext lands there.
guard_mountpoint() {
	local dir=$1
	mkdir -p "$dir" || die "cannot make the mountpoint $dir"
	[ -z "$(ls -A "$dir")" ] || die "$dir is not empty; name an empty directory as the mountpoint"
	[ "$(stat -c %a "$dir")" = 500 ] || chmod 0500 "$dir" || die "$dir is not yours"
	[ "$(id -u)" = 0 ] || return 0
	# Modes do not hold root back.
	chattr +i "$dir" 2>/dev/null ||
		say "Note: this filesystem has no chattr +i, so root can write into $dir while nothing is mounted."
}

unguard_mountpoint() {
	[ -d "$1" ] || return 0
	[ "$(id -u)" != 0 ] || chattr -i "$1" 2>/dev/null || true
	chmod 0700 "$1"
}

have_user_systemd() { systemctl --user show-environment >/dev/null 2>&1; }

# The supervisor of a mountpoint: its process id if it runs, else failure.
supervisor_pid() {
	local file pid
	file=$STATE/$(instance_name "$1").pid
	pid=$(cat "$file" 2>/dev/null) || return 1
	{ tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qx '.*/supervise' || return 1
	printf '%s\n' "$pid"
}
