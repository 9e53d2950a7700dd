#!/bin/bash
# The POSIX suite (tests/posix): 90,000 checks of names, rights, times, bytes, locks and errors; and what holds
# on a read-only mount, and on one with noatime.
. "$(dirname "$0")/lib.sh"
SUITE=$(dirname "$SCRIBEFS")/tests/posix/posix
[ -x "$SUITE" ] || skip "no program at $SUITE"
mount_options=()
[ "$(id -u)" != 0 ] || mount_options=(-o allow_other)
setup "${mount_options[@]}"
S=$(session suite)
chmod 711 "$U" "$U/ann" "$U/ann/chat" "$S"

# run TEXT ARGUMENT…
run() {
	local text=$1 status
	shift
	timeout 500 "$SUITE" "$@" >"$W/suite.out" 2>&1
	status=$?
	same "$text: $(tail -n 1 "$W/suite.out")" 0 $status || grep FAIL "$W/suite.out" | head -n 60
	check "$text: all of it ran" grep -qE '^[0-9]+ checks' "$W/suite.out"
}

mkdir "$S/plain" && chmod 755 "$S/plain"
if plain; then
	run "on an ordinary folder" -p "$S/plain"
	exit
fi
run "in a folder of a session" "$S/plain"
mkdir "$U/ann/suites" && chmod 755 "$U/ann/suites"
run "as sessions" "$U/ann/suites" path open_c open_d time owner orphan
rm -rf "$S/plain" "$U/ann/suites"

mkdir -p "$S/frozen/dir"
echo content >"$S/frozen/file"
ln -s file "$S/frozen/link"
setfattr -n user.kept -v 1 "$S/frozen/file"
remount -o ro
run "on a read-only mount" -r "$S"

remount -o noatime
touch -a -d '2001-01-01' "$S/frozen/file" "$S/frozen/dir"
touch -h -a -d '2001-01-01' "$S/frozen/link"
cat "$S/frozen/file" >"$W/read"
ls "$S/frozen/dir" >>"$W/read"
readlink "$S/frozen/link" >>"$W/read"
same "noatime: reading marks nothing" "978307200 978307200 978307200" \
	"$(TZ=UTC stat -c %X "$S/frozen/file" "$S/frozen/dir" "$S/frozen/link" | xargs)"
