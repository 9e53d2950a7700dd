#!/bin/bash
# Two ordinary users on one mount: what belongs to one is closed to the other, without anyone setting modes.
. "$(dirname "$0")/lib.sh"
need_mount
need_root
need_tool setpriv
ANN=21001 BOB=21002

as() {
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME=/ "$@"
}

# Without allow_other the mount is its owner's alone.
setup
echo x >"$(session s)/f"
check_not "without allow_other another user does not even see the mount" as $ANN ls "$MNT"
remount -o allow_other

umask 022
for who in ann bob; do
	mkdir -p "$U/$who"
	uid=$ANN
	[ $who = bob ] && uid=$BOB
	chown -R $uid:$uid "$U/$who"
done
same "users/ is closed to others by default" 700 "$(stat -c %a "$U")"
check_not "so bob sees nothing of ann's, whatever the modes below it say" as $BOB ls "$U/ann"
# That others may pass users/ is root's to say, and that a user's folder is closed, as with home folders.
chmod 711 "$U"
chmod 700 "$U/ann" "$U/bob"
check "ann makes a session" as $ANN mkdir -p "$U/ann/chat/hers"
S=$U/ann/chat/hers
check "ann writes messages" as $ANN sh -c 'umask 022; echo secret >"$1/messages/next.md"; echo more >"$1/notes"' sh "$S"
check "ann reads them" as $ANN grep -q secret "$S/messages/001.md"
same "what ann made is ann's" "$ANN $ANN $ANN" "$(stat -c %u "$S" "$S/messages" "$S/session.json" | xargs)"
same "messages/ and session.json are closed to others" "700 600" "$(stat -c %a "$S/messages" "$S/session.json" | xargs)"
for target in "$S/messages/001.md" "$S/notes" "$S/session.json"; do
	check_not "bob cannot read ${target##*/}" as $BOB cat "$target"
	check_not "bob cannot write ${target##*/}" as $BOB sh -c 'echo x >>"$1"' sh "$target"
	check_not "bob cannot delete ${target##*/}" as $BOB rm -f "$target"
done
check_not "bob cannot list ann's folder" as $BOB ls "$U/ann"
check_not "bob cannot list ann's session" as $BOB ls "$S"
check_not "bob cannot make a message in it" as $BOB sh -c 'echo x >"$1/next.md"' sh "$S/messages"
check_not "bob cannot make a session of ann's" as $BOB mkdir "$U/ann/chat/bobs"
check_not "bob cannot rename ann's session" as $BOB mv "$S" "$U/ann/chat/taken"
check_not "bob cannot read an attribute" as $BOB getfattr -n user.scribefs.role "$S/messages/001.md"
check_not "bob cannot make a user" as $BOB mkdir "$U/carl"
check_not "scribefs new does not help bob" as $BOB "$SCRIBEFS" new "$U/ann/chat"
check "bob has his own" as $BOB sh -c 'mkdir -p "$1" && echo mine >"$1/messages/next.md"' sh "$U/bob/chat/his"
check "scribefs new works for bob" as $BOB "$SCRIBEFS" new "$U/bob/chat"
empty "all of it is bob's" "$(find "$U/bob" ! -uid $BOB)"

# ann lets bob in, by ACL.
as $ANN setfacl -m "u:$BOB:x" "$U/ann" "$U/ann/chat"
as $ANN setfacl -R -m "u:$BOB:rX" "$S"
as $ANN setfacl -m "u:$BOB:rwx" -m "d:u:$BOB:rw" "$S/messages"
check "bob reads what ann shares" as $BOB grep -q secret "$S/messages/001.md"
check "bob adds a message" as $BOB sh -c 'echo answer >"$1/next.md"' sh "$S/messages"
same "the message is bob's" $BOB "$(stat -c %u "$S/messages/002.md")"
same "and counts" 2 "$(as $ANN cat "$S/session.json" | python3 -c 'import json, sys; print(json.load(sys.stdin)["message_count"])')"
check_not "bob still cannot write elsewhere" as $BOB sh -c 'echo x >"$1/new"' sh "$S"
remount -o allow_other
check "bob reads it after a restart" as $BOB grep -q secret "$S/messages/001.md"
check_not "bob cannot write elsewhere after a restart" as $BOB sh -c 'echo x >"$1/new"' sh "$S"
# What is bob's remains bob's to change.
as $ANN setfacl -R -b "$S" 2>/dev/null
as $ANN setfacl -b "$U/ann" "$U/ann/chat"
check_not "and no more when ann takes it back" as $BOB cat "$S/messages/001.md"

# A mount of an ordinary user's own.
if [ -u "$(command -v fusermount3)" ] && as $ANN test -w /dev/fuse; then
	umount_store
	mkdir "$W/own"
	chown $ANN "$W/own"
	EXTRA_MOUNTS+=("$W/own/mnt")
	check "an ordinary user makes a store" as $ANN "$SCRIBEFS" init "$W/own/store" --new-key-file "$W/own/key" --no-recovery-key
	as $ANN mkdir "$W/own/mnt"
	check "and mounts it" as $ANN "$SCRIBEFS" mount "$W/own/store" "$W/own/mnt" --key-file "$W/own/key"
	check "works in it" as $ANN sh -c 'mkdir -p "$1/users/ann/chat/s" && echo x >"$1/users/ann/chat/s/messages/next.md"' sh "$W/own/mnt"
	check_not "root's eyes are kept out, as FUSE has it" ls "$W/own/mnt"
	check "and unmounts it" as $ANN "$SCRIBEFS" umount "$W/own/mnt"
fi
