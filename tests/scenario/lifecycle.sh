#!/bin/bash
# States, .trash, cleanup and limits on a real mount. The clock is that of old timestamps in front matter.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync getfattr
setup

# old NAME DAYS [WORKFLOW]: a session whose only message is so old.
old() {
	local dir
	dir=$(session "$1" "${3:-chat}")
	printf -- '---\nrole: assistant\ntimestamp: %s\n---\nwords of %s\n' "$(date -ud "-$2 days" +%FT%TZ)" "$1" >"$dir/messages/next.md"
}
state() { field "$U/ann/${2:-chat}/$1/session.json" state; }
set_state() { sed -i "s/^  \"state\": \"[a-z]*\"/  \"state\": \"$2\"/" "$1/session.json"; }
trashed() { test -d "$U/ann/.trash/chat/$1" && ! test -e "$U/ann/chat/$1"; }

# States.
old new 0
old yesterday 1
old lastyear 400
session none >/dev/null
for pair in new:active none:active yesterday:idle lastyear:archived; do
	same "by its age ${pair%:*} is ${pair#*:}" "${pair#*:}" "$(state "${pair%:*}")"
done
same "exports say the same" "$(printf 'active\narchived\nidle')" \
	"$(grep -o '"state":"[a-z]*"' "$MNT/exports/ann/chat/sessions.json" | cut -d'"' -f4 | sort -u)"
