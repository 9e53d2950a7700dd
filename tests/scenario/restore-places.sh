#!/bin/bash
# Going back with a workflow, a user or all of users/, in one step: what was changed, moved, renamed, removed and made
# since; sessions keep their ids and snapshots; kill -9 in the middle; and back again from before-restore-TIME.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync setfattr
setup

keep() {
	mkdir -p "$W/copies"
	find "$1" -name session.json -exec cat {} + >/dev/null
	rsync -aHAX --modify-window=-1 "$1/" "$W/copies/$2/" && mkdir "$1/.snapshots/$2"
}
is_copy() { python3 "$HERE/treecmp.py" "$1" "$W/copies/$2" "${@:3}"; }
id_of() { field "$1/session.json" session_id; }
# Every session of a tree and its id, by id.
ids() { find "$1" -name session.json | while read -r f; do echo "$(field "$f" session_id) ${f#"$1"}"; done | sort; }
kept() { find "$1/.snapshots/" -maxdepth 1 -name 'before-restore-*' | sort | tail -n 1; }

fill() {
	local n
	for n in one two three; do
		S=$(session $n)
		echo "I am $n" >"$S/messages/next.md"
		printf -- '---\nrole: assistant\ntokens: 7\n---\nAnd I answer %s.\n' $n >"$S/messages/next.md"
	done
	head -c 300000 /dev/urandom >"$U/ann/chat/one/data"
	ln "$U/ann/chat/one/data" "$U/ann/chat/one/linked"
	echo planner >"$U/ann/chat/two/agent"
	J=$(session job jobs)
	echo work >"$J/messages/next.md"
	echo gone >"$(session moved jobs)/messages/next.md"
	mkdir -p "$U/ann/.obsidian/deep" "$U/ann/.trash/chat/old"
	echo plain >"$U/ann/.obsidian/deep/file"
	echo notes >"$U/ann/notes.txt"
	echo 'in the trash' >"$U/ann/.trash/chat/old/messages/next.md"
	setfattr -n user.color -v red "$U/ann/chat"
	mkdir -p "$U/bob/chat/his"
	echo mine >"$U/bob/chat/his/messages/next.md"
}
change() {
	echo more >>"$U/ann/chat/one/messages/001.md"
	rm "$U/ann/chat/one/data"
	rm -r "$U/ann/chat/two"
	mkdir "$U/ann/chat/new"
	echo new >"$U/ann/chat/new/messages/next.md"
	mv "$U/ann/chat/three" "$U/ann/chat/drei"
	mv "$U/ann/jobs/moved" "$U/ann/chat/moved"
	mv "$U/ann/jobs" "$U/ann/work"
	mkdir -p "$U/ann/fresh/inside"
	mv "$U/ann/chat/drei" "$U/ann/fresh/drei"
	mv "$U/ann/.trash/chat/old" "$U/ann/chat/old"
	rmdir "$U/ann/.trash/chat" "$U/ann/.trash"
	rm -r "$U/ann/.obsidian"
	echo other >"$U/ann/notes.txt"
	chmod 750 "$U/ann"
	setfattr -n user.color -v blue "$U/ann/chat"
	rm -r "$U/bob"
	mkdir -p "$U/eve/chat/hers"
}

fill
must "the first snapshots" keep "$U" all1
must "of the user" keep "$U/ann" ann1
must "of the workflow" keep "$U/ann/chat" chat1
mkdir "$U/ann/chat/one/.snapshots/own"
IDS=$(ids "$U/ann")
INO=$(stat -c %i "$U/ann/chat/one" "$U/ann/chat/three" "$U/ann/jobs/job")
change
must "the second snapshots" keep "$U" all2
must "of the user" keep "$U/ann" ann2
must "of the workflow" keep "$U/ann/chat" chat2
IDS2=$(ids "$U/ann")
OUTSIDE=$(id_of "$U/ann/fresh/drei")

echo "-- a workflow"
check "put back" "$SCRIBEFS" restore "$U/ann/chat@chat1"
check "all but the session that lies elsewhere is the copy" is_copy "$U/ann/chat" chat1 --skip three
check "that one is there, too" test "$(cat "$U/ann/chat/three/messages/001.md")" = "I am three"
check_not "as another session" test "$(id_of "$U/ann/chat/three")" = "$OUTSIDE"
same "and stays where it is" "$OUTSIDE" "$(id_of "$U/ann/fresh/drei")"
check "one that was there keeps its own snapshots" test -e "$U/ann/chat/one/.snapshots/own/data"
check "what was there is kept" is_copy "$(kept "$U/ann/chat")" chat2 --no-dir-times
check "nothing hidden is left" test -z "$(find "$U" -name '.restore-*')"
check "and back again" "$SCRIBEFS" restore "$U/ann/chat@chat2"
check "is the other copy" is_copy "$U/ann/chat" chat2

