#!/bin/bash
# A store that was put back, whole or in part: noticed, opened only where somebody says so, and never wrong bytes.
. "$(dirname "$0")/lib.sh"
need_mount
setup
SEEN=$XDG_STATE_HOME/scribefs/seen
OPEN=("$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY")
open_it() { timeout 60 "${OPEN[@]}" "$@" </dev/null; }
put_back() { rm -rf "$STORE" && cp -a "$W/$1" "$STORE"; }
keep() { rm -rf "${W:?}/$1" && cp -a "$STORE" "$W/$1"; }
say() { echo "$2" >"$U/ann/chat/$1/messages/next.md"; }
quiet() { [ "$(open_it 2>&1)" = "" ]; }
notice() { [ "$(open_it 2>&1 | grep -c '^scribefs: notice: ')" = 1 ]; }
only_seen() { ls "$SEEN"; }

session one >/dev/null
say one first
must umount umount_store
keep old
same "one file is kept, by the store's id" 1 "$(only_seen | wc -l)"
"$SCRIBEFS" status "$STORE" --json >"$W/status"
same "its id" "$(field "$W/status" id | tr -d -)" "$(only_seen)"
same "the folder is its owner's alone" 700 "$(stat -c %a "$SEEN")"
same "the file too" 600 "$(stat -c %a "$SEEN"/*)"
check "a second mount says nothing" quiet
say one second
umount_store
keep new

# The whole store, put back.
put_back old
refused "an older store" "${OPEN[@]}"
check "says when it was last seen" grep -qE 'last seen here, on 20[0-9-]+ at [0-9:]+: it is at commit [0-9]+ and was at [0-9]+' "$W/.stderr"
check "and what to do" grep -q -e '--accept-older' "$W/.stderr"
refused "again" "${OPEN[@]}"
refused "in the foreground" "${OPEN[@]}" -f
refused "read-only" "${OPEN[@]}" -o ro
check "and nothing was changed in it" diff -r "$STORE" "$W/old"
check_not "nothing is mounted" mountpoint -q "$MNT"
refused "no backup is made of it" "$SCRIBEFS" backup create "$STORE" one --to "$W/backups" --key-file "$KEY"
must "--accept-older -o ro" open_it -o ro --accept-older
same "reads it" first "$(cat "$U/ann/chat/one/messages/001.md")"
check_not "the later message is not there" test -e "$U/ann/chat/one/messages/002.md"
umount_store
refused "is for once" "${OPEN[@]}"
must "--accept-older" open_it --accept-older
say one "another second"
umount_store
check "is remembered: the next mount says nothing" quiet
say one third
kill9_daemon
detach_mount
check "nor after kill -9" quiet
same "its own messages" "another second third" "$(cat "$U"/ann/chat/one/messages/00[23].md | xargs)"
umount_store
keep accepted
put_back old
refused "the old one is refused as before" "${OPEN[@]}"
put_back accepted
check "the accepted one is not" quiet
umount_store

# Copies of one store, used in turn.
for _ in 1 2 3; do
	put_back new
	check "the one that it was taken from" quiet
	say one more
	umount_store
	keep new
	put_back accepted
	check "the copy" quiet
	say one more
	say one more
	umount_store
	keep accepted
done
put_back new
keep before
must mount quiet
say one last
umount_store

# A restored backup: the same, one acceptance. Moved elsewhere: known by its id.
mv "$STORE" "$W/store2"
STORE2=$W/store2
must "a store that was moved is known" timeout 60 "$SCRIBEFS" mount "$STORE2" "$MNT" --key-file "$KEY"
umount_store
mv "$STORE2" "$STORE"
keep new

