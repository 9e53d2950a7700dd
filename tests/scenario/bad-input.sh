#!/bin/bash
# Wrong secrets, damaged stores, bad mountpoints, names that are not allowed: one line, status 1, no harm.
. "$(dirname "$0")/lib.sh"
need_mount
setup
S=$(session kept)
echo precious >"$S/messages/001.md"
umount_store || die umount

sums() { find "$STORE" -type f ! -name lock -exec sha256sum {} + | sort -k2; }
untouched() { same "the store is untouched after: $1" "$BEFORE" "$(sums)"; }
BEFORE=$(sums)
no_mount() {
	if mountpoint -q "$MNT"; then
		failed "$1: it is mounted all the same"
		"$SCRIBEFS" umount "$MNT"
	fi
}
# refuses TEXT MOUNT-ARGUMENT…
refuses() {
	local text=$1
	shift
	refused "$text" "$SCRIBEFS" mount "$@"
	no_mount "$text"
	refused "$text, in the foreground" "$SCRIBEFS" mount "$@" -f
	no_mount "$text"
}

# Secrets.
echo "correct horse" >"$W/passphrase"
echo "wrong horse" >"$W/wrong"
: >"$W/empty"
head -c 32 /dev/urandom >"$W/other-key"
check "a passphrase is added" "$SCRIBEFS" key add "$STORE" --key-file "$KEY" --new-passphrase-file "$W/passphrase"
BEFORE=$(sums)
refuses "a wrong passphrase" "$STORE" "$MNT" --passphrase-file "$W/wrong"
refuses "an empty passphrase" "$STORE" "$MNT" --passphrase-file "$W/empty"
refuses "a passphrase file that is missing" "$STORE" "$MNT" --passphrase-file "$W/missing"
refuses "a wrong key file" "$STORE" "$MNT" --key-file "$W/other-key"
refuses "a key file that is too short" "$STORE" "$MNT" --key-file "$W/wrong"
refuses "a key file that is missing" "$STORE" "$MNT" --key-file "$W/missing"
refuses "no secret, and no terminal to ask" "$STORE" "$MNT"
untouched "wrong secrets"
check "the right passphrase opens it" "$SCRIBEFS" mount "$STORE" "$MNT" --passphrase-file "$W/passphrase"
check "and everything is there" grep -q precious "$S/messages/001.md"
umount_store || die umount
BEFORE=$(sums)

# Stores.
refuses "a store that is missing" "$W/nowhere" "$MNT" --key-file "$KEY"
mkdir "$W/folder"
echo x >"$W/folder/file"
refuses "a folder that is no store" "$W/folder" "$MNT" --key-file "$KEY"
refuses "a file that is no store" "$W/folder/file" "$MNT" --key-file "$KEY"
refused "init of a store that exists" "$SCRIBEFS" init "$STORE" --key-file "$KEY" --no-recovery-key
refused "init in a folder that holds something" "$SCRIBEFS" init "$W/folder" --key-file "$KEY" --no-recovery-key
same "which holds it still" x "$(cat "$W/folder/file")"
refused "init below a folder that is missing" "$SCRIBEFS" init "$W/no/where" --key-file "$KEY" --no-recovery-key
refused "init with an empty passphrase" "$SCRIBEFS" init "$W/fresh" --passphrase-file "$W/empty" --no-recovery-key
check_not "which makes nothing" test -e "$W/fresh"
refused "status of what is no store" "$SCRIBEFS" status "$W/folder"
untouched "bad stores"

# A keyring with one bit flipped, anywhere.
cp "$STORE/keyring" "$W/keyring"
size=$(stat -c %s "$W/keyring")
flip() {
	python3 - "$W/keyring" "$STORE/keyring" "$1" <<-'PY'
		import sys
		data = bytearray(open(sys.argv[1], "rb").read())
		data[int(sys.argv[3])] ^= 0x10
		open(sys.argv[2], "wb").write(data)
	PY
}
for at in 0 9 19 25 40 41 44 63 64 66 80 100 120 150 200 244 260 "$((size - 100))" "$((size - 40))" "$((size - 1))"; do
	flip "$at"
	refused "a keyring with byte $at damaged" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
	no_mount "a keyring with byte $at damaged"
done
for cut in 0 1 63 64 200 "$((size - 1))"; do
	head -c "$cut" "$W/keyring" >"$STORE/keyring"
	refused "a keyring cut to $cut bytes" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
	no_mount "a keyring cut to $cut bytes"
