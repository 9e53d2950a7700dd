# shellcheck shell=bash
# lib.sh: what the tests of the command line add to tests/scenario/lib.sh. Sourced; not a test itself.

# shellcheck source=tests/scenario/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scenario/lib.sh"

# A private folder and names in it; nothing is made or mounted.
setup_folder() {
	[ -x "$SCRIBEFS" ] || skip "no program at $SCRIBEFS"
	W=$(mktemp -d "${TMPDIR:-/var/tmp}/scribefs-tools.XXXXXX") || exit 1
	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	chmod 755 "$W"
	# shellcheck disable=SC2034 # read by the tests
	MNT=$W/mnt STORE=$W/store KEY=$W/key
	mkdir "$MNT"
	export XDG_STATE_HOME=$W/state
	cd "$W" || exit 1
}

# misused TEXT PATTERN COMMAND…: exit status 2 and one line on standard error that holds PATTERN.
misused() {
	local text=$1 pattern=$2 status
	shift 2
	timeout 60 "$@" </dev/null >"$W/.stdout" 2>"$W/.stderr"
	status=$?
	if [ "$status" = 2 ] && [ "$(wc -l <"$W/.stderr")" = 1 ] && grep -q -e "$pattern" "$W/.stderr"; then
		echo "ok: $text"
	else
		failed "$text: status $status (2 expected), one line with '$pattern' expected, got:"
		sed 's/^/    /' "$W/.stderr" | head -10
		return 1
	fi
}

# says TEXT PATTERN: in the line of the last refused or misused.
says() { check "$1" grep -q -e "$2" "$W/.stderr"; }

# Keys and passphrases are slow on purpose; this many slots are enough to try everything.
key_types() { "$SCRIBEFS" key list "$STORE" --json | python3 -c '
import json, sys
print(*("%d:%s" % (s["slot"], s["type"]) for s in json.load(sys.stdin)["slots"]))'; }

# Whether this machine lets us have a terminal.
have_terminals() {
	python3 -c 'import os; os.openpty()' 2>/dev/null && return
	echo "no terminals here: what is typed was not tried"
	return 1
}

# on_terminal COMMAND… -- LINE…: runs it on a terminal of its own, types the lines, one for each prompt
# (what it prints that ends in ": "), and prints what the terminal showed. The exit status is the command's.
on_terminal() { python3 "$ROOT/tests/tools/terminal.py" "$@"; }
