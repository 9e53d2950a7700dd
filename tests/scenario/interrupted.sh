#!/bin/bash
# The daemon is killed: a mount comes back without a question, and says which sessions somebody was writing in.
. "$(dirname "$0")/lib.sh"
need_mount
setup
for name in held created attachment fresh closed read-only workflow; do
	session $name >/dev/null
	echo first >"$U/ann/chat/$name/messages/next.md"
done
sequence() { "$SCRIBEFS" status "$MNT" --json >"$W/status" && field "$W/status" sequence; }
serve() { # in the foreground, with its log in $W/log
	"$SCRIBEFS" mount "$STORE" "$MNT" -f --key-file "$KEY" "$@" </dev/null >"$W/log" 2>&1 &
	DAEMON=$!
	disown $DAEMON
	wait_for "the mount serves" test -d "$U"
}
interrupted() { # the sessions that say so
	grep -l '^  "interrupted": true,$' "$U"/ann/chat/*/session.json | xargs -r -n1 dirname | xargs -r -n1 basename | xargs
}
hold() { python3 -c '
import os, sys, time
fd = os.open(sys.argv[2], eval(sys.argv[1]), 0o600)
if len(sys.argv) > 4: os.write(fd, sys.argv[4].encode())
open(sys.argv[3], "w").close()
time.sleep(1000)' "$@" & background $!; disown $!; wait_for "it is open" test -e "$3"; }

# An open that writes nothing costs no commit.
umount_store
serve
before=$(sequence)
for _ in 1 2 3; do
	: >>"$U/ann/chat/held/messages/001.md"
	cat "$U"/ann/chat/*/messages/001.md >"$W/.out"
done
same "an open for writing that writes nothing commits nothing" "$before" "$(sequence)"
busy() { od -An -v -tx1 "$STORE/busy" | tr -d ' 0\n'; }
idle() { [ -z "$(busy)" ]; }
wait_for "what is closed is not noted" idle # the kernel tells it after close(2) has returned
exec 5<"$U/ann/chat/read-only/messages/001.md"
cat <&5 >"$W/.out"
empty "nor what is open to be read" "$(busy)"

hold os.O_WRONLY "$U/ann/chat/held/messages/001.md" "$W/h1"
hold 'os.O_WRONLY | os.O_CREAT' "$U/ann/chat/created/messages/next.md" "$W/h2" "an answer that is being wri"
mkdir -p "$U/ann/chat/attachment/deep/er"
hold 'os.O_RDWR | os.O_CREAT' "$U/ann/chat/attachment/deep/er/data" "$W/h3"
hold 'os.O_WRONLY | os.O_CREAT' "$U/ann/chat/workflow-file" "$W/h4"
hold os.O_RDWR "$U/ann/chat/fresh/session.json" "$W/h5"
echo second >>"$U/ann/chat/closed/messages/next.md"
check "what is open is noted" test -n "$(busy)"
sleep 1.5 # within a second what was written survives
before=$(sequence)
kill9_daemon
exec 5<&-
detach_mount
serve
check "the log says how many" grep -qx 'scribefs: the last daemon .*: 4' "$W/log"
same "and nothing else" 1 "$(wc -l <"$W/log")"
# One commit for the death, one for each session; the other sessions are not looked at.
same "the mount commits no more than that" $((before + 5)) "$(sequence)"
same "who was interrupted" "attachment created fresh held" "$(interrupted)"
same "what was being written is there" "an answer that is being wri" "$(cat "$U/ann/chat/created/messages/002.md")"
check "it is a message" grep -q '"message_count": 2' "$U/ann/chat/created/session.json"
remount
same "and stays so" "attachment created fresh held" "$(interrupted)"
echo more >>"$U/ann/chat/held/messages/001.md"
same "the same message going on is no next one" "attachment created fresh held" "$(interrupted)"
echo next >"$U/ann/chat/held/messages/next.md"
echo next >"$U/ann/chat/created/messages/003.md"
same "the next message ends it" "attachment fresh" "$(interrupted)"

# A copy of it is what it was.
python3 "$HERE/treecmp.py" --dump "$U/ann/chat/fresh" >"$W/before"
mkdir "$W/copy"
cp -a "$U/ann/chat/fresh" "$W/copy/"
rm -r "$U/ann/chat/fresh"
cp -a "$W/copy/fresh" "$U/ann/chat/"
check "a copy that comes back says the same" cmp "$W/copy/fresh/session.json" "$U/ann/chat/fresh/session.json"
same "it is interrupted still" "attachment fresh" "$(interrupted)"

# Ended in order while somebody writes: nobody died.
umount_store
serve
hold os.O_WRONLY "$U/ann/chat/closed/messages/001.md" "$W/h6"
kill -TERM "$DAEMON"
wait_for "it ends" gone "$DAEMON"
same "no note is left" 0 "$(stat -c %s "$STORE/busy")"
serve
same "an end in order interrupts nobody" "attachment fresh" "$(interrupted)"
check_not "and the log says nothing" grep -q died "$W/log"

# Notes that are damaged, or lost, cost the notes.
hold os.O_WRONLY "$U/ann/chat/closed/messages/001.md" "$W/h7"
kill9_daemon
detach_mount
head -c 4000 /dev/urandom >"$STORE/busy"
serve
check "damaged notes" grep -q ': 0$' "$W/log"
hold os.O_WRONLY "$U/ann/chat/closed/messages/001.md" "$W/h8"
kill9_daemon
detach_mount
rm "$STORE/busy"
serve
check "lost notes" grep -q ': 0$' "$W/log"
same "interrupt nobody" "attachment fresh" "$(interrupted)"

# Read-only after a death: told by the next mount that may write.
hold os.O_WRONLY "$U/ann/chat/closed/messages/001.md" "$W/h9"
kill9_daemon
detach_mount
serve -o ro
same "read-only: as it was rendered last" "attachment fresh" "$(interrupted)"
umount_store
serve
same "and then" "attachment closed fresh" "$(interrupted)"

# Another verb opens the store first, and closes it in order.
hold 'os.O_WRONLY | os.O_CREAT' "$U/ann/chat/read-only/messages/next.md" "$W/h11" "written by halves"
sleep 1.5
kill9_daemon
detach_mount
check "a backup is made" "$SCRIBEFS" backup create "$STORE" one --to "$W/backups" --key-file "$KEY"
serve
check "the mount after it knows" grep -q 'last daemon of this store died.*: 1$' "$W/log"
same "of the session" "attachment closed fresh read-only" "$(interrupted)"
check "and of the message" grep -q '"total_tokens": 7' "$U/ann/chat/read-only/session.json"
umount_store
