#!/usr/bin/env bash
# transcript.json has all of a session: `scribefs import` makes the same one of it; exact sizes, also of large files; what
# changes in any file is seen at once and after a restart; documents that nobody should trust.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_mount
need_tool getfattr setfacl
setup

X=$MNT/exports
there() { python3 "$HERE/treecmp.py" "$@"; }
# out SESSION: takes copies of the session and of its document, and removes it; back SESSION: imports and compares.
out() {
	local d=$X/${1#"$U"/}/transcript.json
	rm -rf "$W/copy" "$W/t.json"
	cp "$d" "$W/t.json"
	same "the size of the document of $(basename "$1")" "$(stat -c %s "$d")" "$(stat -c %s "$W/t.json")"
	cp -a "$1" "$W/copy"
	rm -r "$1"
}
back() {
	same "the path of $(basename "$1")" "$1" "$("$SCRIBEFS" import "$W/t.json" "$1" 2>&1)"
	check "all of $(basename "$1") is back" there "$W/copy" "$1"
	check "its session.json, byte for byte" cmp "$W/copy/session.json" "$1/session.json"
}

# --- everything that a session may hold
s=$(session full)
printf 'How?\n' >"$s/messages/next.md"
printf -- '---\nrole: assistant\nid: m-2\ntimestamp: 2026-01-02T03:04:05.678Z\n---\nSo.\n' >"$s/messages/next.md"
printf '\xff\xfe not UTF-8 \0 and a NUL' >"$s/messages/next.md"
: >"$s/messages/next.md"
printf 'a\0b "\\ \177 \xc3\xa9\xf0\x9f\x98\x80\r\n' >"$s/messages/next.md"
mkdir -p "$s/messages/archive"
echo old >"$s/messages/archive/001.md"
echo draft >"$s/messages/draft.txt"
echo coder >"$s/agent"
echo '{"state": {"nextSteps": ["go"]}}' >"$s/context.json"
printf '{"at": "2026-01-01T00:00:00Z"}\n' >"$s/annotations.jsonl"
sed -i 's/"current": "coder"/"current": "reviewer"/; s/"title": .*/"title": "Mine",/' "$s/session.json"
python3 "$HERE/zoo.py" "$s/attachments"
setfattr -n user.mine -v 'a value' "$s/messages/001.md"
setfattr -n user.mine -v 'another' "$s/session.json"
setfattr -n user.scribefs.keep -v 7 "$s"
chmod 640 "$s/messages/002.md"
ln "$s/context.json" "$s/context of then.json"
touch -d '2020-01-01 00:00:00.123456789' "$s/messages/001.md" "$s/annotations.jsonl"
touch -d '2021-01-01 00:00:00.987654321' "$s/attachments" "$s/messages" "$s"
sleep 1.1
out "$s"
check "it is JSON" python3 -m json.tool "$W/t.json"
back "$s"
same "who is at work" "reviewer coder 1" "$(for k in current file switch_count; do field "$s/session.json" agent $k; done | xargs)"
cat "$X/ann/chat/full/transcript.json" >"$W/again.json"
# (a message without a time of its own has its birth's, which a copy does not have, or else its mtime)
timeless() { sed 's/"timestamp":"[^"]*",//' "$1" | sha256sum; }
same "its document is the same again" "$(timeless "$W/t.json")" "$(timeless "$W/again.json")"
remount
check "and after a restart" there "$W/copy" "$s"

# --- in a workflow: the next session, with an id of its own while the other one is there
n=$("$SCRIBEFS" import "$W/t.json" "$U/ann/chat" 2>"$W/err")
check "the next session of a workflow" test -d "$n/messages/archive"
same "is a copy" "$(field "$s/session.json" session_id)" "$(field "$n/session.json" copied_from)"
same "standard input" 5 "$(find "$("$SCRIBEFS" import - "$U/ann/chat" <"$W/t.json")"/messages -maxdepth 1 -name '0*.md' | wc -l)"
refused "nothing is written over" "$SCRIBEFS" import "$W/t.json" "$s"
refused "a workflow that is not there" "$SCRIBEFS" import "$W/t.json" "$U/ann/nowhere/new"
check_not "no place of a session" "$SCRIBEFS" import "$W/t.json" "$U/ann/chat/full/attachments/new"
check_not "and nothing was left there" ls "$U/ann/chat/full/attachments/new"

# --- a change of any file is a change of the document, also one that no other document sees
d=$X/ann/chat/full/transcript.json
for change in "echo more >>'$s/annotations.jsonl'" "touch -d '2022-01-01' '$s/annotations.jsonl'" "chmod 600 '$s/annotations.jsonl'" \
	"setfattr -n user.x -v y '$s/annotations.jsonl'" "mv '$s/annotations.jsonl' '$s/renamed'" "rm '$s/renamed'" \
	"mkdir '$s/empty'" "setfattr -n user.x -v y '$s/messages/002.md'" "touch -d 2022-01-02 '$s/messages/002.md'"; do
	cp -p "$d" "$W/before.json"
	eval "$change"
	check_not "seen: $change" cmp -s "$d" "$W/before.json"
	same "its size" "$(stat -c %s "$d")" "$(wc -c <"$d")"
	check "its time" test "$d" -nt "$W/before.json"
done
for change in "echo 1234567 >'$s/note'" "echo 12345678 >'$s/note'"; do
	eval "$change"
	sleep 2.5 # the sizes of a session that is settled outlive the daemon
	stat "$X/ann/chat/full/"* >/dev/null
	remount
	same "after a restart" "$(stat -c %s "$d")" "$(wc -c <"$d")"
	check "with $change" grep -q "$(cat "$s/note")" "$d"
done

# --- large files: the size is known without reading them, and each window is rendered by itself
head -c 40000000 /dev/urandom >"$s/large"
truncate -s 30000001 "$s/holes"
printf end >>"$s/holes"
size=$(stat -c %s "$d")
same "the size with large files" "$size" "$(wc -c <"$d")"
same "the last bytes by themselves" ']}' "$(tail -c 4 "$d" | tr -d '\n')"
rm -r "$n"
out "$s"
back "$s"

# --- in a snapshot
mkdir "$s/.snapshots/then"
cp "$d" "$W/then.json"
echo changed >"$s/agent"
rm -r "$s/attachments"
# (the time of a snapshot's own directory is that of the snapshot)
same "as of a snapshot" "$(grep -v '"path":"\."' "$W/then.json" | sha256sum)" \
	"$(grep -v '"path":"\."' "$X/ann/chat/full@then/transcript.json" | sha256sum)"

# --- who could not read a file cannot read the document
if [ "$(id -u)" = 0 ]; then
	chmod -R go+rX "$s"
	same "readable with all" 44 "$(stat -c %a "$d" | cut -c2-)"
	chmod 600 "$s/large"
	same "and not without one" 00 "$(stat -c %a "$d" | cut -c2-)"
	same "which hides no other" 44 "$(stat -c %a "$X/ann/chat/full/transcript.txt" | cut -c2-)"
fi

# --- documents that nobody should trust
bad() {
	printf '%s' "$2" >"$W/bad.json"
	check_not "refused: $1" "$SCRIBEFS" import "$W/bad.json" "$U/ann/chat/bad"
	empty "  and nothing lies outside" "$(find "$W" "$MNT/users" -name 'owned*')"
	rm -rf "$U/ann/chat/bad"
}
head='{"format":"scribefs transcript 2","session":{"title":"x"},"messages":[],"files":['
bad "above" "$head"'{"path":"../owned","type":"file","text":"x"}]}'
bad "absolute" "$head"'{"path":"'"$W"'/owned","type":"file","text":"x"}]}'
bad "in the middle" "$head"'{"path":"a/../../owned","type":"file","text":"x"}]}'
bad "through a link" "$head"'{"path":"l","type":"symlink","target":"'"$W"'"},{"path":"l/owned","type":"file","text":"x"}]}'
bad "a link's other name" "$head"'{"path":"l","type":"symlink","target":".."},{"path":"x","type":"file","same_as":"l/../../bad2"}]}'
bad "a NUL in a path" "$head"'{"path":"a\u0000b","type":"file","text":"x"}]}'
bad "no path" "$head"'{"type":"file","text":"x"}]}'
bad "twice the same" "$head"'{"path":"a","type":"file","text":"x"},{"path":"a","type":"file","text":"y"}]}'
bad "half of a pair" "$head"'{"path":"a","type":"file","text":"\ud800"}]}'
bad "base64 that is none" "$head"'{"path":"a","type":"file","base64":"QQ=a"}]}'
bad "cut" "$head"'{"path":"a","type":"file"'
bad "more behind it" "$head"']} x'
bad "no session" '{"format":"scribefs transcript 2","messages":[]}'
bad "another format" '{"format":"scribefs transcript 3","session":{}}'
bad "no transcript" '[1, 2]'
bad "brackets" "$head$(printf '[%.0s' $(seq 1 5000))"
printf '%s' '{"format":"scribefs transcript 1","session":{"title":"Old"},
 "messages":[{"file":"messages/001.md","role":"user","content":"caf\u00e9 \ud83d\ude00\n"}], "later": [{"a": "]"}]}' >"$W/old.json"
