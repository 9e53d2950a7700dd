#!/bin/bash
# A year of real chats goes in, and everything is there after a restart: DESIGN section 1, issue 2 item 2.
. "$(dirname "$0")/lib.sh"
need_samples
need_tool diff
setup

must "the samples are written into the mount" "$SHARED/samples/split-aider.py" "$U"
must "and beside it" "$SHARED/samples/split-aider.py" "$W/reference"

compare() {
	diff -r "$W/reference" "$U" >"$W/diff"
	empty "diff -r finds nothing but session.json $1" \
		"$(plain || grep -vE '^Only in .*/SESSION-[0-9]{6}-[0-9]{3}: session\.json$' "$W/diff")"
	plain || same "a session.json in each of the 983 sessions $1" 983 "$(wc -l <"$W/diff")"
}

sums() { (cd "$U" && find . -type f -exec sha256sum {} + | sort -k2); }

compare "before the restart"
sums >"$W/sums-before"
remount
compare "after the restart"
sums >"$W/sums-after"
check "every file, session.json too, has the same bytes after the restart" cmp "$W/sums-before" "$W/sums-after"
plain || check "titles, counts, times and roles are those of the messages" \
	python3 "$HERE/samples_check.py" "$U" "$U/paul/aider"