done
{ cat "$W/keyring"; echo more; } >"$STORE/keyring"
refuses "a keyring with something behind it" "$STORE" "$MNT" --key-file "$KEY"
rm "$STORE/keyring"
refuses "no keyring" "$STORE" "$MNT" --key-file "$KEY"
# kv/FORMAT.md: the format at byte 8, features that a reader must know at byte 20.
for field in '8:\0\0\0\2' '8:\177\377\377\377' '20:\200\0\0\0'; do
	cp "$W/keyring" "$STORE/keyring"
	printf '%b' "${field#*:}" | dd of="$STORE/keyring" bs=1 seek="${field%:*}" conv=notrunc status=none
	refuses "a newer format ($field)" "$STORE" "$MNT" --key-file "$KEY"
	grep -qiE 'newer|version|format' "$W/.stderr" || failed "it does not say that the format is newer"
done
cp "$W/keyring" "$STORE/keyring"
untouched "a keyring put back"

# The data's files: damaged or gone, the store says so, and opens again when they are back.
cp -a "$STORE" "$W/copy"
rm -r "$W/copy/db"
refused "a store whose data is gone" "$SCRIBEFS" mount "$W/copy" "$MNT" --key-file "$KEY"
no_mount "a store whose data is gone"
check_not "and no new, empty one is made of it" test -e "$W/copy/db/CURRENT"

# Mountpoints.
refuses "a mountpoint that is missing" "$STORE" "$W/missing" --key-file "$KEY"
refuses "a mountpoint that is a file" "$STORE" "$W/wrong" --key-file "$KEY"
untouched "bad mountpoints"
mount_store || die mount
mkdir "$W/other-mnt"
EXTRA_MOUNTS+=("$W/other-mnt")
refused "a store in use" "$SCRIBEFS" mount "$STORE" "$W/other-mnt" --key-file "$KEY"
grep -qw "$(daemon_pid)" "$W/.stderr" || failed "it does not say which process holds the store"
init_store "$W/second" "$W/second-key" || die "init of a second store"
refused "a mountpoint that is busy" "$SCRIBEFS" mount "$W/second" "$MNT" --key-file "$W/second-key"
check "a second store has room beside it" "$SCRIBEFS" mount "$W/second" "$W/other-mnt" --key-file "$W/second-key"
check "and is unmounted" "$SCRIBEFS" umount "$W/other-mnt"
check "the first one serves on" grep -q precious "$S/messages/001.md"

# umount.
tail -f "$S/messages/001.md" >/dev/null &
HOLDER=$!
background $HOLDER
refused "umount of a mount that is busy" "$SCRIBEFS" umount "$MNT"
grep -qw "$HOLDER" "$W/.stderr" || failed "it does not say who holds the mount"
check "it serves on" grep -q precious "$S/messages/001.md"
kill $HOLDER
wait $HOLDER 2>/dev/null
umount_store || failed "umount when the holder is gone"
refused "umount of what is not mounted" "$SCRIBEFS" umount "$MNT"
refused "umount of what is missing" "$SCRIBEFS" umount "$W/missing"
refused "umount of another filesystem" "$SCRIBEFS" umount /proc

# Names and writes that are not allowed: the fitting errno.
mount_store || die mount
says() {
	local text=$1 want=$2
	shift 2
	"$@" 2>"$W/.stderr" && { failed "$text: it worked"; return; }
	check "$text: $want" grep "$want" "$W/.stderr"
}
says "a file in users/" "Operation not permitted" touch "$U/file"
says "a folder in the mount's root" "Operation not permitted" mkdir "$MNT/folder"
says "a folder called next.md" "Operation not permitted" mkdir "$S/messages/next.md"
says "a name of 256 bytes" "File name too long" touch "$S/$(printf 'n%.0s' $(seq 256))"
says "a rename over next.md" "Invalid cross-device link" python3 -c '
import os, sys
os.rename(sys.argv[1] + "/001.md", sys.argv[1] + "/next.md")' "$S/messages"
check "nothing was harmed" grep -q precious "$S/messages/001.md"
umount_store || die umount

if [ "$(id -u)" = 0 ]; then
	NOBODY=(setpriv --reuid 21001 --regid 21001 --clear-groups)
	BEFORE=$(sums)
	chmod 644 "$KEY"
	refused "no permission on the store" "${NOBODY[@]}" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
	no_mount "no permission on the store"
	chmod 600 "$KEY"
	refused "no permission on the key file" "${NOBODY[@]}" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
	no_mount "no permission on the key file"
	refused "no permission to make a store" "${NOBODY[@]}" "$SCRIBEFS" init "$W/theirs" --new-key-file "$W/k" --no-recovery-key
	check_not "which leaves no key file" test -e "$W/k"
	untouched "no permission"
	if unshare -m true 2>/dev/null; then
		refused "no /dev/fuse" unshare -m sh -c '
			mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 || exit 9
			exec "$@"' sh "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
		refused "a disk that is read-only" unshare -m sh -c '
			mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 9
			shift
			exec "$@"' sh "$STORE" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
		untouched "no /dev/fuse, a read-only disk"
	fi
fi
mount_store || die "mount after all that"
same "everything is as it was" precious "$(cat "$S/messages/001.md")"
