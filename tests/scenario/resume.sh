#!/usr/bin/env bash
# context.json: its shape and a schema's verdict; the four checks; resume*.md fresh and bounded; `scribefs resume` of
# paths, names, ids and the past; the file `agent`.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_mount
need_tool getfattr git
python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
setup

X=$MNT/exports
P=$W/project
mkdir -p "$P/src"
echo 'int a;' >"$P/src/a.c"
echo 'int b;' >"$P/src/b.c"
git -C "$P" init -q -b main
sha() { sha256sum "$1" | cut -c1-64; }
resume() { (cd "$MNT" && timeout 60 "$SCRIBEFS" resume "$@"); }
json() { python3 -c 'import json, sys; v = json.load(sys.stdin)
for k in sys.argv[1:]: v = v[int(k) if isinstance(v, list) else k]
print(v if isinstance(v, str) else json.dumps(v))' "$@"; }
has() { grep -qF -e "$2" "$1"; }

# --- the shape
s=$("$SCRIBEFS" new "$U/ann/chat" --title 'Port the parser')
n=$(basename "$s")
check "a validator and the mount agree on documents" python3 "$HERE/context_schema.py" "$ROOT/tools/context.schema.json" \
	"$s/context.json" "${SEED:-1}" 400
grep documents "$W/.out"
echo '{"state": {"nextSteps": "go"}, "mine": 1}' >"$s/context.json"
same "a save that breaks it is kept" '{"state": {"nextSteps": "go"}, "mine": 1}' "$(cat "$s/context.json")"
same "with the field and the reason" "state.nextSteps: must be an array" "$(xattr "$s/context.json" reason)"
same "and it stands in status/" "ann/chat/$n state.nextSteps: must be an array 1" \
	"$(field "$MNT/status/problems.json" problems 0 path) $(field "$MNT/status/problems.json" problems 0 reason) $(field "$MNT/status/problems.json" total)"
empty "which is not listed" "$(getfattr --absolute-names -d "$s/context.json" 2>/dev/null | grep reason)"
check "resume.md tells of it" has "$X/ann/chat/$n/resume.md" "state.nextSteps: must be an array"

# --- a realistic one
context() { # step, completed…
	local step=$1 completed
	shift
	completed=$(printf '"%s",' "$@")
	cat <<-JSON
		{"agent": {"type": "coder", "capabilities": ["c"]},
		 "context": {"currentTask": {"id": "T-7", "title": "Port the parser", "status": "in progress"},
		  "currentPhase": "implementation", "workingDirectory": "$P",
		  "activeFiles": [{"path": "src/a.c", "sha256": "$(sha "$P/src/a.c")"}, "src/b.c"],
		  "conversationSummary": "We chose a hand-written parser.", "keyDecisions": ["recursive descent"]},
		 "state": {"completedSteps": [${completed%,}], "currentStep": "$step",
		  "nextSteps": ["tests", {"title": "docs", "dependencies": ["tests", "src/a.c"]}], "blockers": [], "progress": 40},
		 "codeContext": {"workingBranch": "main"}}
	JSON
}
printf 'Please port the parser.\n' >"$s/messages/next.md"
printf -- '---\nrole: assistant\n---\nThe lexer is done.\n```\n## OWNED\n' >"$s/messages/next.md"
context grammar lexer >"$s/context.json"
md=$X/ann/chat/$n/resume.md
for text in '- Task: Port the parser' '- Progress: 40' '- Last action: lexer' '  1. tests' '- Phase: implementation' \
	'We chose a hand-written parser.' '- recursive descent' 'Please port the parser.' 'Ask before you go on.'; do
	check "resume.md says: $text" has "$md" "$text"
done
check "the full one has all messages and the files" has "$X/ann/chat/$n/resume-full.md" "sha256 $(sha "$P/src/a.c")"
size=$(stat -c %s "$md")
same "its size is exact" "$size" "$(wc -c <"$md")"
context semantics lexer grammar >"$s/context.json"
check "it is fresh after a change of context.json alone" has "$md" '- Current step: semantics'
same "and its size is" "$(stat -c %s "$md")" "$(wc -c <"$md")"
context grammar lexer >"$s/context.json"
python3 - "$s/messages/next.md" <<-'PY'
	import sys
	open(sys.argv[1], "w").write("`*_<" * 30000)
PY
same "an emergency is 2,000 characters at most" "" \
	"$(python3 -c 'import sys; n = len(open(sys.argv[1], encoding="utf-8").read()); print("" if n <= 2000 else n)' \
		"$X/ann/chat/$n/resume-emergency.md")"
rm "$s/messages/003.md"
remount
check "it says the same after a restart" has "$md" '- Current step: grammar'

same "no problem is left" 0 "$(field "$MNT/status/problems.json" total)"

# --- the checks
context_check() { "$SCRIBEFS" context check "$@" >"$W/told" 2>&1; }
told() { grep -qE -e "$1" "$W/told"; }
check "nothing has changed" context_check "$s"
touch -d '+2 seconds' "$P/src/b.c"
echo 'int a2;' >>"$P/src/a.c"
check "changed files are no failure" context_check "$s"
check "they are told, with the time" told '^  modified src/a\.c \([0-9:]{5}\)$'
check "by time where there is no hash" told 'modified src/b.c'
rm "$P/src/b.c"
check "a file that was removed is none" context_check "$s" --json
same "but is told" "removed src/b.c" "$(json checks 1 findings 1 <"$W/told")"
mkdir "$W/elsewhere"
check_not "a dependency that is not there is a failure" context_check "$s" --root "$W/elsewhere"
check "and told" told 'docs needs src/a.c, which is neither'
check "with the way to the emergency" told 'resume --emergency'
git -C "$P" symbolic-ref HEAD refs/heads/other
check_not "another branch is a failure" context_check "$s"
check "and told" told 'branch other is checked out, not main'
git -C "$P" symbolic-ref HEAD refs/heads/main
sed -i 's/"blockers": \[\]/"blockers": ["no compiler"]/' "$s/context.json"
check_not "a blocker is a failure" context_check "$s"
check "and told" told 'blocker: no compiler'
context grammar lexer grammar >"$s/context.json"
check_not "a step that is current and completed is a failure" context_check "$s"
echo '{"state": {"progress": []}}' >"$s/context.json"
check_not "a broken shape is a failure" context_check "$s"
check "and told" told 'state.progress: must be'
context grammar lexer >"$s/context.json"
refused "a session without a context" "$SCRIBEFS" context check "$(session bare)"
check_not "no other verb of context" "$SCRIBEFS" context make "$s"

# --- resume
same "a path" "$(cat "$md")" "$(resume "$s" --quick 2>/dev/null)"
same "quick while it is young" "$(cat "$md")" "$(resume "$s" 2>/dev/null)"
same "something in it" "$(cat "$md")" "$(resume "$s/messages/001.md" 2>/dev/null)"
same "its name" "$(cat "$md")" "$(resume "$n" 2>/dev/null)"
printf -- '---\nrole: assistant\ntimestamp: 2020-01-01T00:00:00Z\n---\nLong ago.\n' >"$(session old)/messages/next.md"
check "full when it is old" sh -c "cd '$MNT' && '$SCRIBEFS' resume users/ann/chat/old | grep -q 'All messages'"
same "the emergency" "$(cat "$X/ann/chat/$n/resume-emergency.md")" "$(resume "$n" --emergency 2>/dev/null)"
check "full tells which files have changed" sh -c "cd '$MNT' && '$SCRIBEFS' resume $n --full | grep -q 'removed src/b.c'"
resume "$n" --json >"$W/json"
same "JSON: success" success "$(json status <"$W/json")"
same "the summary" "We chose a hand-written parser." "$(json contextSummary <"$W/json")"
same "the next steps" '["tests", "docs"]' "$(json nextSteps <"$W/json")"
same "the warnings" '["removed src/b.c"]' "$(json warnings <"$W/json")"
same "the task" "Port the parser" "$(json taskContext task <"$W/json")"
same "how far it is, as a number" 40 "$(python3 -c 'import json, sys; v = json.load(open(sys.argv[1]))["progress"]; print(v + 0)' "$W/json")"
resume "$n" --json --task docs --from-step tests >"$W/json"
same "of another task" '["tests", "src/a.c"]' "$(json taskContext dependencies <"$W/json")"
same "from a step on" '["tests", "docs"]' "$(json nextActions <"$W/json")"
same "by its place" tests "$(resume "$n" --json --from-step 3 | json currentStep)"
refused "no such step" "$SCRIBEFS" resume "$s" --from-step nine
refused "no such task" "$SCRIBEFS" resume "$s" --task nine
same "without a context: partial" partial "$(resume old --json | json status)"
check_not "without anything: failed" "$SCRIBEFS" resume "$U/ann/chat/bare" --json
same "  which says so" failed "$(json status <"$W/.out")"
for word in "exports/ann/chat/$n" "exports/ann/chat/$n/" "exports/ann/chat/$n/history" "$X/ann/chat/$n/transcript.md" \
	"ann/chat/$n" "$(field "$s/session.json" session_id)" "$MNT/views/id/$(field "$s/session.json" session_id)" \
	"views/id/$(field "$s/session.json" session_id)/" "views/state/active/Port the parser" \
	"views/state/active/Port the parser/messages/001.md" "$(field "$s/session.json" session_id | tr '[:lower:]' '[:upper:]')"; do
	same "${word/%-????-????-????-????????????*/}" "$s" "$(resume "$word" --json | json session)"
done
same "a folder of exports/ is the one that it mirrors" "$(resume users/ann/chat --json | json session)" \
	"$(resume exports/ann/chat/sessions.json --json | json session)"
check_not "no such session" resume "$U/ann/chat/none" --json
same "  which says so" failed "$(json status <"$W/.out")"
for word in NOPE 00000000-0000-4000-8000-000000000000 exports/ann/chat/none "$P" users/ann/none; do
	resume "$word" --json >"$W/json" 2>"$W/err"
	status=$?
	same "no such session: $(basename "$word")" "1 failed $(sed 's/^scribefs: //' "$W/err")" "$status $(json status <"$W/json") $(json error <"$W/json")"
done
resume "$s" --json --from-step nine >"$W/json" 2>/dev/null
same "no such step" failed "$(json status <"$W/json")"
"$SCRIBEFS" context check "$U/ann/chat/bare" --json >"$W/json" 2>/dev/null
same "nothing to check" "failed $U/ann/chat/bare has no context.json" "$(json status <"$W/json") $(json error <"$W/json")"
refused "no such session" "$SCRIBEFS" resume "$U/ann/chat/none"
refused "no session" "$SCRIBEFS" resume "$P/src/a.c"
check_not "two forms" "$SCRIBEFS" resume "$s" --quick --full

# --- the newest, those that were interrupted first
other=$(session other)
printf -- '---\nrole: assistant\n---\nDone.\n' >"$other/messages/next.md"
same "the newest" "$other" "$(resume --json | json session)"
same "the newest of a workflow" "$other" "$(resume users/ann/chat --last --json | json session)"
exec 7>"$s/notes"
kill9_daemon
exec 7>&- 2>/dev/null
detach_mount
mount_store || die "mount after a kill"
same "the interrupted one first" "$s" "$(resume --json | json session)"
check "whose document says so" has "$md" '**Interrupted**'
same "the attribute" daemon "$(xattr "$s" interrupted)"

# --- the past
mkdir "$s/.snapshots/before" "$U/ann/.snapshots/all"
cp "$md" "$W/then.md"
cp "$X/ann/chat/$n/transcript.txt" "$W/then.txt"
sleep 1.1 # recovery ids count seconds
context tests lexer grammar >"$s/context.json"
echo 'And now?' >"$s/messages/next.md"
check "the present is another" sh -c "! cmp -s '$md' '$W/then.md'"
for at in before all; do
	same "resume.md as of $at" "$(cat "$W/then.md")" "$(cat "$X/ann/chat/$n@$at/resume.md")"
	same "transcript.txt as of $at" "$(cat "$W/then.txt")" "$(cat "$X/ann/chat/$n@$at/transcript.txt")"
	for name in "$X/ann/chat/$n@$at"/*; do
		same "the size of $(basename "$name")" "$(stat -c %s "$name")" "$(wc -c <"$name")"
	done
done
empty "it is not listed" "$(find "$X/ann/chat" -name '*@*')"
check_not "no such moment" ls "$X/ann/chat/$n@never"
check_not "nothing can be made in there" mkdir "$X/ann/chat/$n@before/x"
same "a snapshot by its name" "$(cat "$W/then.md")" "$(resume "$s@before" --quick 2>/dev/null)"
id=$("$SCRIBEFS" snapshot list "$s" --json | python3 -c 'import json, sys
print(next(s["recovery_id"] for s in json.load(sys.stdin)["snapshots"] if s["name"] == "before"))')
for word in "ann/chat/$n@before" "$X/ann/chat/$n@before/resume.md" "$(field "$s/session.json" session_id)@before" \
	"views/id/$(field "$s/session.json" session_id)@before"; do
	same "by $(echo "$word" | tr -cd '/@a-z')" "$(cat "$W/then.md")" "$(resume "$word" --quick 2>/dev/null)"
done
same "and by its recovery id" "$(cat "$W/then.md")" "$(resume "$id" --quick 2>/dev/null)"
same "below a path" "$(cat "$W/then.md")" "$(resume "$MNT/$id" --quick 2>/dev/null)"
day=${n#SESSION-}
# Snapshots of one second have ids of their own.
mkdir "$s/.snapshots/twin-a" "$s/.snapshots/twin-b" "$s/.snapshots/twin-c"
"$SCRIBEFS" snapshot list "$s" --json | python3 -c 'import json, sys
for s in json.load(sys.stdin)["snapshots"]:
    if s["name"].startswith("twin-"):
        print(s["name"], s["recovery_id"])' >"$W/twins"
same "each of three has an id" 3 "$(cut -d " " -f 2 "$W/twins" | sort -u | wc -l)"
while read -r twin twin_id; do
	same "$twin by its id" "$(stat -c %i "$s/.snapshots/$twin")" "$(stat -c %i "$s/.snapshots/$twin_id")"
	check "resume takes it" resume "$twin_id" --quick
	rmdir "$s/.snapshots/$twin_id"
	check_not "and rmdir did" test -d "$s/.snapshots/$twin"
done <"$W/twins"
resume "CONTINUATION-$day-grammar" --json >"$W/json"
same "a step of the past is where it was the current one" grammar "$(json currentStep <"$W/json")"
check "in a snapshot" json snapshot <"$W/json"
resume "CONTINUATION-$day-tests" --json >"$W/json"
same "a step that is current is now" tests "$(json currentStep <"$W/json")"
check_not "in no snapshot" json snapshot <"$W/json"
refused "a step that never was" sh -c "cd '$MNT' && '$SCRIBEFS' resume CONTINUATION-$day-nothing"
refused "a recovery id that never was" sh -c "cd '$MNT' && '$SCRIBEFS' resume RECOVERY-260101-001-000000"
mv "$s" "$U/ann/chat/renamed"
same "a session that was renamed, as of then" "$(cat "$W/then.md" | head -1)" \
	"$(head -1 "$X/ann/chat/renamed@before/resume.md")"
rm -r "$U/ann/chat/renamed"
same "a session that is no more, in a snapshot of its user" "$(cat "$W/then.md")" "$(resume "$s@all" --quick 2>/dev/null)"
rmdir "$U/ann/.snapshots/all"
check_not "a snapshot that is no more" cat "$X/ann/chat/$n@all/resume.md"

# --- agents
a=$(session agents)
history() { field "$a/session.json" agent history; }
echo coder >"$a/agent"
same "the first name is no switch" "coder 0" "$(field "$a/session.json" agent current) $(field "$a/session.json" agent switch_count)"
echo coder >"$a/agent"
same "nor is the same again" 0 "$(field "$a/session.json" agent switch_count)"
echo 'agent: reviewer # wants a look' >"$a/agent"
same "a switch, with its reason" "coder reviewer wants a look" \
	"$(field "$a/session.json" agent history 0 from) $(field "$a/session.json" agent history 0 to) $(field "$a/session.json" agent history 0 reason)"
echo '{"agent": "tester", "reason": "now the tests"}' >"$a/agent"
same "as JSON" "tester now the tests" "$(field "$a/session.json" agent current) $(field "$a/session.json" agent history 1 reason)"
sed 's/"current": "tester"/"current": "writer"/' "$a/session.json" >"$W/edited"
cp "$W/edited" "$a/session.json"
same "an edit of session.json" "writer 3" "$(field "$a/session.json" agent current) $(field "$a/session.json" agent switch_count)"
same "from and to" "tester writer" "$(field "$a/session.json" agent history 2 from) $(field "$a/session.json" agent history 2 to)"
for bad in '{"agent": 1}' '' '# nobody' $'\001'; do
	printf '%s\n' "$bad" >"$a/agent"
done
same "what names nobody switches to nobody" "writer 3" "$(field "$a/session.json" agent current) $(field "$a/session.json" agent switch_count)"
same "exports/ says the same" 3 "$(field "$X/ann/chat/agents/agent.json" switch_count)"
cp -a "$a" "$W/copy"
rm -r "$a"
cp -a "$W/copy" "$a"
same "a restore adds none" "writer 3" "$(field "$a/session.json" agent current) $(field "$a/session.json" agent switch_count)"
