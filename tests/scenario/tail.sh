#!/bin/bash
# tail -f follows an agent that is writing its answer, before the file is closed.
. "$(dirname "$0")/lib.sh"
need_tool tail
setup
S=$(session streamed)
M=$S/messages
echo question >"$M/001.md"

# Writes a line for each line that it reads, to one descriptor that stays open.
writer() {
	python3 -u -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for line in sys.stdin:
    os.write(fd, line.encode())
' "$1"
}

follow() {
	local file=$1 flag=$2 out=$W/tail-${1##*/}$2 n pipe=$W/pipe${1##*/}$2
	mkfifo "$pipe"
	writer "$file" <"$pipe" &
	background $!
	exec 7>"$pipe"
	wait_for "the file is there" test -e "$file"
	tail "$flag" -s 0.1 -n +1 "$file" >"$out" 2>"$out.err" &
	local tail=$!
	background $tail
	for n in $(seq 1 8); do
		echo "token $n of the answer" >&7
		wait_for "tail $flag shows line $n of ${file##*/} while it is being written" grep -q "token $n " "$out" || break
		same "a reader sees line $n at once" "token $n of the answer" "$(tail -n 1 "$file")"
		same "stat does, too" "$(wc -c <"$file")" "$(stat -c %s "$file")"
	done
	exec 7>&-
	kill $tail
	check "tail $flag showed the whole of ${file##*/}" cmp "$file" "$out"
	empty "and complained of nothing" "$(cat "$out.err")"
}

follow "$M/002.md" -f
follow "$M/003.md" -F
follow "$S/log.txt" -f
