#!/usr/bin/env bash
# views/ and status/: every view and figure against a plain recomputation from users/: on few sessions with hostile titles, on 983 real ones,
# after random changes, renames, the trash, kill -9 and a restore; who sees what; and with the tools that people use.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_mount
need_tool rsync
setup -o allow_other

V=$MNT/views
views() { python3 "$HERE/views_check.py" "$MNT" "$@"; }
same "what is there at first" "agent day id interrupted recent state workflow" "$(ls "$V" | tr '\n' ' ' | sed 's/ $//')"

# --- a few sessions, hostile titles
mkdir -p "$U/ann/chat" "$U/bob/chat" "$U/ann/a b"
for i in $(seq 1 12); do
	s=$(session "s$i")
	echo "Session $i" >"$s/messages/next.md"
done
same "a link is a link to the session" "$(stat -c %i "$U/ann/chat/s12")" "$(stat -L -c %i "$V/recent/01 Session 12")"
check "cat through it" grep -q 'Session 12' "$V/recent/01 Session 12/messages/001.md"
check "every view, and the figures" views
python3 - "$U/ann/chat" <<'PY'
import json, sys
titles = ["a/b/../../etc/passwd", "two\nlines", "\u202egnp.exe", ".", "..", "-rf", "\x1b[2J", "é" * 300, "Same", "Same", "Same ~5", " "]
for i, title in enumerate(titles, 1):
    path = f"{sys.argv[1]}/s{i}/session.json"
    document = json.load(open(path))
    document["title"] = title
    json.dump(document, open(path, "w"))
PY
check "titles that try to break out" views
empty "no name has a control character or leaves its place" "$(find "$V" -print0 | tr '\0\n' '\n\1' | grep -aP '[\x00-\x1f]' | head -3)"
check "find -L comes to the sessions" sh -c "find -L '$V/state' -maxdepth 3 -name session.json | grep -c . | grep -qx 12"
same "ls -t sorts by activity" "$(ls "$V/recent" | cut -c4-)" "$(cd "$V/recent" && stat -c '%.9Y %i %n' ./* | sort -k1,1rn -k2,2n | sed 's|^[^/]*/...||')"
same "and so do the names" "$(ls -t "$V/recent")" "$(find "$V/recent" -mindepth 1 -printf '%f\n' | sort)"
check_not "nothing can be made in there" mkdir "$V/state/mine"
check_not "nor linked" ln -s x "$V/recent/x"
check_not "nor removed" rm "$V/recent/01 "*
check "rsync takes the links as they are" rsync -a "$V/" "$W/dst/"
empty "and a second one takes none" "$(rsync -ai "$V/" "$W/dst/" | grep -v '/$')"

# --- who sees what
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
	chmod 755 "$U"
	chown -R 21001 "$U/ann"
	chown -R 21002 "$U/bob"
	mkdir "$U/bob/chat/t" && chown 21002 "$U/bob/chat/t"
	chown -R 21002 "$U/bob/chat/t"
	as 21002 sh -c "echo Same >'$U/bob/chat/t/messages/next.md'"
	same "bob sees his own" "01 Same" "$(as 21002 ls "$V/recent")"
	same "and nothing of ann's" "Same" "$(as 21002 ls "$V/state/active")"
	empty "no workflow but his" "$(as 21002 ls "$V/workflow" | grep -v '^chat$')"
	check_not "no name of hers leads him anywhere" as 21002 ls -d "$V/recent/01 Session 12"
	same "ann sees hers" 12 "$(as 21001 ls "$V/id" | wc -l)"
	chmod -R go+rX "$U/ann"
	same "bob sees what she opens to him" 13 "$(as 21002 ls "$V/id" | wc -l)"
	check_not "the figures are the owner's of the mount" as 21002 cat "$MNT/status/stats.json"
	same "and tell others not even their size" 0 "$(as 21002 stat -c %s "$MNT/status/sessions.json")"
	chmod 700 "$U/ann"
	same "and no more when she closes it" 1 "$(as 21002 ls "$V/id" | wc -l)"
	chown -R 0 "$U"
fi

# --- status/ as a file
same "what is in it" "problems.json sessions.json stats.json" "$(ls "$MNT/status" | tr '\n' ' ' | sed 's/ $//')"
cp "$MNT/status/"*.json "$W/"
same "its sizes are exact" "$(stat -c %s "$W/stats.json" "$W/sessions.json")" "$(stat -c %s "$MNT/status/"{stats,sessions}.json)"
check_not "nothing can be written there" sh -c "echo >'$MNT/status/stats.json'"
same "total_size is what status says" "$("$SCRIBEFS" status "$MNT" --json >"$W/s.json" && field "$W/s.json" bytes)" \
	"$(field "$MNT/status/stats.json" total_size)"
must "a backup" mkdir "$MNT/backups/one"
same "is counted" 1 "$(field "$MNT/status/stats.json" backup_count)"

# --- interrupted: a writer whose daemon dies
exec 9>"$U/ann/chat/s3/notes"
echo x >&9
kill9_daemon
exec 9>&-
detach_mount
must "it mounts again" mount_store -o allow_other
same "the session is among the interrupted" "$(field "$U/ann/chat/s3/session.json" title | sed 's/[^a-z]//g')" \
	"$(ls "$V/interrupted" | sed 's/[^a-z]//g')"
check "every view after kill -9" views

# ... and one that has waited for an answer for an hour, as a restore brings it back
s=$(session waits)
ago=$(date -u -d '1 hour ago' +%Y-%m-%dT%H:%M:%S)
printf -- '---\ntimestamp: %s.000Z\n---\nIs anybody there?\n' "$ago" >"$s/messages/next.md"
cat "$s/session.json" >/dev/null
cp -a "$s" "$W/waits"
rm -r "$s"
sed -i 's/"\(updated_at\|created_at\)": "[^"]*"/"\1": "'"$ago"'.000Z"/' "$W/waits/session.json"
rsync -a "$W/waits/" "$s/"
check "and one that waits for an answer" ls -d "$V/interrupted/Is anybody there?"
printf -- '---
role: assistant
---
Yes.\n' >"$s/messages/next.md"
check_not "until it has got one" ls -d "$V/interrupted/Is anybody there?"

# --- random changes, and a restore
check "random changes" python3 "$HERE/views_work.py" "$U" 1 150
check "every view after them" views
one=$(find "$U" -mindepth 3 -maxdepth 3 -type d -not -path '*/.*' | head -1)
mkdir "$one/.snapshots/then"
sed -i 's/"title": .*/"title": "After",/' "$one/session.json"
views >/dev/null
check "a restore" "$SCRIBEFS" restore "$one@then"
check "every view after it" views
remount -o allow_other
check "every view after a restart" views

# --- real ones
if [ -x "$SHARED/samples/split-aider.py" ]; then
	must "983 real sessions" "$SHARED/samples/split-aider.py" "$U"
	check "every view of them" views
	same "nobody waits for an answer in an archived one" 0 "$(find "$V/interrupted" -lname '*/aider/*' | wc -l)"
	for seed in 3 4; do
		check "random changes" python3 "$HERE/views_work.py" "$U" $seed 150
		check "every view after them" views --bulk
	done
	kill9_daemon
	detach_mount
	must "it mounts again" mount_store -o allow_other
	check "every view after kill -9" views
fi