echo "-- a user"
exec 5>>"$U/ann/chat/new/messages/001.md"
check "put back" "$SCRIBEFS" restore "$U/ann@ann1"
echo late >&5
exec 5>&-
check "is the copy" is_copy "$U/ann" ann1
same "with all ids" "$IDS" "$(ids "$U/ann")"
same "the sessions are those that they were" "$INO" "$(stat -c %i "$U/ann/chat/one" "$U/ann/chat/three" "$U/ann/jobs/job")"
check "with their own snapshots" test -e "$U/ann/chat/one/.snapshots/own/data"
check "nothing hidden is left" test -z "$(find "$U" -name '.restore-*')"
check "what was there is kept" is_copy "$(kept "$U/ann")" ann2 --no-dir-times
echo 'one more' >"$U/ann/chat/two/messages/next.md"
same "numbers go on" 3 "$(field "$U/ann/chat/two/session.json" message_count)"
same "names too" jobs "$(field "$U/ann/jobs/job/session.json" workflow_type)"
N=$("$SCRIBEFS" new "$U/ann/chat")
check "and new ones are made" test -f "$N/session.json"
check "and back again" "$SCRIBEFS" restore "$U/ann@ann2"
check "is the other copy" is_copy "$U/ann" ann2
same "with those ids" "$IDS2" "$(ids "$U/ann")"
remount
check "after a restart" is_copy "$U/ann" ann2
check "without a name: the newest that differs" "$SCRIBEFS" restore "$U/ann"

echo "-- all users"
check "put back" "$SCRIBEFS" restore "$U@all1"
BOB=$(id_of "$W/copies/all1/bob/chat/his")
# A user who was removed has another key, under which session.json is told apart: it has a new version.
check "is the copy" python3 "$HERE/treecmp.py" "$U/ann" "$W/copies/all1/ann"
check "with the user who was removed" python3 "$HERE/treecmp.py" "$U/bob" "$W/copies/all1/bob" --skip session.json
same "and his sessions' ids" "$BOB" "$(id_of "$U/bob/chat/his")"
check "and none of later" test ! -e "$U/eve"
check "a user who was removed is one again" mkdir "$U/bob/chat/.snapshots/x"
check "and back again" "$SCRIBEFS" restore "$U@all2"
check "is the other copy" python3 "$HERE/treecmp.py" "$U" "$W/copies/all2" --skip session.json

echo "-- removed places"
"$SCRIBEFS" restore "$U@all1" >/dev/null
rm -r "$U/ann/chat"
check "a workflow comes back" "$SCRIBEFS" restore "$U/ann/chat@all1"
check "as it was" python3 "$HERE/treecmp.py" "$U/ann/chat" "$W/copies/all1/ann/chat"
rm -r "$U/bob"
check "a user comes back" "$SCRIBEFS" restore "$U/bob@all1"
check "as he was" python3 "$HERE/treecmp.py" "$U/bob" "$W/copies/all1/bob" --skip session.json
# What stands there now is another than what the snapshot has: it has come back once.
S=$(ls -d "$U"/ann/chat/*/ | head -n 1)
S=${S%/}
echo again >"$S/messages/next.md"
check "a session comes back a second time" "$SCRIBEFS" restore "$S@all1"
check "as it was" python3 "$HERE/treecmp.py" "$S" "$W/copies/all1/${S#"$U/"}"
for place in ann/chat bob; do
	echo more >"$U/$place/plain"
	check "$place comes back a second time" "$SCRIBEFS" restore "$U/$place@all1"
	check "as it was" python3 "$HERE/treecmp.py" "$U/$place" "$W/copies/all1/$place" --skip session.json
done
rm -r "$U/bob" && mkdir "$U/bob"
check "a user comes back over a new one of that name" "$SCRIBEFS" restore "$U/bob@all1"
check "as he was" python3 "$HERE/treecmp.py" "$U/bob" "$W/copies/all1/bob" --skip session.json
check "nothing hidden is left" test -z "$(find "$U" -name '.restore-*')"

echo "-- kill -9 in the middle"
for n in $(seq 60); do
	S=$(session s"$n" many)
	echo "$n" >"$S/messages/next.md"
done
"$SCRIBEFS" restore "$U/ann@ann1" >/dev/null
for n in $(seq 60); do
	S=$(session s"$n" many)
	echo "$n" >"$S/messages/next.md"
done
must "a snapshot" keep "$U/ann" k1
for n in $(seq 60); do echo again >"$U/ann/many/s$n/messages/next.md"; done
mv "$U/ann/many/s1" "$U/ann/chat/s1"
must "another" keep "$U/ann" k2
for i in 1 2 3 4 5 6 7; do
	name=k$((2 - i % 2))
	"$SCRIBEFS" restore "$U/ann@$name" >/dev/null 2>&1 &
	tool=$!
	sleep 0.$((i * 7 % 10))$((RANDOM % 10))
	kill9_daemon
	wait "$tool"
	detach_mount
	must "mounted again ($i)" mount_store
	if is_copy "$U/ann" k1 >/dev/null || is_copy "$U/ann" k2 >"$W/.differs"; then
		echo "ok: it is the one or the other"
	else
		failed "neither before nor after"
		head -20 "$W/.differs"
	fi
	empty "nothing hidden is left" "$(find "$U" -name '.restore-*')"
done

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	echo "-- another user"
	umount_store
	mount_store -o allow_other
	chmod 755 "$MNT" "$U" "$U/ann" 2>/dev/null
	check_not "cannot put back what is not his" setpriv --reuid=12345 --regid=12345 --clear-groups "$SCRIBEFS" restore "$U/ann@k1"
fi
umount_store
check "all is well" "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
exit 0
