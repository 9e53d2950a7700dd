#!/bin/bash
# On a full disk automatic snapshots go first, oldest first, and nobody else notices; then deleting makes room although
# snapshots see what is deleted. One that a person named stays.
. "$(dirname "$0")/lib.sh"
need_mount
need_root
setup
umount_store || die umount
mkdir "$W/disk"
mount -t tmpfs -o size=260m,mode=755 none "$W/disk" 2>/dev/null || skip "cannot mount a tmpfs"
EXTRA_MOUNTS+=("$W/disk")
STORE=$W/disk/store
init_store "$STORE" "$KEY" || die "init on a small disk"
mount_store || die "mount from a small disk"
"$SCRIBEFS" set autosnapshot=1s keep=1000 user_autosnapshot=none store_autosnapshot=none "$U"
S=$(session full)

auto() { find "$S/.snapshots" -maxdepth 1 -name 'auto-*' -printf '%f\n' | sort; }
more_than() { [ "$(auto | wc -l)" -gt "$1" ]; }
# $1 files of 1 MB, from number $2 on; prints what a failure says.
fill() {
	local n
	for n in $(seq "$2" $(($2 + $1 - 1))); do
		{ head -c 1000000 /dev/urandom >"$S/fill-$n"; } 2>&1 || return
	done
}

echo "-- automatic ones hold what was there"
for i in 1 2 3 4 5 6 7 8; do
	n=$(auto | wc -l)
	head -c 6000000 /dev/urandom >"$S/data"
	echo "message $i" >"$S/messages/next.md"
	wait_for "snapshot $i" more_than "$n"
	[ "$i" != 1 ] || mkdir "$S/.snapshots/mine"
done
auto >"$W/before"
sum=$(sha256sum <"$S/.snapshots/mine/data")

echo "-- they go, oldest first, and no writer gets an error"
"$SCRIBEFS" set autosnapshot=none "$S"
said='' last=0
while cmp -s "$W/before" <(auto) && [ "$last" -lt 300 ] && [ -z "$said" ]; do
	said=$(fill 5 $((last + 1)))
	last=$((last + 5))
done
same "no writer got an error" "" "$said"
auto >"$W/left"
check_not "some went" cmp -s "$W/before" "$W/left"
check "the oldest" cmp -s "$W/left" <(tail -n "$(wc -l <"$W/left")" "$W/before")
said=$(fill 300 $((last + 1)) | grep -o 'No space left on device' | head -1)
same "in the end the disk is full" "No space left on device" "$said"
same "and none is left" "" "$(auto)"
same "the one with a name is" "$sum" "$(sha256sum <"$S/.snapshots/mine/data")"

echo "-- deleting makes room although a snapshot sees what goes"
check "all can be deleted" bash -c "rm '$S'/fill-*"
room() { [ $(($(stat -f -c '%a * %S' "$MNT") >> 20)) -ge 60 ]; }
wait_for "that makes room" room && echo "ok: that makes room"
"$SCRIBEFS" set autosnapshot=1s "$S"
for i in 1 2 3 4 5 6 7 8 9; do
	fill 10 $((i * 10)) >/dev/null
	echo "more $i" >"$S/messages/next.md"
	sleep 1
done
"$SCRIBEFS" set autosnapshot=none "$S"
said=$(fill 300 200 | grep -o 'No space left on device' | head -1)
same "it is full again" "No space left on device" "$said"
check "messages can be deleted, each kept by nobody or a snapshot" bash -c "rm '$S'/messages/*.md"
check "all can be deleted again" bash -c "rm '$S'/fill-*"
wait_for "that makes room again" room && echo "ok: that makes room again"
writes() { echo again >"$S/messages/next.md" && head -c 1000000 /dev/urandom >"$S/again"; }
wait_for "writing works" writes && echo "ok: writing works"
kill9_daemon
detach_mount
check "it opens after kill -9" mount_store
same "the one with a name is there" "$sum" "$(sha256sum <"$S/.snapshots/mine/data")"
umount_store || die umount
check "fsck is content" "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
