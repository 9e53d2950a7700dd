#!/usr/bin/env bash
# scribefs set, get and inherit: policies, where they come from, and what is refused.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
setup_folder
must "a store" init_store "$STORE" "$KEY"
must "mounted" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
U=$MNT/users
mkdir -p "$U/ann/chat/one" "$U/bob"

got() { "$SCRIBEFS" get "$@" --json | python3 -c '
import json, sys
print(*("%s %s" % (p["value"], p["source"]) for p in json.load(sys.stdin)["properties"]), sep=", ")'; }

same "a default" "30s default" "$(got autosnapshot "$U/ann/chat/one")"
check "set at a user" "$SCRIBEFS" set autosnapshot=1min keep=9 "$U/ann"
same "inherited by a session" "1min users/ann, 9 users/ann" "$(got autosnapshot keep "$U/ann/chat/one")"
same "local where it was set" "9 local" "$(got keep "$U/ann")"
same "not by another user" "5 default" "$(got keep "$U/bob")"
check "set again below" "$SCRIBEFS" set keep=0 "$U/ann/chat"
same "the nearest counts" "0 users/ann/chat" "$(got keep "$U/ann/chat/one")"
same "it is an attribute" "0" "$(getfattr --only-values -n user.scribefs.keep "$U/ann/chat" 2>/dev/null)"
check "inherited again" "$SCRIBEFS" inherit keep "$U/ann/chat"
same "from above" "9 users/ann" "$(got keep "$U/ann/chat/one")"
check "what is not set is inherited without a word" "$SCRIBEFS" inherit keep "$U/ann/chat"
check "set at users/" "$SCRIBEFS" set trash=none "$U"
same "for everybody" "none users" "$(got trash "$U/bob")"
check "all of them" test "$("$SCRIBEFS" get all "$U" | wc -l)" -ge 20

misused "no number" "keep takes a number" "$SCRIBEFS" set keep=many "$U"
misused "no time" "takes a time" "$SCRIBEFS" set idle=soon "$U"
misused "no such property" "no property 'size'" "$SCRIBEFS" set size=1 "$U"
misused "nothing is set where one is wrong" "no property" "$SCRIBEFS" set keep=7 size=1 "$U/bob"
same "indeed" "5 default" "$(got keep "$U/bob")"
misused "no value" "no NAME=VALUE" "$SCRIBEFS" set keep "$U"
refused "a file has none" "$SCRIBEFS" get all "$U/ann/chat/one/session.json"
refused "outside of a mount" "$SCRIBEFS" get all /
check_not "the kernel's way is no way around" setfattr -n user.scribefs.keep -v many "$U/bob"
check_not "nor for other names" setfattr -n user.scribefs.size -v 1 "$U/bob"
cp -a "$U/ann" "$U/cleo"
same "cp -a carries them" "9 local" "$(got keep "$U/cleo")"
# What is of the whole store would do nothing elsewhere.
refused "a schedule of backups for one user" "$SCRIBEFS" set backup=1d "$U/ann"
check_not "nor the kernel's way" setfattr -n user.scribefs.store_keep -v 1 "$U/ann/chat"
check "but at users/" "$SCRIBEFS" set backup_keep=3 "$U"
# Out of the mount and back, by those who carry attributes.
"$SCRIBEFS" set idle=2h "$U/ann/chat/one"
policies() {
	(cd "$1" && getfattr -R -d -m '^user\.scribefs\.(keep|trash|idle|backup_keep|autosnapshot)' . 2>/dev/null) |
		awk '/^# file/ { f = $3 } /=/ { print f, $0 }' | sort
}
policies "$U" >"$W/policies"
check "they are five" test "$(wc -l <"$W/policies")" -ge 5
check "rsync -X out" rsync -aHAX "$U/" "$W/rsynced/"
check "cp -a out" cp -a "$U" "$W/copied"
same "rsync carries them out" "$(cat "$W/policies")" "$(policies "$W/rsynced")"
same "cp -a, too" "$(cat "$W/policies")" "$(policies "$W/copied")"
must "another store" init_store "$W/store2" "$W/key2"
mkdir "$W/mnt2"
EXTRA_MOUNTS+=("$W/mnt2")
must "mounted" "$SCRIBEFS" mount "$W/store2" "$W/mnt2" --key-file "$W/key2"
# A copy of an older program's, which knew another policy, and one that took other values.
setfattr -n user.scribefs.former -v 1 "$W/rsynced/bob"
setfattr -n user.scribefs.keep -v many "$W/rsynced/cleo"
check_not "rsync says what it could not set" rsync -aHAX "$W/rsynced/" "$W/mnt2/users/"
same "for each" 2 "$(grep -c 'user.scribefs.*Invalid argument' "$W/.out")"
setfattr -x user.scribefs.former "$W/rsynced/bob"
setfattr -n user.scribefs.keep -v 9 "$W/rsynced/cleo"
same "all else is there" "" "$(rsync -aHAXin "$W/rsynced/" "$W/mnt2/users/" | grep -v 'x.* cleo/$')"
check "and with those mended nothing is missing" rsync -aHAX "$W/rsynced/" "$W/mnt2/users/"
same "as they were" "$(cat "$W/policies")" "$(policies "$W/mnt2/users")"
check "unmounted" "$SCRIBEFS" umount "$W/mnt2"
must "unmount" "$SCRIBEFS" umount "$MNT"
must "mounted again" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
same "they last" "9 users/ann" "$(got keep "$U/ann/chat/one")"
exit
