#!/bin/bash
# SQLite databases inside a session: rollback journal and WAL, two processes at once, a killed writer.
. "$(dirname "$0")/lib.sh"
setup
python3 -c 'import sqlite3' 2>/dev/null || skip "Python has no sqlite3"
S=$(session database)

for mode in delete truncate persist wal; do
	DB=$S/$mode.db
	must "$mode: a database is made" python3 "$HERE/sqlite_work.py" "$DB" make "$mode"
	python3 "$HERE/sqlite_work.py" "$DB" write a 150 >"$W/a" 2>&1 &
	A=$!
	python3 "$HERE/sqlite_work.py" "$DB" write b 150 >"$W/b" 2>&1 &
	B=$!
	background $A
	background $B
	check "$mode: a reader sees a whole state all along" python3 "$HERE/sqlite_work.py" "$DB" watch $A $B
	wait $A
	same "$mode: the first writer ends well" "" "$(cat "$W/a")"
	wait $B
	same "$mode: the second writer ends well" "" "$(cat "$W/b")"
	same "$mode: no row is lost, and the check finds nothing" "300 ok" "$(python3 "$HERE/sqlite_work.py" "$DB" count)"

	# A writer that is killed within a transaction leaves a hot journal, which the next one rolls back.
	python3 "$HERE/sqlite_work.py" "$DB" stall "$W/stalled-$mode" &
	A=$!
	background $A
	wait_for "$mode: the writer is within a transaction" test -e "$W/stalled-$mode"
	kill -9 $A
	wait $A 2>/dev/null
	remount
	same "$mode: after a killed writer and a restart" "300 ok" "$(python3 "$HERE/sqlite_work.py" "$DB" count)"
done
