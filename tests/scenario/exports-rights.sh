#!/usr/bin/env bash
# Who may read a document: whoever can read what it is made from, and nobody else.
. "$(dirname "$0")/lib.sh"
need_mount
need_root
need_tool setpriv setfacl
ANN=21001 BOB=21002

as() {
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME=/ "$@"
}

setup -o allow_other
X=$MNT/exports
chmod 755 "$U"
for who in ann bob; do
	uid=$ANN
	[ $who = bob ] && uid=$BOB
	mkdir -m 755 "$U/$who"
	chown $uid:$uid "$U/$who"
	as "$uid" sh -c "umask 022; mkdir -p '$U/$who/chat/s'; echo 'secret of $who' >'$U/$who/chat/s/messages/next.md'"
done
chmod -R go+rX "$U/ann/chat/s"
T=$X/ann/chat/s/transcript.txt

check "ann reads what is hers" as $ANN cat "$T"
check "bob reads what is open to him" as $BOB cat "$T"
chmod 600 "$U/ann/chat/s/messages/001.md"
check_not "no more when one message is closed" as $BOB cat "$T"
check_not "nor in any other form" as $BOB cat "$X/ann/chat/s/history/00000-00049.json"
check "ann does" as $ANN cat "$T"
chmod 644 "$U/ann/chat/s/messages/001.md"
check "and bob again when it is open" as $BOB cat "$T"
R=$X/ann/chat/s/resume.md
as $ANN sh -c "umask 022; echo '{}' >'$U/ann/chat/s/context.json'"
check "bob reads a resume document" as $BOB cat "$R"
chmod 600 "$U/ann/chat/s/context.json"
check_not "no more when its context is closed" as $BOB cat "$R"
check "the transcript is not made of that" as $BOB cat "$T"
as $ANN mkdir "$U/ann/chat/s/.snapshots/open"
check "ann reads what was" as $ANN cat "$X/ann/chat/s@open/transcript.txt"
check_not "it is nobody else's" as $BOB cat "$X/ann/chat/s@open/transcript.txt"
chmod 700 "$U/ann/chat/s"
check_not "a closed session is closed" as $BOB ls "$X/ann/chat/s"
check "its title stands in ann's list" as $ANN grep -q 'secret of ann' "$X/ann/sessions.json"
check_not "which bob cannot read then" as $BOB cat "$X/ann/sessions.json"
setfacl -m u:$BOB:rx "$U/ann/chat/s"
check "an ACL that lets him in lets him in" as $BOB cat "$T"
setfacl -m u:$BOB:---,g::rx "$U/ann/chat/s"
chmod o+rx "$U/ann/chat/s"
check_not "one that keeps him out keeps him out" as $BOB cat "$T"
check_not "also from the lists" as $BOB cat "$X/ann/chat/index.html"
setfacl -b "$U/ann/chat/s"
chmod 755 "$U/ann/chat/s"
echo "of bob" >"$W/note"; chown $BOB:$BOB "$W/note"; chmod 600 "$W/note"
cp -p "$W/note" "$U/ann/chat/s/messages/002.md"
check_not "what bob wrote for himself ann does not get" as $ANN cat "$T"
rm "$U/ann/chat/s/messages/002.md"
check "root reads everything" grep -q 'secret of bob' "$X/sessions.json"
chmod 700 "$U/bob"
chown $ANN:$ANN "$U"
check "a list leaves out what the folder's owner cannot read" as $ANN grep -q 'secret of ann' "$X/sessions.json"
check_not "such as bob's" as $ANN grep -q 'secret of bob' "$X/sessions.json"
