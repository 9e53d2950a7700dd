#!/bin/bash
# A day of work, on real sessions where they are at hand: each snapshot is the copy that rsync made at the same moment,
# in bytes and metadata, whatever was changed, moved or removed after it; restores and forks are, too; and all
# that with kill -9 while snapshots are taken, dropped and swept.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync
setup
mkdir "$W/copies"

SEED=${DAY_SEED:-$RANDOM}
echo "DAY_SEED=$SEED"
mkdir -p "$U/ann/chat" "$U/bob/chat"
if [ -x "$SHARED/samples/split-aider.py" ]; then
	"$SHARED/samples/split-aider.py" "$W/samples" >/dev/null || die "the samples"
	find "$W/samples" -mindepth 3 -maxdepth 3 -type d | sort | awk 'NR % 40 == 1' | while read -r s; do
		cp -a "$s" "$U/ann/chat/"
	done
else
	for n in $(seq 12); do seq "$n" 400 >"$(session "s$n")/messages/next.md"; done
fi
for n in $(seq 5); do
	mkdir "$U/bob/chat/b$n"
	seq "$n" 900 >"$U/bob/chat/b$n/messages/next.md"
	head -c 150000 /dev/urandom >"$U/bob/chat/b$n/data"
done

# Where the snapshot with the number $1, its place in it, is seen now; a place may have moved, and one that was removed
# is seen no more.
: >"$W/taken"
work() { python3 "$HERE/day.py" "$U" "$W/copies" "$1" "$2" >>"$W/taken"; }
places() { echo "$U"; find "$U" -mindepth 1 -maxdepth 4 -type d \( -path '*/.trash/*' -o -not -path '*/.*' \); }
compare() {
	local seen=0 place name path
	while read -r place; do
		[ -d "$place/.snapshots" ] || continue
		for path in "$place/.snapshots"/*; do
			name=${path##*/}
			[ -d "$W/copies/$name" ] || continue
			seen=$((seen + 1))
			python3 "$HERE/treecmp.py" "$path" "$W/copies/$name" --no-top-times >"$W/.cmp" || {
				failed "$1: $name of $place is not its copy"
				head -5 "$W/.cmp"
			}
		done
	done < <(places)
	check "$1: $seen snapshots are their copies" test "$seen" -gt 0
}

must "a day" work "$SEED" 14
compare "in the evening"
remount
compare "the next day"

# Whether a session of the copy $2 lives on outside of $1: what is restored gets an id of its own then.
lives_elsewhere() {
	comm -12 <(find "$W/copies/$2" -name session.json -exec grep -h '"session_id"' {} + | sort) \
		<(find "$U" -path "$1" -prune -o -name session.json -exec grep -h '"session_id"' {} + | sort) | grep -q .
}

echo "-- going back"
while read -r _ name place; do
	[ -d "$place/.snapshots/$name" ] || continue
	skip=()
	lives_elsewhere "$place" "$name" && skip=(--skip session.json)
	check "restore of ${place#"$MNT/"}@$name" "$SCRIBEFS" restore "$place@$name"
	check "is the copy${skip[0]:+, but for session.json}" python3 "$HERE/treecmp.py" "$place" "$W/copies/$name" "${skip[@]}"
done < <(shuf -n 5 --random-source=<(yes "$SEED") "$W/taken")
S=$(find "$U" -mindepth 3 -maxdepth 3 -type d -not -path '*/.*' | head -1)
cat "$S/session.json" >/dev/null
rsync -aHAX --modify-window=-1 "$S/" "$W/forked/"
check "a fork" "$SCRIBEFS" fork "$S" forked
check "is the copy, but for session.json" python3 "$HERE/treecmp.py" "${S%/*}/forked" "$W/forked" --skip session.json --no-top-times
compare "after that"

echo "-- kill -9"
for i in 1 2 3 4 5 6; do
	(
		n=0
		while n=$((n + 1)); do
			place=$(places | shuf -n 1)
			mkdir "$place/.snapshots/short-$n" && echo x >>"$S/messages/001.md"
			rmdir "$place/.snapshots/short-$n"
		done
	) >/dev/null 2>&1 &
	background $!
	load=$!
	sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
	# One that holds much: its sweep has work.
	[ $((i % 2)) = 0 ] || rmdir "$(find "$U"/*/.snapshots "$U/.snapshots" -mindepth 1 -maxdepth 1 -name "$SEED-*" | head -1)" 2>/dev/null
	kill9_daemon
	kill "$load" 2>/dev/null
	wait "$load" 2>/dev/null
	detach_mount
	must "mounted again ($i)" mount_store
	compare "after kill $i"
	must "an hour more ($i)" work "$((SEED + i))" 1
done
umount_store
check "fsck finds nothing" "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
exit 0
