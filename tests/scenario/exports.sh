#!/usr/bin/env bash
# exports/: each document against a plain recomputation from the files, before and after changes, restarts and
# hostile input; rsync, tail -f, rights, and that listing renders nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_mount
need_tool rsync getfattr setfattr tidy
setup

X=$MNT/exports
rendered() { getfattr --absolute-names --only-values -n user.scribefs.rendered "$X"; }
documents() { python3 "$HERE/exports_check.py" "$MNT" "$@"; }

# --- what is there, and what it says
s=$(session first)
printf 'Where does <b>this</b> go? See https://example.org/a\n' >"$s/messages/next.md"
printf -- '---\nrole: assistant\nagent: coder\nmodel: m-1\ntokens: 42\nid: answer-1\ntimestamp: 2026-11-20T10:00:00Z\n---\nHere:\n\n```c\nint x;\n```\n' >"$s/messages/next.md"
echo coder >"$s/agent"
echo 'reviewer # needs a look' >"$s/agent"
for i in $(seq 3 120); do
	printf -- '---\nrole: %s\n---\nMessage %d.\n' "$([ $((i % 2)) = 1 ] && echo user || echo assistant)" "$i"
done | python3 -c '
import sys
for i, text in enumerate(("---\nrole:" + t for t in sys.stdin.read().split("---\nrole:")[1:]), 3):
    open(f"{sys.argv[1]}/messages/next.md", "w").write(text)' "$s"
session empty >/dev/null
printf -- '---\nrole: tool\nagent: coder\nname: search-1\ntool_call_id: call "7"\n---\nFound.\n' >"$(session called)/messages/next.md"
same "the names in the root" "ann index.html pages sessions.json" "$(ls "$X" | tr '\n' ' ' | sed 's/ $//')"
same "the names of a session" \
	"agent.json chat_store.json history history.json memory.json messages.jsonl resume-emergency.md resume-full.md resume.md transcript.html transcript.json transcript.md transcript.txt" \
	"$(ls "$X/ann/chat/first" | tr '\n' ' ' | sed 's/ $//')"
same "pages of 50" "00000-00049.json 00050-00099.json 00100-00149.json" \
	"$(ls "$X/ann/chat/first/history" | tr '\n' ' ' | sed 's/ $//')"
check "every document says what the files say" documents
rm -r "$U/ann/chat/called"

check_not "nothing can be made in there" touch "$X/ann/chat/first/x"
check_not "nothing can be written" sh -c "echo x >>'$X/ann/chat/first/transcript.txt'"
check_not "nothing can be removed" rm -f "$X/ann/chat/first/transcript.txt"

# --- fresh after any change
echo 'another word' >>"$s/messages/003.md"
rm "$s/messages/004.md"
mv "$s/messages/005.md" "$s/messages/500.md"
sed -i 's/"title": ".*"/"title": "A title of its own"/' "$s/session.json"
check "after an edit, a removal, a rename and another title" documents
mv "$U/ann/chat" "$U/ann/talk"
check "after a rename of the workflow" documents
mv "$U/ann/talk" "$U/ann/chat"
echo 'being written' >>"$s/messages/006.md"
python3 - "$s/messages/006.md" "$X/ann/chat/first" <<'PY' && echo "ok: while a message is being written" || failed "while a message is being written"
import os, sys
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)  # a shell's echo would close it each time
for i in range(50):
    os.write(out, b"part %d.\n" % i)
    for name in "transcript.txt", "transcript.html":
        size = os.stat(f"{sys.argv[2]}/{name}").st_size
        text = open(f"{sys.argv[2]}/{name}", "rb").read()
        assert b"part %d." % i in text and len(text) == size, (name, i)
PY
python3 - "$s/messages/007.md" "$X/ann/chat/first/messages.jsonl" <<'PY' && echo "ok: two changes of one size in one moment" || failed "two changes of one size in one moment"
import sys
for i in range(200):
    text = f"{i:03d}\n"
    open(sys.argv[1], "w").write(text)
    assert f'"content":"{i:03d}\\n"' in open(sys.argv[2]).read(), i
