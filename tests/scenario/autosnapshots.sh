#!/bin/bash
# Automatic snapshots on a mount: taken by policy, thinned, derived anew after kill -9, expired with what was removed;
# no version of a message is lost between two of them; recovery ids and `scribefs snapshot`.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool setfattr getfattr
setup

auto() { find "$1/.snapshots" -maxdepth 1 -name 'auto-*' -printf '%f\n'; }
count() { auto "$1" | wc -l; }
has() { [ "$(count "$1")" -ge "$2" ]; }
newest() { auto "$1" | sort | tail -1; }
# Whether a snapshot of session $1 has a file $2 with the line $3.
held() { grep -Fqsx -- "$3" "$1"/.snapshots/*/"$2"; }
in_newest() { grep -Fqx -- "$3" "$1/.snapshots/$(newest "$1")/$2"; }

echo "-- by policy"
mkdir -p "$U/ann/chat"
"$SCRIBEFS" set autosnapshot=1s keep=2 keep_hourly=0 keep_daily=0 user_autosnapshot=1s user_keep=1 user_keep_hourly=0 \
	user_keep_daily=0 "$U/ann"
"$SCRIBEFS" set store_autosnapshot=none "$U"
S=$("$SCRIBEFS" new "$U/ann/chat")
echo one >"$S/messages/next.md"
wait_for "the first is taken on close" has "$S" 1
same "it has the message" one "$(cat "$S/.snapshots/$(newest "$S")/messages/001.md")"
mkdir "$S/.snapshots/mine"
ls -l "$S/.snapshots" >/dev/null # the kernel has met them all
first=$S/.snapshots/$(newest "$S")
for i in 2 3 4 5; do
	echo "message $i" >"$S/messages/next.md"
	wait_for "message $i is in one" in_newest "$S" "messages/00$i.md" "message $i"
done
few() { [ "$(count "$S")" -le 2 ]; }
wait_for "two stay" few
check_not "the kernel does not believe in the first any more" stat "$first"
check "and what a person named" test -d "$S/.snapshots/mine"
wait_for "the user has one" has "$U/ann" 1
same "users/ has none" 0 "$(count "$U")"
echo plain >"$S/notes"
wait_for "a plain file, by timer" in_newest "$S" notes plain

echo "-- no version is lost"
"$SCRIBEFS" set autosnapshot=1h keep=100 "$S"
M=$S/messages/001.md
for i in 1 2 3; do
	echo "truncated $i" >"$M"
done
for i in 1 2; do
	check "what > replaced: version $i" held "$S" messages/001.md "truncated $i"
done
before=$(count "$S")
for i in 1 2 3; do
	echo "appended $i" >>"$M"
done
same "appends take none" "$before" "$(count "$S")"
# As vim saves: the old one becomes a backup, the new one is made, the backup goes.
for i in 1 2; do
	mv "$M" "$M~" && echo "vim $i" >"$M" && rm "$M~"
done
check "what vim replaced" held "$S" messages/001.md "appended 3"
check "what vim replaced then" held "$S" messages/001.md "vim 1"
for i in 1 2; do
	echo "renamed $i" >"$S/messages/.tmp" && mv "$S/messages/.tmp" "$M"
done
check "what a rename replaced" held "$S" messages/001.md "renamed 1"
truncate -s 1 "$M"
check "what was cut off" held "$S" messages/001.md "renamed 2"
echo '{"a": 1}' >"$S/context.json"
rm "$S/context.json"
check "a context.json that was removed" held "$S" context.json '{"a": 1}'
echo last >"$M"
rm "$M"
check "a message that was removed" held "$S" messages/001.md last

echo "-- at once"
# Within the hour, but five seconds after the last one.
echo '{"currentStep": "two", "x": 1}' >"$S/context.json"
wait_for "a step" in_newest "$S" context.json '{"currentStep": "two", "x": 1}'
printf -- '---\nrole: tool\n---\nError: it failed\n' >"$S/messages/next.md"
wait_for "an error" in_newest "$S" messages/006.md "Error: it failed"

echo "-- kill -9"
"$SCRIBEFS" set user_autosnapshot=none "$U/ann" # or the user's may have it already
T=$("$SCRIBEFS" new "$U/ann/chat")
"$SCRIBEFS" set autosnapshot=2s keep=100 "$T"
for i in 1 2 3; do
	echo "before kill $i" >"$T/messages/001.md"
	kill9_daemon
	detach_mount
	mount_store || die "mount after kill -9"
	check "version $i is there" grep -qx "before kill $i" "$T/messages/001.md"
	wait_for "and gets its snapshot with nobody writing" held "$T" messages/001.md "before kill $i"
done
echo "at the end" >"$T/messages/next.md"
remount
check "unmounting takes what waits" held "$T" messages/002.md "at the end"

echo "-- the command line"
id=$("$SCRIBEFS" snapshot list "$S" --json | python3 -c '
import json, sys
for s in json.load(sys.stdin)["snapshots"]:
    if s["name"] == "mine":
        assert not s["automatic"] and s["holds"] > 0, s
        print(s["recovery_id"])')
number=${S##*-}
check "the recovery id is the day, the session's number and the time" \
	grep -Eqx "RECOVERY-[0-9]{6}-$number-[0-9]{6}" <<<"$id"
same "the id is a name in .snapshots/" "$(ls "$S/.snapshots/mine/messages")" "$(ls "$S/.snapshots/$id/messages")"
check "list for people" grep -q "^mine .*$id" <("$SCRIBEFS" snapshot list "$S")
same "create prints the path" "$T/.snapshots/x" "$("$SCRIBEFS" snapshot create "$T@x")"
check "create without a name" "$SCRIBEFS" snapshot create "$U/ann/chat"
check "drop" "$SCRIBEFS" snapshot drop "$T@x"
check_not "it is gone" test -e "$T/.snapshots/x"
check "drop by id" "$SCRIBEFS" snapshot drop "$S@$id"
check_not "it is gone" test -e "$S/.snapshots/mine"
refused "what is not there" "$SCRIBEFS" snapshot drop "$S@nothing"
refused "no place" "$SCRIBEFS" snapshot list "$S/messages"
refused "not in a mount" "$SCRIBEFS" snapshot list "$W"
refused "removed ones of a session" "$SCRIBEFS" snapshot list "$S" --removed

echo "-- what was removed"
session_id=$(field "$T/session.json" session_id)
"$SCRIBEFS" set autosnapshot=1h "$T" # none while it is half removed, when it has another title
rm -r "$T"
removed() { "$SCRIBEFS" snapshot list "$U/ann" --removed --json; }
check "its snapshots are listed" grep -q "\"session_id\":.*\"$session_id\"" <(removed)
check "with title and workflow" python3 - 3< <(removed) <<-'PY'
	import json
	for s in json.load(open(3))["snapshots"]:
	    assert s["title"].startswith("before kill") and s["workflow"] == "chat" and s["user"] == "ann", s
PY
