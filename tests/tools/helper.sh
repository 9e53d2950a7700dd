#!/usr/bin/env bash
# mount -t scribefs, fstab, install and uninstall.
. "$(dirname "$0")/lib.sh"
[ -c /dev/fuse ] || skip "no /dev/fuse"
need_root
[ ! -e /sbin/mount.scribefs ] || skip "there is a /sbin/mount.scribefs on this machine"
setup_folder
init_store "$STORE" "$KEY" || die "init"
export PREFIX=$W/prefix
trap '"$ROOT/mount-scripts/uninstall" >/dev/null; cleanup' EXIT

must "install" "$ROOT/mount-scripts/install"
check "the program" "$PREFIX/bin/scribefs" --version
check "the manual" test -s "$PREFIX/share/man/man8/mount.scribefs.8"
must "mount -t scribefs" mount -t scribefs "$STORE" "$MNT" -o "key_file=$KEY,nosuid,noatime"
check "it is mounted" grep -q " $MNT .*nosuid.*noatime.* fuse.scribefs " /proc/self/mountinfo
check "it works" mkdir -p "$MNT/users/ann/chat/s"
check "umount(8)" umount "$MNT"
check "mount -r" mount -t scribefs -r "$STORE" "$MNT" -o "key_file=$KEY"
check_not "no writing" touch "$MNT/users/x"
check "umount" "$SCRIBEFS" umount "$MNT"

echo "$STORE $MNT scribefs key_file=$KEY,noauto,nofail,_netdev,x-systemd.automount,comment=hello 0 0" >fstab
check "an fstab line" mount -T "$W/fstab" "$MNT"
check "what was written" test -d "$MNT/users/ann/chat/s/messages"
check "umount" "$SCRIBEFS" umount "$MNT"
check "a mount that is only tried" mount -f -t scribefs "$STORE" "$MNT"
check_not "is none" mountpoint -q "$MNT"
check_not "a word that does not exist" mount -t scribefs "$STORE" "$MNT" -o "key_file=$KEY,frob"
head -c 32 /dev/zero >wrong
check_not "a wrong key" mount -t scribefs "$STORE" "$MNT" -o "key_file=$W/wrong"

# A comma in a path.
cp "$KEY" "$W/a,b"
check "a comma in a path" "$SCRIBEFS" mount "$STORE" "$MNT" -o "ro,key_file=$W/a\\,b"
check "umount" "$SCRIBEFS" umount "$MNT"

check "uninstall" "$ROOT/mount-scripts/uninstall"
empty "nothing is left" "$(find "$PREFIX" -type f; ls /sbin/mount.scribefs 2>/dev/null)"
exit