check "one of the first format, and unknown members" "$SCRIBEFS" import "$W/old.json" "$U/ann/chat/older"
same "its message" "café 😀" "$(cat "$U/ann/chat/older/messages/001.md")"
same "its title" Old "$(field "$U/ann/chat/older/session.json" title)"

# --- real ones
if [ -x "$SHARED/samples/split-aider.py" ]; then
	must "real sessions" "$SHARED/samples/split-aider.py" "$W/aider"
	mkdir -p "$U/paul/aider"
	find "$W/aider/paul/aider" -mindepth 1 -maxdepth 1 | sort | awk 'NR % 8 == 0' | xargs cp -a -t "$U/paul/aider"
	cat "$U/paul/aider/"*/session.json >/dev/null
	sleep 1.1
	cp -a "$U/paul" "$W/paul"
	rsync -a "$X/paul/" "$W/exported/"
	rm -r "$U/paul/aider"
	mkdir "$U/paul/aider"
	for one in "$W/exported/aider"/*/; do
		[ -e "$one/transcript.json" ] || continue
		"$SCRIBEFS" import "$one/transcript.json" "$U/paul/aider/$(basename "$one")" >/dev/null || failed "import of $one"
	done
	check "all of them are back" there --no-top-times --no-dir-times "$W/paul" "$U/paul"
	same "how many" "$(find "$W/paul" -name '*.md' | wc -l)" "$(find "$U/paul" -name '*.md' | wc -l)"
fi
