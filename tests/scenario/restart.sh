#!/bin/bash
# Everything about every file is the same after a restart: inode numbers, times, links, attributes, holes.
. "$(dirname "$0")/lib.sh"
setup
S=$(session zoo)
must "one of everything is made" python3 "$HERE/zoo.py" "$S/attachments"
echo question >"$S/messages/001.md"
printf 'a socket' | python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$S/s" 2>/dev/null || echo "the path is too long for a socket"

dump() { python3 "$HERE/treecmp.py" --dump "$U" >"$1"; }
before() { dump "$W/before" && dump "$W/before-again" && cmp "$W/before" "$W/before-again"; }
after() { dump "$W/after" && diff "$W/before" "$W/after"; }
statfs() { stat -f -c '%c %d %l' "$MNT"; }

must "two looks see the same" before
remount
check "all is the same after umount and mount" after
remount
check "and after another" after
plain && exit

accessed=$S/accessed
echo read me >"$accessed"
touch -a -d '2001-02-03 04:05:06.123456789' "$accessed"
umount_store || die umount
must "it can be mounted in the foreground" true
"$SCRIBEFS" mount "$STORE" "$MNT" -f --key-file "$KEY" </dev/null >"$W/log" 2>&1 &
PID=$!
background $PID
wait_for "the mount serves" test -d "$U"
same "access times are kept" "2001-02-03 04:05:06.123456789" "$(stat -c %x "$accessed" | cut -c1-29)"
rm "$accessed"
S2=$U/ann/chat/zoo
python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"written, and not closed")
open(sys.argv[2], "w").close()
time.sleep(1000)' "$S2/open-file" "$W/opened" &
HOLDER=$!
background $HOLDER
wait_for "a process holds a file open" test -e "$W/opened"
kill -TERM $PID
wait $PID
same "SIGTERM ends the daemon with status 0" 0 $?
kill $HOLDER
check_not "and the mount is gone" mountpoint -q "$MNT"
must "mount" mount_store
same "what was written and not closed is there" "written, and not closed" "$(cat "$S2/open-file")"
rm "$S2/open-file"
"$SCRIBEFS" umount "$MNT"

# The same with SIGINT, and a read-only mount.
"$SCRIBEFS" mount "$STORE" "$MNT" -f --key-file "$KEY" </dev/null >"$W/log" 2>&1 &
PID=$!
background $PID
wait_for "the mount serves" test -d "$U"
kill -INT $PID
wait $PID
same "SIGINT ends the daemon with status 0" 0 $?

# Who mounts meets a daemon that answers still and is about to end, or its mount without it: it waits and takes over.
mount_store
in_the_way=0
for signal in TERM KILL TERM KILL TERM TERM TERM TERM; do
	PID=$(daemon_pid)
	kill -STOP "$PID"
	(sleep 0.2; kill -$signal "$PID"; kill -CONT "$PID") 2>>"$W/.out" &
	mount_store >>"$W/at-once" 2>&1 || { in_the_way=$((in_the_way + 1)); wait_for "it has ended" gone "$PID"; mount_store; }
done
same "a mount while the daemon ends takes over" 0 $in_the_way || cat "$W/at-once"
umount_store

must "a read-only mount" mount_store -o ro
check_not "refuses to write" bash -c "echo x >'$U/ann/chat/zoo/x' 2>/dev/null"
check_not "refuses to delete" rm -f "$U/ann/chat/zoo/messages/001.md"
check "and reads" grep -q question "$U/ann/chat/zoo/messages/001.md"
umount_store
mount_store
empty "no dirt is left in the folder below the mount" "$("$SCRIBEFS" umount "$MNT"; ls -A "$MNT")"
