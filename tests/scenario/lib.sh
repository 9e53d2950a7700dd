# shellcheck shell=bash
# lib.sh: what the scenario tests share. Sourced; not a test itself.
#
# A scenario calls `setup` once, works in $U (the mount's users/ folder), says what must hold with the
# check functions, and ends. A failed check is printed and the rest still runs; the exit status is 0, 1
# when anything failed, or 77 when the scenario cannot run here. Whatever was mounted, started or made
# is gone afterwards, also on failure.
#
# SCRIBEFS: the program (default build/scribefs). TARGET_PLAIN=1: an ordinary folder stands in for the
# mount, to try out those scenarios that hold on any filesystem. KEEP=1: leaves the files for a look.

set -u -o pipefail
export LC_ALL=C.UTF-8
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
SCRIBEFS=${SCRIBEFS:-$ROOT/build/scribefs}
SHARED=${SCRIBEFS_SHARED:-$ROOT/../shared}
FAILS=0
W='' MNT='' STORE='' KEY='' U=''
BACKGROUND=()
EXTRA_MOUNTS=()

plain() { [ -n "${TARGET_PLAIN:-}" ]; }

skip() {
	echo "skip: $*"
	exit 77
}

die() {
	echo "FAIL: $*"
	exit 1
}

need_tool() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
}

need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
need_mount() { ! plain || skip "needs a mount"; }
need_samples() { [ -x "$SHARED/samples/split-aider.py" ] || skip "no samples at $SHARED"; }

# Private folder, store, key, and the mount itself. Arguments: -o OPTIONS.
setup() {
	if ! plain; then
		[ -x "$SCRIBEFS" ] || skip "no program at $SCRIBEFS"
		[ -c /dev/fuse ] || skip "no /dev/fuse"
	fi
	need_tool python3
	W=$(mktemp -d "${TMPDIR:-/var/tmp}/scribefs-scenario.XXXXXX") || exit 1
	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	chmod 755 "$W"
	MNT=$W/mnt STORE=$W/store KEY=$W/key U=$MNT/users
	mkdir "$MNT" "$W/tmp"
	# Editors make no backups of what lies below TMPDIR, and so the mount must not.
	export TMPDIR=$W/tmp XDG_STATE_HOME=$W/state
	if plain; then
		mkdir "$U"
		return
	fi
	init_store "$STORE" "$KEY" || die "init of a store"
	mount_store "$@" || die "mount of a new store"
}

init_store() { "$SCRIBEFS" init "$1" --new-key-file "$2" --no-recovery-key >"$W/.init" 2>&1 || { cat "$W/.init"; return 1; }; }

# The shell's own standard streams stay out of the daemon, or a pipe that reads them would never end.
mount_store() {
	plain && return
	timeout 60 "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" "$@" \
		</dev/null >"$W/.mount" 2>&1 || { cat "$W/.mount"; return 1; }
}

umount_store() {
	plain && return
	timeout 60 "$SCRIBEFS" umount "$MNT" </dev/null >"$W/.umount" 2>&1 || { cat "$W/.umount"; return 1; }
}

# Arguments are those of the mount.
remount() {
	plain && return
	umount_store || die "umount"
	mount_store "$@" || die "mount after umount"
}

