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

# What the unit for backups does, without a systemd: each ExecStart, with its specifiers filled in.
unit=$PREFIX/lib/systemd/system/scribefs-backup@.service
check "the units for backups" test -s "$PREFIX/lib/systemd/user/scribefs-backup@.timer" -a -s "$unit"
run_unit() { sed -n "s|%f|$MNT|g; s/%%/%/g; s/^ExecStart=//p" "$unit" | KEEP=1 sh -e -s; }
check "a backup by the unit" run_unit
sleep 1.1 # a name a second
check "another" run_unit
same "of which as many stay as it says" 1 "$(find "$MNT/backups" -mindepth 1 -maxdepth 1 -name 'auto-*' | wc -l)"
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
