#!/bin/bash
# A hundred processes at once: no message number twice, none missing, no append lost.
. "$(dirname "$0")/lib.sh"
setup

# Runs "$@" I for I in 1…100, all at once, and waits for them; their complaints land in $W/complaints.
hundred() {
	local i pids=()
	: >"$W/complaints"
	rm -f "$W/go"
	for i in $(seq 100); do
		{ while ! [ -e "$W/go" ]; do sleep 0.1; done; "$@" "$i"; } 2>>"$W/complaints" &
		pids+=($!)
	done
	touch "$W/go"
	wait "${pids[@]}"
	empty "none of the hundred complains" "$(head -3 "$W/complaints")"
}

one_session() {
	local n
	for n in 1 2 3 4 5; do
		echo "writer $1 message $n" >"$S/messages/next.md" || echo "writer $1: $n failed" >&2
	done
}

own_session() {
	local n dir=$U/ann/many/session-$1
	mkdir -p "$dir" || echo "mkdir failed" >&2
	for n in 1 2 3; do
		echo "writer $1 message $n" >"$dir/messages/next.md" || echo "writer $1: $n failed" >&2
	done
}

append() {
	local n
	for n in $(seq 40); do
		printf 'terminal %03d line %03d\n' "$1" "$n" >>"$F" || echo "append failed" >&2
	done
}

make_exclusive() { (set -C; echo "$1" >"$S/only-one") 2>/dev/null && echo "$1" >>"$W/winners"; }

names() { find "$1" -maxdepth 1 -type f -regextype egrep -regex ".*/[0-9]+\.md" -printf "%f\n" | sort; }
numbers() { seq "$1" | while read -r n; do printf '%03d.md\n' "$n"; done | sort; }

if ! plain; then
	S=$(session crowd)
	hundred one_session
	verify() {
		same "500 messages of 100 writers have the numbers 1 to 500 $1" "$(numbers 500)" "$(names "$S/messages")"
		same "each was written once $1" "$(for i in $(seq 100); do printf "writer $i message %d\n" 1 2 3 4 5; done | sort)" \
			"$(cat "$S/messages/"*.md | sort)"
		same "message_count is right $1" 500 "$(field "$S/session.json" message_count)"
	}
	verify "at once"
	check "each open file knows the name that it got" python3 "$HERE/next_names.py" "$S/messages" 20 10
	same "those are there too" "$(numbers 700)" "$(names "$S/messages")"

	hundred own_session
	for i in $(seq 100); do
		[ "$(names "$U/ann/many/session-$i/messages")" = "$(numbers 3)" ] || failed "numbers in session $i"
		[ "$(field "$U/ann/many/session-$i/session.json" message_count)" = 3 ] || failed "count of session $i"
	done
	same "a hundred sessions have ids of their own" 100 \
		"$(grep -h '"session_id"' "$U/ann/many"/*/session.json | sort -u | wc -l)"

	mkdir -p "$U/ann/made"
	new_session() { "$SCRIBEFS" new "$U/ann/made" >>"$W/made" || echo "new failed" >&2; }
	hundred new_session
	same "a hundred of scribefs new make a hundred sessions" 100 "$(sort -u "$W/made" | wc -l)"
	same "which are there" 100 "$(find "$U/ann/made" -mindepth 1 -maxdepth 1 -name 'SESSION-*' | wc -l)"
	same "with numbers from 001 to 100" "$(seq 100 | while read -r n; do printf '%03d\n' "$n"; done)" \
		"$(sed 's/.*-//' "$W/made" | sort)"
fi

S=$(session appended)
F=$S/log.txt
hundred append
same "4,000 appends of 100 processes are there, none torn" \
	"$(for i in $(seq 100); do for n in $(seq 40); do printf 'terminal %03d line %03d\n' "$i" "$n"; done; done)" \
	"$(sort "$F")"
F=$S/messages/001.md
touch "$F"
for i in 1 2; do
	append "$i" &
	background $!
	last=$!
done
wait "$last" "${BACKGROUND[@]}"
same "two terminals append to a message and lose nothing" 80 "$(sort -u "$F" | wc -l)"
hundred make_exclusive
same "of a hundred that make a file exclusively one wins" "$(cat "$W/winners")" "$(cat "$S/only-one")"

remount
same "the appends are there after a restart" 4000 "$(wc -l <"$S/log.txt")"
plain || {
	S=$U/ann/chat/crowd
	same "the messages are there after a restart" "$(numbers 700)" "$(names "$S/messages")"
	same "message_count is right after a restart" 700 "$(field "$S/session.json" message_count)"
	echo last >"$S/messages/next.md"
	same "the next number follows after a restart" last "$(cat "$S/messages/701.md")"
}
