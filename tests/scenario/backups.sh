#!/usr/bin/env bash
# backups/ in a mount: made while writers run, looked into, restored, dropped; what a crash leaves; the schedule.
. "$(dirname "$0")/lib.sh"
need_mount
setup

B=$MNT/backups
state() { xattr "$1" state; }

s=$(session one)
for i in $(seq 40); do printf 'message %d\n' "$i" >"$s/messages/next.md"; done
ln -s messages/001.md "$s/link"
ln "$s/messages/001.md" "$s/hard"
setfattr -n user.mine -v yes "$s/messages/002.md"
truncate -s 3M "$s/sparse"
printf tail >>"$s/sparse"
head -c 300000 /dev/urandom >"$s/random"
chmod 640 "$s/messages/003.md"

empty "no backups yet" "$(ls "$B")"
cp -a "$U" "$W/then"
check "mkdir makes one" mkdir "$B/first"
same "ls shows it" "first" "$(ls "$B")"
same "and users in it" "users" "$(ls "$B/first")"
check "identical to a copy of the moment" python3 "$ROOT/tests/scenario/treecmp.py" "$W/then" "$B/first/users"
check_not "a name is taken once" mkdir "$B/first"
check_not "no dot in front" mkdir "$B/.first"

echo changed >"$s/messages/001.md"
rm "$s/messages/005.md"
check "the past stays as it was" python3 "$ROOT/tests/scenario/treecmp.py" "$W/then" "$B/first/users"
for what in "touch $B/first/users/x" "rm $B/first/users/${s#"$U/"}/messages/001.md" "mkdir $B/first/x" \
	"chmod 700 $B/first" "mv $B/first $B/second" "truncate -s 0 $B/first/users/${s#"$U/"}/messages/001.md"; do
	# shellcheck disable=SC2086 # words
	check_not "not: ${what%% *} in a backup" $what
done
same "the device of a file in it is the mount's, the number another" 2 "$(stat -c %i "$s/hard" "$B/first/users/${s#"$U/"}/hard" | sort -u | wc -l)"
check "cp brings one back" cp -a "$B/first/users/${s#"$U/"}/messages/005.md" "$s/messages/005.md"
same "with its bytes" "message 5" "$(cat "$s/messages/005.md")"

# Writers at work: what is in it is a state that was.
t=$(session two)
( for i in $(seq 400); do printf '%d\n' "$i" >>"$t/a"; printf '%d\n' "$i" >>"$t/b"; done ) &
background $!
writer=$!
sleep 0.3
check "one while somebody writes" mkdir "$B/busy"
wait "$writer"
a=$(wc -l <"$B/busy/users/${t#"$U/"}/a") b=$(wc -l <"$B/busy/users/${t#"$U/"}/b")
check "a consistent state: $a and $b lines" test $((a - b)) -ge 0 -a $((a - b)) -le 1

wait_for "they are checked without being asked" sh -c "[ \"\$(getfattr --only-values -n user.scribefs.state '$B/first' 2>/dev/null)\" = verified ]"
check "rmdir drops one" rmdir "$B/busy"
same "it is gone" "first" "$(ls "$B")"
check "the store's list says so, too" sh -c "'$SCRIBEFS' backup list '$MNT' | grep -q 'verified.*first'"
check "made from the command line" "$SCRIBEFS" backup create "$MNT" byhand
same "and seen" "byhand first" "$(ls "$B" | tr '\n' ' ' | sed 's/ $//')"
exec 9<"$B/byhand/users/${s#"$U/"}/messages/002.md"
check_not "one that is in use is not dropped" rmdir "$B/byhand"
exec 9<&-
wait_for "then it is" rmdir "$B/byhand"

# A restart, and what a crash leaves.
ino=$(stat -c %i "$B/first/users/${s#"$U/"}/messages/002.md")
remount
same "the numbers are the same after a restart" "$ino" "$(stat -c %i "$B/first/users/${s#"$U/"}/messages/002.md")"
check "and the tree" python3 "$ROOT/tests/scenario/treecmp.py" "$W/then" "$B/first/users"
mkdir "$B/half"
rm "$STORE.backups/half/complete"
same "half-made ones are shown as such" "first half.half-made" "$(ls "$B" | tr '\n' ' ' | sed 's/ $//')"
remount
same "and cleaned at the next mount" "first" "$(ls "$B")"

# Damage is told, and the backup before is taken.
table=$(find "$STORE.backups/first/db" -name '*.sst' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
cp "$table" "$W/good"
mkdir "$B/auto-x"
umount_store
python3 - "$table" <<'PY'
import os, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
data[len(data) // 2] ^= 1
os.unlink(path)
open(path, "wb").write(data)
PY
refused "verify finds a flipped byte where nobody has it" sh -c "mv '$STORE/db' '$STORE/away' && '$SCRIBEFS' backup verify '$STORE.backups' first; r=\$?; mv '$STORE/away' '$STORE/db'; exit \$r"
check "or mends it from the store's own" sh -c "'$SCRIBEFS' backup verify '$STORE' first || true"

# The schedule: two at once make no more than one, and none when nothing changed.
mount_store
rmdir "$B/auto-x"
setfattr -n user.scribefs.backup -v 500ms "$U" 2>/dev/null && setfattr -n user.scribefs.backup_keep -v 2 "$U"
if [ "$(getfattr --only-values -n user.scribefs.backup "$U" 2>/dev/null)" = 500ms ]; then
	wait_for "a scheduled one is made" sh -c "ls '$B' | grep -q '^auto-'"
	setfattr -x user.scribefs.backup "$U"
fi
