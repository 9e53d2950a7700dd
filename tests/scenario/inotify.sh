#!/bin/bash
# inotifywait sees the changes that are made through the mount.
. "$(dirname "$0")/lib.sh"
need_tool inotifywait
setup
S=$(session watched)
mkdir "$S/folder"
echo old >"$S/old.txt"

stdbuf -oL inotifywait -m -r -q --format '%e %w%f' "$S" >"$W/events" 2>"$W/errors" &
background $!
seen() { grep -qxF "$1" "$W/events"; }
# The first event proves that it watches.
starts() { rm -f "$S/probe"; touch "$S/probe"; seen "CREATE $S/probe"; }
wait_for "inotifywait watches" starts

echo one >"$S/messages/001.md"
echo more >>"$S/messages/001.md"
mv "$S/old.txt" "$S/new.txt"
chmod 600 "$S/new.txt"
mkdir "$S/folder/below"
mv "$S/new.txt" "$S/folder/new.txt"
rm "$S/folder/new.txt"
rmdir "$S/folder/below"
plain || echo next >"$S/messages/next.md"

expect() { wait_for "$2 $1" seen "$1 $2" && echo "ok: $1 ${2#"$S"/}"; }
expect CREATE "$S/messages/001.md"
expect MODIFY "$S/messages/001.md"
expect CLOSE_WRITE,CLOSE "$S/messages/001.md"
expect MOVED_FROM "$S/old.txt"
expect MOVED_TO "$S/new.txt"
expect ATTRIB "$S/new.txt"
expect CREATE,ISDIR "$S/folder/below"
expect MOVED_TO "$S/folder/new.txt"
expect DELETE "$S/folder/new.txt"
expect DELETE,ISDIR "$S/folder/below"
plain || {
	expect CREATE "$S/messages/next.md"
	expect CLOSE_WRITE,CLOSE "$S/messages/next.md"
}