PY

# --- tail -f
tail -n +1 -f "$X/ann/chat/first/transcript.txt" >"$W/followed" 2>&1 &
background $!
wait_for "tail has begun" grep -q 'being written' "$W/followed"
echo 'said later' >"$s/messages/next.md"
wait_for "tail -f shows a new message" grep -q 'said later' "$W/followed"
exec 9>>"$s/messages/501.md"
printf 'and go' >&9
wait_for "tail -f shows what is being written" grep -q 'and go' "$W/followed"
printf 'es on\n' >&9
wait_for "and what comes then" grep -q 'and goes on' "$W/followed"
exec 9>&-
kill "$!"
same "what it has shown is the document" "$(cat "$X/ann/chat/first/transcript.txt")" "$(cat "$W/followed")"

# --- copies, and what a restart must not cost
mkdir "$W/dst"
must "rsync of it all" rsync -a "$X/" "$W/dst/"
empty "a second one transfers nothing" "$(rsync -ai "$X/" "$W/dst/")"
check "what was copied is what is there" diff -r "$X" "$W/dst"
sleep 3 # what has just changed is not kept yet
find "$X" -type f -exec stat -c '%s %Y %i' {} + | sort >"$W/before"
remount
ls -R "$X" >/dev/null
find "$X" >/dev/null
same "listing renders nothing" 0 "$(rendered)"
find "$X/ann/chat/first" -type f -exec stat -c '%n' {} + >/dev/null
same "nor does stat of what was rendered before a restart" 0 "$(rendered)"
find "$X" -type f -exec stat -c '%s %Y %i' {} + | sort >"$W/after"
check "sizes, times and inode numbers outlive it" diff "$W/before" "$W/after"
empty "and rsync transfers nothing" "$(rsync -ai "$X/" "$W/dst/")"

# --- hidden and removed
mkdir -p "$U/ann/.trash/chat"
mv "$U/ann/chat/empty" "$U/ann/.trash/chat/"
check_not "a deleted session is not shown" ls "$X/ann/chat/empty"
check_not "nor .trash" ls "$X/ann/.trash"
check "nor listed" documents

# --- policies of the memory
setfattr -n user.scribefs.memory_size -v 5 "$U/ann"
check "memory_size is inherited" documents --memory-size 5
setfattr -n user.scribefs.memory_tokens -v 12 "$s"
check "memory_tokens" documents --memory-size 5 --memory-tokens 12
setfattr -x user.scribefs.memory_tokens "$s"
setfattr -x user.scribefs.memory_size "$U/ann"

# --- what is hostile
h=$(session 'a"<b>&'\''#?%')
python3 "$HERE/exports_hostile.py" "$h"
check "hostile messages" documents
check "their page runs nothing and is well-formed" python3 "$HERE/exports_html.py" "$X/ann/chat/"*/transcript.html "$X/index.html" \
	"$X/ann/index.html" "$X/ann/chat/index.html"
for page in "$X"/ann/chat/*/transcript.html "$X"/index.html; do
	tidy -q -e --drop-empty-elements no --warn-proprietary-attributes no "$page" >"$W/tidy" 2>&1
	[ $? -le 1 ] || failed "tidy finds errors in $page: $(grep Error "$W/tidy" | head -3)"
done
big=$(session big)
python3 -c 'open("'"$big"'/messages/next.md","w").write(("line of text\t\x1b[31m é\n" * 4 + "`" * 30 + "\n") * 900000)'
check "a message of 100 MB" documents --only big
rm -r "$big"

# --- what is kept with the sessions is no damage
find "$X" -type f -exec stat -c %s {} + >/dev/null
umount_store || die "umount"
check "fsck finds the store clean" timeout 300 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
