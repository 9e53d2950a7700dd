#!/usr/bin/env bash
# mount, umount, status and new on a real mount: what works, what is refused, who is named.
. "$(dirname "$0")/lib.sh"
[ -c /dev/fuse ] || skip "no /dev/fuse"
setup_folder
init_store "$STORE" "$KEY" || die "init"
mount_it() { timeout 60 "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" "$@" </dev/null; }
value() { "$SCRIBEFS" status "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }

refused "a mountpoint that does not exist" "$SCRIBEFS" mount "$STORE" nowhere --key-file "$KEY"
refused "a mountpoint that is a file" "$SCRIBEFS" mount "$STORE" "$KEY" --key-file "$KEY"
refused "a store that does not exist" "$SCRIBEFS" mount nowhere "$MNT" --key-file "$KEY"
refused "a mountpoint in the store" "$SCRIBEFS" mount "$STORE" "$STORE" --key-file "$KEY"
head -c 32 /dev/zero >wrong
refused "a wrong key file" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file wrong
refused "the same in the foreground" "$SCRIBEFS" mount -f "$STORE" "$MNT" --key-file wrong
check_not "nothing is mounted" mountpoint -q "$MNT"
refused "umount of nothing" "$SCRIBEFS" umount "$MNT"
check "umount --dead of nothing" "$SCRIBEFS" umount --dead "$MNT"

must "mount" mount_it -o noexec
pid=$(value "$MNT" process)
same "status tells the daemon" "$(daemon_pid)" "$pid"
same "of a path in the mount too" "$pid" "$(value "$MNT/users" process)"
same "of the store too" "$pid" "$(value "$STORE" process)"
same "and where it is mounted" "$MNT" "$(value "$STORE" mountpoint)"
check "the kernel has the options" grep -q " $MNT .*noexec.* fuse.scribefs " /proc/self/mountinfo
refused "a second mount" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
mkdir mnt2
refused "a second mount elsewhere" "$SCRIBEFS" mount "$STORE" mnt2 --key-file "$KEY"
says "who holds the store" "$pid"
init_store "$W/store2" "$W/key2" || die "init"
refused "another store on the same mountpoint" "$SCRIBEFS" mount store2 "$MNT" --key-file key2

# new
new() { "$SCRIBEFS" new "$@"; }
day=$(date -u +%y%m%d)
path=$(new "$MNT/users/ann/chat" --title 'A title with "quotes"')
same "new prints the path" "$MNT/users/ann/chat/SESSION-$day-001" "$path"
check "it is there" test -d "$path/messages"
same "its title" 'A title with "quotes"' "$(field "$path/session.json" title)"
echo '{"step": 1}' >context
path=$(new "$MNT/users/ann/other/" --context context)
same "the next number of the user" "$MNT/users/ann/other/SESSION-$day-002" "$path"
check "its context" cmp context "$path/context.json"
path=$(cd "$MNT/users/ann" && new chat)
same "a relative path" "chat/SESSION-$day-003" "$path"
refused "a context that cannot be read" "$SCRIBEFS" new "$MNT/users/ann/chat" --context nowhere
same "made nothing" 2 "$(find "$MNT/users/ann/chat" -mindepth 1 -maxdepth 1 -type d | wc -l)"
refused "outside of a mount" "$SCRIBEFS" new "$W/users/ann/chat"
check_not "made nothing there" test -e "$W/users"
refused "a user is no workflow" "$SCRIBEFS" new "$MNT/users/ann"
refused "a long title" "$SCRIBEFS" new "$MNT/users/ann/chat" --title "$(printf '%02000d' 0)"

# A busy mount stays, and names who uses it.
busy() {
	refused "busy: $1" "$SCRIBEFS" umount "$MNT"
	says "busy: $1: names the process" "process $2 "
	check "busy: $1: is still mounted" test -d "$MNT/users/ann"
}
(cd "$MNT/users/ann" && exec sleep 1000) &
background $!
wait_for "it stands there" sh -c "readlink /proc/$!/cwd | grep -q ann"
busy "a working directory" $!
kill $!
wait $! 2>/dev/null
sleep 1000 3>>"$MNT/users/ann/chat/log" &
background $!
busy "an open file" $!
kill $!
wait $! 2>/dev/null
head -c 4096 /dev/zero >"$MNT/users/ann/map"
python3 -c '
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 4096)
os.close(fd)
open(sys.argv[2], "w").close()
time.sleep(1000)' "$MNT/users/ann/map" "$W/mapped" &
background $!
wait_for "it is mapped" test -e "$W/mapped"
busy "a mapping" $!
kill $!
wait $! 2>/dev/null

must "umount" "$SCRIBEFS" umount "$MNT"
wait_for "the daemon has ended" gone "$pid"
same "nobody has the store" False "$(value "$STORE" in_use)"
must "mount again" mount_it
same "what was written" '{"step": 1}' "$(cat "$MNT/users/ann/other/SESSION-$day-002/context.json")"
must "umount(8)" umount "$MNT"
must "mount right after it" mount_it

# A daemon that dies.
check "umount --dead of a living mount" "$SCRIBEFS" umount --dead "$MNT"
check "leaves it" test -d "$MNT/users/ann"
kill9_daemon
refused "status of a dead mount" "$SCRIBEFS" status "$MNT"
check "umount of a dead mount" "$SCRIBEFS" umount "$MNT"
check_not "it is gone" mountpoint -q "$MNT"
must "mount after a death" mount_it
kill9_daemon
must "mount over a dead mount" mount_it
check "it works" test -d "$MNT/users/ann"
kill9_daemon
check "umount --dead" "$SCRIBEFS" umount --dead "$MNT"
check "works again" ls "$MNT"
empty "nothing landed in the mountpoint" "$(ls -A "$MNT")"

# In the foreground: systemd is told, SIGTERM ends it well.
python3 - "$W/notify" "$SCRIBEFS" mount -f "$STORE" "$MNT" --key-file "$KEY" >notified 2>err <<-'PY' &
	import os, signal, socket, subprocess, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	s.settimeout(60)
	p = subprocess.Popen(sys.argv[2:], env=dict(os.environ, NOTIFY_SOCKET=sys.argv[1]), stdin=subprocess.DEVNULL)
	told = s.recv(4096).decode()
	print("READY=1" in told, os.path.isdir(sys.argv[6] + "/users"), p.poll(), flush=True)
	p.send_signal(signal.SIGTERM)
	print(p.wait())
PY
wait $!
same "READY=1 when it serves; SIGTERM: status 0" "True True None 0" "$(xargs <notified)"
check_not "it is unmounted" mountpoint -q "$MNT"

# Read-only.
must "mount -o ro" mount_it -o ro
same "status" True "$(value "$MNT" read_only)"
check_not "no writing" touch "$MNT/users/ann/x"
refused "no new session" "$SCRIBEFS" new "$MNT/users/ann/chat"
must "umount" "$SCRIBEFS" umount "$MNT"
exit
