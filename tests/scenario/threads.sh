#!/bin/bash
# A limit of processes that refuses threads: one line and status 1, or a mount that works; never a crash, and no harm.
. "$(dirname "$0")/lib.sh"
need_mount
need_root
need_tool setpriv prlimit unshare
USER_OF=games # limits do not bind root; who mounts must have a name, and no other processes
getent passwd $USER_OF >/dev/null || skip "no user $USER_OF"
[ -z "$(pgrep -u $USER_OF)" ] || skip "$USER_OF has processes"
# A place of its own, with a device that this user may open.
[ -n "${APART:-}" ] || { unshare -m true 2>/dev/null || skip "no mount namespaces"; APART=1 exec unshare -m bash "$0"; }
setup
umount_store || die umount
{ mknod -m 666 "$W/fuse" c 10 229 && mount --bind "$W/fuse" /dev/fuse; } || skip "no device of its own"
rm -rf "$STORE" "$KEY" "$XDG_STATE_HOME"
chmod 1777 "$W" "$W/tmp"
chown $USER_OF "$MNT"

# limited N COMMAND…: as that user, who may have N processes and threads.
limited() {
	local n=$1
	shift
	setpriv --reuid $USER_OF --regid $USER_OF --clear-groups prlimit --nproc="$n" env HOME=/ "$@"
}
mounted() { findmnt -n "$MNT" >/dev/null; }
all_ended() { [ -z "$(pgrep -u $USER_OF)" ]; }

limited 1000 "$SCRIBEFS" init "$STORE" --new-key-file "$KEY" --no-recovery-key >/dev/null 2>&1 || die init

# Twelve readers and writers at once ask for more workers than there can be; a backup opens one more database.
work() {
	limited 1000 bash -c '
		for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
			{ ls -R "$1/users"; mkdir -p "$1/users/u/w/s$i"; echo "$2" >"$1/users/u/w/s$i/note-$2"; } &
		done
		wait
		mkdir "$1/backups/b$2"
		ls "$1/backups/b$2/users"' sh "$MNT" "$1" >/dev/null 2>&1
	same "with $1 threads everybody writes" 12 "$(limited 1000 bash -c 'cat "$1"/users/u/w/s*/"note-$2"' sh "$MNT" "$1" |
		grep -cx "$1")"
}

refusals=0 mounts=0
for n in 1 2 4 8 12 16 20 21 22 23 24 25 26 27 28 29 30 32 36 40 100; do
	limited "$n" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" </dev/null >"$W/out" 2>&1
	status=$?
	if [ "$status" = 0 ] && mounted; then
		mounts=$((mounts + 1))
		work "$n"
		check "and it ends in order" limited 1000 "$SCRIBEFS" umount "$MNT"
	else
		refusals=$((refusals + 1))
		same "$n threads are refused: $(cat "$W/out")" "1 1 1" "$status $(wc -l <"$W/out") $(
			grep -cE 'fork: Resource temporarily|cannot start threads: .*; raise the limit' "$W/out")"
		check_not "and nothing is mounted" mounted
	fi
	wait_for "with $n threads all have ended" all_ended
done
check "some limits are too low, some are not" test "$refusals" -gt 2 -a "$mounts" -gt 2

fault=$(limited 3 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY" 2>&1)
same "fsck says so, too, with its status for that: $fault" "8 1" "$? $(grep -c 'cannot start threads: .*; raise' <<<"$fault")"
check "the store is clean" limited 1000 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
umount /dev/fuse
