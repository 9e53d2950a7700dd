#!/bin/bash
# The daemon is killed while one of its threads waits in the kernel, so that it cannot end: the mount must not hang.
. "$(dirname "$0")/lib.sh"
need_mount
need_root # others need the control filesystem of fuse
STUCK=${STUCK:-$(dirname "$SCRIBEFS")/tests/death/stuck.so}
[ -r "$STUCK" ] || skip "no library at $STUCK"
setup
S=$(session one)
"$SCRIBEFS" set max_messages=3 "$S" >/dev/null || die set
for i in 1 2 3; do echo $i >"$S/messages/next.md"; done
umount_store || die umount
LD_PRELOAD=$STUCK SCRIBEFS_STUCK=$W/armed "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" </dev/null >"$W/.mount" 2>&1 ||
	die "mount: $(cat "$W/.mount")"
daemon=$(daemon_pid)
ls "$S/messages" >"$W/.ls"
touch "$W/armed"
# One has the directory's lock nearly all the time, and nothing open; the other gives cause to move messages and to
# tell of that.
python3 -c '
import os, sys
for i in range(100000): os.mkdir(f"{sys.argv[1]}/x{i}")' "$S/messages" 2>/dev/null &
background $!
creator=$!
python3 -c '
import sys, time
while True:
    with open(sys.argv[1] + "/next.md", "w") as f: f.write("more\n")
    time.sleep(1)' "$S/messages" 2>/dev/null &
background $!
writer=$!
disown $creator $writer
# Waiting without heeding signals, for longer than any answer takes.
stuck() {
	local now
	now=$(grep -l '^State:.D' /proc/"$daemon"/task/*/status 2>/dev/null | head -n 1)
	[ -n "$now" ] && sleep 2 && grep -q '^State:.D' "$now" && sleep 2 && grep -q '^State:.D' "$now"
}
wait_for "a thread waits in the kernel" stuck
kill -9 "$daemon"
wait_for "the daemon is gone" gone "$daemon"
check "who used the mount is free again" timeout 20 tail --pid=$creator -f /dev/null
check "and the other one" timeout 20 tail --pid=$writer -f /dev/null
timeout 20 ls "$MNT" >"$W/.ls" 2>&1
check_not "ls does not wait" test $? = 124
mount_store || die "mount again"
check "a new mount takes the place of the dead one" grep -q 1 "$S/messages/archive/001.md"
check "and takes messages" sh -c 'echo more >"$1/messages/next.md"' sh "$S"
watchers() { pgrep -x -P "$(daemon_pid)" scribefs-watch 2>/dev/null || pgrep -P "$(daemon_pid)"; }
watcher=$(watchers | head -n 1)
check "somebody watches over it" test -n "$watcher"
umount_store || die umount
wait_for "the watcher ends with the daemon" gone "$watcher"