# The record outside is lost, damaged, of no use: one notice, no refusal.
rm "$SEEN"/*
check "a lost record is one notice" notice
umount_store
check "and just one" quiet
umount_store
python3 - "$SEEN"/* <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data = bytes(b ^ 1 for b in data)
open(sys.argv[1], "r+b").write(data)
PY
check "a damaged one too" notice
umount_store
check "and just one" quiet
umount_store
put_back before
refused "which is written anew: an older store is refused" "${OPEN[@]}"
put_back new
ordinary() { HOME=$1 XDG_STATE_HOME='' open_it; }
check "with \$HOME instead of \$XDG_STATE_HOME" eval 'mkdir -p "$W/home" && ordinary "$W/home" 2>&1 | grep -c notice'
umount_store
check "it is in .local/state" test -d "$W/home/.local/state/scribefs/seen"
mkdir "$W/plain"
touch "$W/plain/scribefs"
unwritable() { [ "$(XDG_STATE_HOME=$W/plain open_it 2>&1 | grep -c '^scribefs: notice: ')" = 1 ]; }
check "a state folder that cannot be used is one notice" unwritable
check "and the mount works" test -d "$U/ann"
umount_store

# The mountpoint lies above the state folder: the record is still written, and not into the mount.
over() { timeout 60 "$SCRIBEFS" mount "$STORE" "$W/state" --key-file "$KEY" </dev/null; }
before=$(md5sum "$SEEN"/* | cut -c1-32)
EXTRA_MOUNTS+=("$W/state")
must "mounted over its own state folder" over
mkdir -p "$W/state/users/ann/chat/one" && echo more >"$W/state/users/ann/chat/one/messages/next.md"
must "umount" timeout 60 "$SCRIBEFS" umount "$W/state"
check_not "the record was written" test "$before" = "$(md5sum "$SEEN"/* | cut -c1-32)"
check "and is good" quiet
umount_store
keep new

# The mark in the store is lost as well: what is kept outside still tells.
put_back before
rm "$STORE/mark"
refused "an older store without its mark" "${OPEN[@]}"
put_back new
rm "$STORE/mark"
check "the present one without its mark opens" open_it
check "all is there" grep -q last "$U/ann/chat/one/messages/"0*.md
umount_store
keep new

# Power cuts: what the disk has at one moment of the store and of the record, which is never ahead of it.
must mount quiet
pid=$(daemon_pid)
for i in $(seq 6); do
	say one "$i"
	[ $((i % 3)) -gt 0 ] || sync "$U/ann/chat/one/messages/001.md"
	kill -STOP "$pid"
	keep "cut$i"
	cp -a "$SEEN" "$W/seen$i"
	kill -CONT "$pid"
done
kill9_daemon
detach_mount
for i in $(seq 6); do
	put_back "cut$i"
	rm -rf "${SEEN:?}" && cp -a "$W/seen$i" "$SEEN"
	check "the cut after message $i opens by itself" quiet
	kill9_daemon
	detach_mount
done

# Single files, put back one by one: refused, read-only, an error, or right; never an old message silently.
rm -rf "${SEEN:?}"/*
put_back old
must mount open_it
for i in $(seq 200); do say one "$i $(head -c 3000 /dev/urandom | base64 -w0)"; done
umount_store
keep old
must mount quiet
for i in $(seq 200); do say one "new $i $(head -c 3000 /dev/urandom | base64 -w0)"; done
for i in $(seq 150 250); do echo "overwritten $i" >"$U/ann/chat/one/messages/$i.md"; done
(cd "$U" && find . -type f -name '*.md' -exec md5sum {} +) | sort -k2 >"$W/sums"
umount_store
keep new
cp -a "$SEEN" "$W/seen"
# Files that can be read and are not what they were; or less than all, without a word.
silently_wrong() {
	(cd "$U" && find . -type f -name '*.md' -exec md5sum {} +) 2>"$W/errors" | sort -k2 >"$W/sums2"
	[ ! -s "$W/.mount" ] || { echo "it said: $(cat "$W/.mount")" && return 1; }
	comm -13 "$W/sums" "$W/sums2" | grep . && return
	[ ! -s "$W/errors" ] && comm -23 "$W/sums" "$W/sums2" | grep .
}
outcomes=''
for file in $(cd "$W/old" && find . -type f); do
	put_back new
	rm -rf "${SEEN:?}" && cp -a "$W/seen" "$SEEN"
	cmp -s "$W/old/$file" "$STORE/$file" && continue
	cp -a "$W/old/$file" "$STORE/$file"
	name=$(basename "$file")
	if open_it >"$W/.mount" 2>&1; then
		outcomes="$outcomes $name:opened"
		check_not "older $name: nothing is silently wrong" silently_wrong
		umount_store
	else
		outcomes="$outcomes $name:refused"
		same "older $name: refused with one line" 1 "$(wc -l <"$W/.mount")"
	fi
done
echo "single files:$outcomes"
put_back old
cp -a "$W/new/mark" "$STORE/mark"
must "an older database under the present mark opens" eval 'open_it 2>"$W/told"'
check "read-only, with a line" grep -q 'mounted read-only' "$W/told"
check_not "and cannot be written" touch "$U/ann/chat/one/x"
umount_store
