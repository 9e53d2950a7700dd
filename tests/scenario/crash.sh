#!/bin/bash
# kill -9 of the daemon in the midst of things, many rounds: what close returned for is there, byte for byte.
. "$(dirname "$0")/lib.sh"
need_mount
setup
ROUNDS=${ROUNDS:-8}
S=$(session load)
LEDGER=$W/ledger
mkdir "$LEDGER"

for round in $(seq "$ROUNDS"); do
	python3 "$HERE/crash_work.py" load "$U" "$LEDGER" "$round" >"$W/load" 2>&1 &
	LOAD=$!
	background $LOAD
	# The moment of death is another one each time.
	sleep "$((1 + round % 3)).$((RANDOM % 10))"
	kill9_daemon
	wait $LOAD
	status=$?
	[ $status = 0 ] || { failed "the load of round $round ended with $status"; cat "$W/load"; }
	if [ $((round % 2)) = 0 ]; then
		detach_mount
	else
		check "scribefs umount takes the dead mount away" umount_store
	fi
	must "the store opens after kill -9 number $round" mount_store
	check "all that was closed is there, round $round" python3 "$HERE/crash_work.py" verify "$U" "$LEDGER" || break
done
remount
check "all is there after a clean restart" python3 "$HERE/crash_work.py" verify "$U" "$LEDGER"
find "$U" -type f -links 1 -printf '%i\n' | sort | uniq -d >"$W/twice"
empty "no inode number is used twice" "$(cat "$W/twice")"
check "the whole tree can be deleted" rm -r "$U/ann"
