#!/bin/bash
# scribefs snapshot list: what each snapshot holds alone, with thousands of them, while they come and go; those of what
# was removed; by whom; as JSON.
. "$(dirname "$0")/lib.sh"
need_mount
setup
# Only those that are taken here.
must "the policies" "$SCRIBEFS" set autosnapshot=none user_autosnapshot=none store_autosnapshot=none "$U"

MANY=100 # a session, of 20
list() { "$SCRIBEFS" snapshot list "$@"; }
# $1: a Python expression of all, a list of dictionaries, the rest as for list.
of_list() {
	local expression=$1
	shift
	list "$@" --json | python3 -c 'import json, sys
all = json.load(sys.stdin)["snapshots"]
print(eval(sys.argv[1]))' "$expression"
}
holds() { of_list "next(s['holds'] for s in all if s['name'] == '$1')" "${@:2}"; }

S=$(session one)
T=$(session two)
echo "-- what each holds alone"
head -c 300000 /dev/urandom >"$S/data"
echo 'How do I begin?' >"$S/messages/next.md"
mkdir "$S/.snapshots/a"
same "nothing changed" 0 "$(holds a "$S")"
printf x | dd of="$S/data" bs=1 seek=100000 conv=notrunc status=none
sync -f "$S"
between() { [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]; }
check "one block was written anew" between 4096 "$(holds a "$S")" 16000
mkdir "$S/.snapshots/b"
head -c 300000 /dev/urandom >"$S/data"
check "the rest is held by both" between 4096 "$(holds a "$S")" 16000
check "and what only the newer has" between 4096 "$(holds b "$S")" 16000
rmdir "$S/.snapshots/a"
check "by the newer alone" between 300000 "$(holds b "$S")" 330000
mkdir "$U/ann/.snapshots/user"
rm "$S/data"
check "another place's counts, too" between 300000 "$(holds user "$U/ann")" 330000
check "not what both have" between 300000 "$(holds b "$S")" 330000
same "nor of another session" 0 "$(mkdir "$T/.snapshots/t"; holds t "$T")"
same "the head, and a line for each" $'NAME\nb' "$(list "$S" | awk '{ print $1 }')"

echo "-- thousands"
for i in $(seq 20); do
	N=$(session "n$i")
	echo one >"$N/messages/next.md"
	(cd "$N/.snapshots" && mkdir $(seq -f s%.0f $((MANY - 1))))
	echo two >>"$N/messages/001.md"
	mkdir "$N/.snapshots/s$MANY"
	echo three >>"$N/messages/001.md"
done
same "all of one session, the oldest first" "$(seq -f s%.0f $MANY | md5sum)" \
	"$(of_list '"\n".join(s["name"] for s in all)' "$N" | md5sum)"
same "the last one alone holds what was changed" "['s$MANY']" "$(of_list '[s["name"] for s in all if s["holds"]]' "$N")"
same "no id twice" $((20 * MANY)) \
	"$(for i in $(seq 20); do of_list '" ".join(s["recovery_id"] for s in all)' "$(dirname "$N")/n$i"; done |
		tr ' ' '\n' | sort -u | wc -l)"
same "each field" "['automatic', 'holds', 'name', 'recovery_id', 'taken', 'uid']" \
	"$(of_list 'sorted(all[0])' "$N")"
for _ in $(seq 100); do mkdir "$N/.snapshots/passing" && rmdir "$N/.snapshots/passing"; done &
background $!
for _ in 1 2 3 4 5; do
	same "while one comes and goes" $MANY "$(of_list 'len([s for s in all if s["name"] != "passing"])' "$N")"
done
wait $!

echo "-- of what was removed"
ID=$(field "$N/session.json" session_id)
rm -r "$N" "$S"
same "those of the session" "$MANY ann chat $ID one" "$(of_list \
	"' '.join(str(x) for x in (len(all) - 1, *[all[-1][k] for k in ('user', 'workflow', 'session_id', 'title')]))" \
	--removed "$U/ann")"
same "the same of users/" "$(list --removed "$U/ann")" "$(list --removed "$U")"
check "the one of the other, too" grep -q "^b .*How do I begin" <(list --removed "$U/ann")
same "none of another user" "" "$(mkdir "$U/bob"; list --removed "$U/bob")"
ID=$(of_list 'all[-2]["recovery_id"]' --removed "$U/ann")
check "comes back by its id" "$SCRIBEFS" restore "$U/ann/chat/back@$ID"
same "as it was" one "$(cat "$U/ann/chat/back/messages/001.md")"
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$MNT" "$U" "$U/ann" "$U/ann/chat" "$T" 2>/dev/null
	refused "not told to others" setpriv --reuid=12345 --clear-groups "$SCRIBEFS" snapshot list --removed "$U/ann"
fi
refused "of a file" "$SCRIBEFS" snapshot list "$T/session.json"
remount
same "all are there after a restart" $MANY "$(of_list 'len(all)' "$(dirname "$N")/n1")"
