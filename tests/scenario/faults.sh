#!/bin/bash
# The store's disk fails: errors reach the caller, nothing is lost, reading goes on, and writing works again
# without a new mount when the fault is over. tests/faults/inject.c makes the calls fail.
#   FAULT_POINTS=N (60): how many calls the sweep below kv fails; FAULT_SECONDS=N: for so long instead
#   FAULT_SEED=N: which ones
. "$(dirname "$0")/lib.sh"
need_mount
setup
BUILD=$(dirname "$SCRIBEFS")
INJECT=$BUILD/tests/faults/inject.so
[ -r "$INJECT" ] || skip "no $INJECT"
umount_store || die umount

# fault CALL:FILE:ERROR:FORM:NTH, as tests/faults/point.h says. fault off takes it back.
head -c 4096 /dev/zero >"$W/control"
fault() { "$BUILD/tests/faults/fault_sweep" --set "$1" "$W/control"; }
mount_failing() {
	FAULT_DIR=$STORE FAULT_CONTROL=$W/control LD_PRELOAD=$INJECT mount_store -o log_to=stderr
}
# The daemon keeps writing to the file that mount_store gave it.
log_lines() { grep -c "$1" "$W/.mount"; }
disk() { "$SCRIBEFS" status "$MNT" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["disk"])'; }

must "a mount with the fault layer" mount_failing
S=$(session failing)
echo precious >"$S/messages/001.md"
head -c 3000000 /dev/urandom >"$S/kept"
sync "$S/kept"
sum=$(sha256sum <"$S/kept")
same "the disk is well" well "$(disk)"

n=1
# once TEXT POINT: a single fault is made good before anybody is told.
once() {
	fault "$2"
	n=$((n + 1))
	{ printf 'no %s\n' "$n" >"$S/f$n" && sync "$S/f$n" && mkdir "$S/d$n"; } 2>"$W/.err"
	same "$1: the operations succeed" "" "$(cat "$W/.err")"
	fault off
	check "$1: what was written is there" grep -q "^no $n$" "$S/f$n"
	# Errors that come one soon after the other are one, and their time runs on.
	wait_for "$1: the log says that all is well" told_well $((n - 1))
	same "$1: the disk is well" well "$(disk)"
}
told_well() { [ "$(log_lines 'works again, and')" = "$1" ] && [ "$(log_lines 'disk failed')" = "$1" ]; }
once "a log that cannot be written" write:log:EIO:once:1
once "a log that is written in part" write:log:ENOSPC:partial:1
once "an error after the write" write:log:EIO:after:1
once "a sync that fails" sync:log:EIO:once:1
once "a sync of a full disk" sync:log:ENOSPC:once:1

# lasting TEXT ERROR MESSAGE POINT…
lasting() {
	local text=$1 message=$2 state=$3 point=$4
	n=$((n + 1))
	fault "$point"
	{ for i in 1 2 3; do echo "$i" >"$S/l$n-$i"; sync "$S/l$n-$i"; done; } 2>"$W/.err"
	check "$text: the errno reaches the caller" grep -q "$message" "$W/.err"
	same "$text: status says so" "$state" "$(disk)"
	same "$text: large files can be read" "$sum" "$(sha256sum <"$S/kept")"
	check "$text: directories can be listed" ls -lR "$U"
	fault off
	wait_for "$text: writing works again" writes && echo "ok: $text: writing works again"
	wait_for "$text: the log says that all is well" told_well $((n - 1))
}
writes() { echo "again $n" >"$S/again$n" && sync "$S/again$n"; }
lasting "every write fails" "Input/output error" failed write:all:EIO:lasting:1
lasting "every write meets a full disk" "No space left on device" full write:all:ENOSPC:lasting:1
lasting "every sync fails" "Input/output error" failed sync:all:EIO:lasting:1
wait_for "the log says that all is well" told_well 8

must "unmounting" umount_store
must "mounting without the fault layer" mount_store
same "what was written before is there" "$sum precious" "$(sha256sum <"$S/kept") $(cat "$S/messages/001.md")"
for i in 2 3 4 5 6; do
	same "f$i is there" "no $i" "$(cat "$S/f$i")"
done
for i in 7 8 9; do
	same "again$i is there" "again $i" "$(cat "$S/again$i")"
done
must "unmounting again" umount_store

# At the mount: one clear line and no harm.
before=$(find "$STORE" -name '*.sst' | wc -l)
for point in open:engine:EIO:lasting:1 rename:engine:ENOSPC:lasting:1 sync:manifest:EIO:lasting:1 open:keyring:EIO:lasting:1; do
	fault "$point"
	refused "mounting with $point" env FAULT_DIR="$STORE" FAULT_CONTROL="$W/control" LD_PRELOAD="$INJECT" \
		"$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" -o log=error
	fault off
done
check "no table is lost by it" [ "$(find "$STORE" -name '*.sst' | wc -l)" -ge "$before" ]
must "then it mounts" mount_store
same "with what was there" "$sum precious" "$(sha256sum <"$S/kept") $(cat "$S/messages/001.md")"
umount_store || die umount

options=(--points "${FAULT_POINTS:-60}")
[ -z "${FAULT_SECONDS:-}" ] || options=(--time "$FAULT_SECONDS")
check "many calls below kv, one at a time" "$BUILD/tests/faults/fault_sweep" --library "$INJECT" --jobs 8 \
	--seed "${FAULT_SEED:-$RANDOM}" "${options[@]}"
cat "$W/.out" 2>/dev/null | tail -1