check "policies are set" "$SCRIBEFS" set idle=2d archive=500d "$U/ann/chat"
same "another limit, another state" "active idle" "$(state yesterday) $(state lastyear)"
check "and taken back" "$SCRIBEFS" inherit idle archive "$U/ann/chat"
set_state "$U/ann/chat/yesterday" archived
same "the user's state is taken" archived "$(state yesterday)"
echo more >"$U/ann/chat/yesterday/messages/next.md"
same "until a new message" active "$(state yesterday)"
old short 0
check "a short time is set" "$SCRIBEFS" set idle=3s "$U/ann/chat/short"
same "it is active" active "$(state short)"
is_idle() { [ "$(state short)" = idle ]; }
listed_idle() { python3 -c '
import json, sys
exit(not any(s["path"].endswith("/short") and s["state"] == "idle" for s in json.load(open(sys.argv[1]))["sessions"]))' \
	"$MNT/exports/ann/chat/sessions.json"; }
wait_for "time alone makes it idle" is_idle
check "and its listing says so" listed_idle
version=$(field "$U/ann/chat/short/session.json" version)
same "looking again changes nothing" "$version" "$(field "$U/ann/chat/short/session.json" version)"

# .trash.
id=$(field "$U/ann/chat/lastyear/session.json" session_id)
set_state "$U/ann/chat/lastyear" deleted
wait_for "state deleted moves it to .trash" trashed lastyear
T=$U/ann/.trash/chat/lastyear
same "it says so" deleted "$(field "$T/session.json" state)"
check "and since when" test -n "$(field "$T/session.json" deleted_at)"
same "its messages are there" "words of lastyear" "$(tail -1 "$T/messages/001.md")"
check_not "it is not in exports/" ls "$MNT/exports/ann/chat/lastyear"
check_not "nor listed there" grep -q "$id" "$MNT/exports/sessions.json"
mv "$T" "$U/ann/chat/"
same "mv brings it back at once" archived "$(state lastyear)"
check_not "and it does not say any more since when" grep -q deleted_at "$U/ann/chat/lastyear/session.json"
same "with its id" "$id" "$(field "$U/ann/chat/lastyear/session.json" session_id)"
mkdir -p "$T"
set_state "$U/ann/chat/lastyear" deleted
wait_for "a name that is taken gets a suffix" test -d "$T.2"
same "it is that session" "$id" "$(field "$T.2/session.json" session_id)"
rmdir "$T"
exec 5>"$U/ann/chat/yesterday/notes"
set_state "$U/ann/chat/yesterday" deleted
sleep 1
check "one in which somebody writes stays" test -d "$U/ann/chat/yesterday/messages"
exec 5>&-
wait_for "until he has done" trashed yesterday

# A copy, and back.
sleep 1.1
mkdir "$W/out"
must "rsync takes it all out" rsync -aHAX "$U/" "$W/out/"
empty "a second time it sends nothing" "$(rsync -aHAXn --itemize-changes "$U/" "$W/out/")"
umount_store
mv "$STORE" "$STORE.1"
mv "$KEY" "$KEY.1"
init_store "$STORE" "$KEY" || die "init of another store"
mount_store || die "mount of another store"
must "rsync puts it into another store" rsync -aHAX "$W/out/" "$U/"
empty "a second time it sends nothing" "$(rsync -aHAXn --itemize-changes "$W/out/" "$U/" | grep -v '^\.d')"
check "states and .trash are what they were" python3 "$HERE/treecmp.py" "$W/out" "$U"
same "what was deleted is" deleted "$(field "$U/ann/.trash/chat/yesterday/session.json" state)"

# By hand.
old x 40 tidy
old y 20 tidy
session fresh tidy >/dev/null
touch -d '-90 days' "$U/ann/tidy/fresh" "$U/ann/tidy/fresh/messages"
exec 5>"$U/ann/tidy/y/notes"
check "cleanup tells what it would do" "$SCRIBEFS" cleanup "$U/ann/tidy" --older-than 30d --dry-run
same "that is one" 1 "$(grep -c 'ann/tidy/x ' "$W/.out")"
check "and does nothing" test -d "$U/ann/tidy/x"
"$SCRIBEFS" cleanup "$U/ann/tidy" --older-than 10d --json >"$W/cleanup" || failed "cleanup"
same "it moves one, and leaves the one in which somebody writes" "1 1 0" \
	"$(field "$W/cleanup" moved) $(field "$W/cleanup" left) $(field "$W/cleanup" failed)"
exec 5>&-
same "where it says" "$U/ann/.trash/tidy/x" "$(python3 -c '
import json, sys
print(*(s["to"] for s in json.load(open(sys.argv[1]))["sessions"] if s["moved"]))' "$W/cleanup")"
same "it is deleted" deleted "$(field "$U/ann/.trash/tidy/x/session.json" state)"
check "cleanup of the mount" "$SCRIBEFS" cleanup "$MNT" --older-than 10d
same "who has no old message stays" fresh "$(cd "$U/ann/tidy" && echo *)"
refused "outside of a mount" "$SCRIBEFS" cleanup /var --older-than 1d
refused "in the trash" "$SCRIBEFS" cleanup "$U/ann/.trash/tidy" --older-than 1d
misused() { "$SCRIBEFS" cleanup "$@" >"$W/.out" 2>&1; [ $? = 2 ]; }
check "an age is needed" misused "$U"
check "and must be one" misused "$U" --older-than yesterday
check "a second x gets a suffix" bash -c "mkdir -p '$U/ann/tidy/x' && printf -- '---\ntimestamp: 2020-01-01T00:00:00Z\n---\nx\n' >'$U/ann/tidy/x/messages/001.md' && '$SCRIBEFS' cleanup '$U/ann/tidy/x' --older-than 1d && test -d '$U/ann/.trash/tidy/x.2'"

# Emptied, and limits.
umount_store
fsck_clean() { "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"; }
check "fsck finds it clean" fsck_clean
mount_store || die "mount again"
check "a policy empties .trash" "$SCRIBEFS" set trash=1s "$U/ann"
wait_for "what lay in it is gone" test ! -e "$U/ann/.trash/chat"
old a 30 limited
old b 20 limited
old c 10 limited
check "max_sessions is set" "$SCRIBEFS" set trash=30d max_sessions=2 "$U/ann"
wait_for "the oldest goes to .trash" test -d "$U/ann/.trash/limited/a"
same "the others stay" "b c" "$(cd "$U/ann/limited" && echo *)"
old d 0 limited
wait_for "a new one makes the next go" test -d "$U/ann/.trash/limited/b"
check "cleanup_after is set" "$SCRIBEFS" set max_sessions=0 cleanup_after=5d "$U/ann/limited"
wait_for "who was silent for so long goes" test -d "$U/ann/.trash/limited/c"
check "who was not stays" test -d "$U/ann/limited/d"

# max_messages.
M=$U/ann/limited/d/messages
"$SCRIBEFS" set max_messages=3 "$U/ann/limited/d"
for n in 2 3 4 5; do echo "message $n" >"$M/next.md"; done
archived() { [ "$(cd "$M" && echo *.md archive/*.md)" = "003.md 004.md 005.md archive/001.md archive/002.md" ]; }
wait_for "the oldest messages go to archive/" archived
same "message_count is of the others" 3 "$(field "$U/ann/limited/d/session.json" message_count)"
same "the title stays that of the first question" "message 2" "$(field "$U/ann/limited/d/session.json" title)"
same "the transcript has them all" 5 "$(field "$MNT/exports/ann/limited/d/transcript.json" messages | grep -o '"number"' | wc -l)"
echo six >"$M/next.md"
same "numbers go on" six "$(cat "$M/006.md")"

# What another tool writes.
python3 - "$U/ann/limited/d/session.json" <<-'PY'
	import json, sys
	info = json.load(open(sys.argv[1]))
	info["started_at"], info["stopped_at"] = "2026-01-02T03:04:05Z", "2026-01-02T04:00:00Z"
	open(sys.argv[1], "w").write(json.dumps(info))
PY
echo '{"note": "good"}' >"$U/ann/limited/d/annotations.jsonl"
same "started_at is kept" 2026-01-02T03:04:05Z "$(field "$U/ann/limited/d/session.json" started_at)"
umount_store
check "fsck finds it clean" fsck_clean
mount_store || die "mount again"
same "annotations.jsonl too" '{"note": "good"}' "$(cat "$U/ann/limited/d/annotations.jsonl")"
sed -i 's/2026-01-02T04/2026-01-01T04/' "$U/ann/limited/d/session.json"
umount_store
check_not "fsck tells of times that are out of order" fsck_clean
same "which" 1 "$(grep -c "limited/d: its stopped_at is before its started_at" "$W/.out")"
