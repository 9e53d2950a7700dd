#!/usr/bin/env bash
# A day on 983 real sessions: random edits, renames, the trash, kill -9 in the middle of them, restores of sessions and of
# a whole user. After each part every document of exports/, every view and every figure is what a plain recomputation
# from users/ gives. EXPORTS_DAY_SEED=N again.
. "$(dirname "$0")/lib.sh"
need_mount
need_samples
need_tool rsync
setup

X=$MNT/exports
SEED=${EXPORTS_DAY_SEED:-$RANDOM}
echo "EXPORTS_DAY_SEED=$SEED"
all_is_true() {
	check "every document $1" python3 "$HERE/exports_check.py" "$MNT"
	check "every view, and the figures, $1" python3 "$HERE/views_check.py" "$MNT" --bulk
}
export REMOVING=$W/removing
work() { python3 "$HERE/views_work.py" "$U" "$1" "$2"; }
anyone() { find "$U" -mindepth 3 -maxdepth 3 -type d -not -path '*/.*' | sort | shuf -n 1 --random-source=<(yes "$1"); }

must "the samples are written into the mount" "$SHARED/samples/split-aider.py" "$U"
mkdir "$U/paul/.snapshots/morning"
ls "$MNT/views/recent" "$MNT/status" >/dev/null

check "edits, renames, removals" work "$SEED" 200
all_is_true "after them"

# Killed while somebody works and somebody else looks.
for round in 1 2 3; do
	work "$((SEED + round))" 100000 >/dev/null 2>&1 &
	worker=$!
	background "$worker"
	while sleep 0.1; do ls "$MNT/views/recent" "$X" && stat "$X/index.html"; done >/dev/null 2>&1 &
	looker=$!
	background "$looker"
	sleep $((1 + RANDOM % 3))
	kill9_daemon
	kill "$worker" "$looker" 2>/dev/null
	wait "$worker" "$looker" 2>/dev/null
	detach_mount
	must "it mounts again after kill -9" mount_store
	# What was being removed may have lost its session.json, which is then not the filesystem's to make again.
	s=$(cat "$REMOVING" 2>/dev/null)
	[ -z "$s" ] || [ -e "$s/session.json" ] || rm -rf "$s"
done
all_is_true "after three times kill -9 in the middle"

for n in 1 2 3; do
	s=$(anyone "$SEED$n")
	mkdir "$s/.snapshots/then-$n"
	echo 'Not for long.' >"$s/messages/next.md"
	sed -i 's/"title": .*/"title": "Not for long",/' "$s/session.json"
	check "the session is restored" "$SCRIBEFS" restore "$s@then-$n"
done
check "more changes" work "$((SEED + 9))" 200
all_is_true "after restores of sessions"

check "a whole user as of the morning" "$SCRIBEFS" restore "$U/paul@morning"
all_is_true "after the restore of a user"
mkdir "$W/dst"
must "rsync of it all" rsync -a "$X/" "$W/dst/"
empty "a second one transfers nothing" "$(rsync -ai "$X/" "$W/dst/")"
remount
all_is_true "after a restart"
empty "and rsync transfers nothing" "$(rsync -ai "$X/" "$W/dst/")"