# The daemons of $1 (default: our store), by the store's path, which is private to this scenario.
daemon_pid() {
	local dir store=${1:-$STORE}
	for dir in /proc/[0-9]*; do
		{ tr '\0' '\n' <"$dir/cmdline"; } 2>/dev/null | awk -v s="$store" '
			NR == 1 && $0 !~ /scribefs/ { exit } NR == 2 && $0 != "mount" { exit }
			$0 == s { found = 1 } END { exit !found }' && echo "${dir#/proc/}"
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

kill9_daemon() {
	local pid
	for pid in $(daemon_pid "$@"); do
		kill -9 "$pid"
		wait_for "daemon $pid is dead" gone "$pid"
	done
}

# Takes away a mount whose daemon is dead.
detach_mount() {
	fusermount3 -uz "$MNT" 2>/dev/null || umount -l "$MNT" 2>/dev/null
	mountpoint -q "$MNT" && die "cannot detach $MNT"
	return 0
}

# Remembers a process that cleanup ends; $1 is its id.
background() { BACKGROUND+=("$1"); }

cleanup() {
	local status=$? pid mount
	trap - EXIT
	cd /
	for pid in "${BACKGROUND[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for mount in "$MNT" "${EXTRA_MOUNTS[@]}"; do
		mountpoint -q "$mount" 2>/dev/null || stat "$mount" 2>&1 | grep -q 'not connected' || continue
		timeout 30 "$SCRIBEFS" umount "$mount" >/dev/null 2>&1 ||
			fusermount3 -uz "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null
	done
	for pid in $(plain || daemon_pid_below "$W"); do
		timeout 20 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null
	done
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $W"
	else
		chmod -R u+rwx "$W" 2>/dev/null
		rm -rf --one-file-system "$W"
	fi
	[ "$status" = 0 ] && [ "$FAILS" -gt 0 ] && status=1
	exit "$status"
}

# Every daemon whose store lies below $1.
daemon_pid_below() {
	local dir
	for dir in /proc/[0-9]*; do
		{ tr '\0' '\n' <"$dir/cmdline"; } 2>/dev/null | awk -v w="$1/" '
			NR == 1 && $0 !~ /scribefs/ { exit } NR == 2 && $0 != "mount" { exit }
			index($0, w) == 1 { found = 1 } END { exit !found }' && echo "${dir#/proc/}"
	done
}

failed() {
	FAILS=$((FAILS + 1))
	echo "FAIL: $*"
}

# check TEXT COMMAND…: the command succeeds; its output is shown only when it does not.
check() {
	local text=$1
	shift
	if "$@" >"$W/.out" 2>&1; then
		echo "ok: $text"
	else
		failed "$text (status $?): $*"
		head -c 4000 "$W/.out" | head -40 | sed 's/^/    /'
		return 1
	fi
}

# The same, where going on makes no sense.
must() { check "$@" || exit 1; }

check_not() {
	local text=$1
	shift
	if "$@" >"$W/.out" 2>&1; then
		failed "$text: succeeded, must fail: $*"
		head -20 "$W/.out" | sed 's/^/    /'
		return 1
	fi
	echo "ok: $text"
}

# same TEXT EXPECTED ACTUAL
same() {
	if [ "$2" = "$3" ]; then
		echo "ok: $1"
	else
		failed "$1: expected $(printf '%.300q' "$2"), got $(printf '%.300q' "$3")"
		return 1
	fi
}

# empty TEXT ACTUAL
empty() { same "$1" "" "$2"; }

# refused TEXT COMMAND…: exit status 1 and exactly one line on standard error, none on standard output.
refused() {
	local text=$1 status
	shift
	timeout 60 "$@" </dev/null >"$W/.stdout" 2>"$W/.stderr"
	status=$?
	if [ "$status" = 1 ] && [ "$(wc -l <"$W/.stderr")" = 1 ] && [ ! -s "$W/.stdout" ]; then
		echo "ok: $text: $(cat "$W/.stderr")"
	else
		failed "$text: status $status (1 expected), one line on standard error expected, got:"
		sed 's/^/    stderr: /' "$W/.stderr" | head -10
		sed 's/^/    stdout: /' "$W/.stdout" | head -5
		return 1
	fi
}

# wait_for TEXT COMMAND…: until the command succeeds. The bound only ends a hang.
wait_for() {
	local text=$1 tries=600
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ "$tries" = 0 ]; then
			failed "$text: never came true: $*"
			return 1
		fi
		sleep 0.1
	done
}

# A session of ann's; prints its path. $1: name, $2: workflow.
session() {
	local dir=$U/ann/${2:-chat}/$1
	mkdir -p "$dir"
	! plain || mkdir -p "$dir/messages"
	echo "$dir"
}

# field FILE KEY…: a value of a JSON file, printed as JSON, strings bare.
field() {
	python3 - "$@" <<-'PY'
		import json, sys
		value = json.load(open(sys.argv[1]))
		for key in sys.argv[2:]:
		    value = value[int(key) if isinstance(value, list) else key]
		print(value if isinstance(value, str) else json.dumps(value))
	PY
}

xattr() { getfattr --absolute-names --only-values -n "user.scribefs.$2" "$1" 2>&1; }

# Builds tests/scenario/$1.c; the program is $W/$1.
build_helper() {
	need_tool "${CC:-cc}"
	"${CC:-cc}" -Wall -Wextra -D_GNU_SOURCE -O1 -o "$W/$1" "$HERE/$1.c" -lpthread || die "compiling $1.c"
}
