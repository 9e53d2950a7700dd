#!/bin/bash
# On a full disk writing gets ENOSPC, reading goes on, deleting works, and nothing is lost: DESIGN section 4.
#   FULL_DISK=ext4: an image of 300 MB instead of a tmpfs of 200 MB
. "$(dirname "$0")/lib.sh"
need_mount
need_root
setup
umount_store || die umount
mkdir "$W/disk"
if [ "${FULL_DISK:-}" = ext4 ]; then
	truncate -s 300M "$W/image" && mkfs.ext4 -q "$W/image" && mount -o loop "$W/image" "$W/disk" ||
		skip "cannot mount an image"
else
	mount -t tmpfs -o size=200m,mode=755 none "$W/disk" 2>/dev/null || skip "cannot mount a tmpfs"
fi
EXTRA_MOUNTS+=("$W/disk")
STORE=$W/disk/store
init_store "$STORE" "$KEY" || die "init on a small disk"
mount_store || die "mount from a small disk"
S=$(session full)
echo precious >"$S/messages/001.md"
head -c 3000000 /dev/urandom >"$S/kept"
sum=$(sha256sum <"$S/kept")

# Until it fails; prints what the failure says. What the checks write themselves lies on another disk.
fill() {
	local n
	for n in $(seq 400); do
		{ head -c 1000000 /dev/urandom >"$S/fill-$n"; } 2>&1 || return
	done
}
same "the disk gets full, and ENOSPC says so" "No space left on device" "$(fill | grep -o 'No space left on device' | head -1)"
check "reading goes on" grep -q precious "$S/messages/001.md"
same "large files, too" "$sum" "$(sha256sum <"$S/kept")"
check "listing goes on" ls -lR "$U"
check "one file can be deleted" rm "$S/fill-1"
check "all can be deleted" bash -c "rm '$S'/fill-*"
writes() { echo again >"$S/messages/002.md" && head -c 1000000 /dev/urandom >"$S/again"; }
room() { [ $(($(stat -f -c '%a * %S' "$MNT") >> 20)) -ge 60 ]; }
wait_for "that makes room" room && echo "ok: that makes room"
wait_for "then writing works again" writes && echo "ok: then writing works again"
same "a second time the disk gets full" "No space left on device" "$(fill | grep -o 'No space left on device' | head -1)"
kill9_daemon
detach_mount
check "a full store opens after kill -9" mount_store
same "and has what was there" "$sum precious" "$(sha256sum <"$S/kept") $(cat "$S/messages/001.md")"
check "all can be deleted again" bash -c "rm '$S'/fill-*"
wait_for "that makes room again" room && echo "ok: that makes room again"
wait_for "writing works once more" writes && echo "ok: writing works once more"
