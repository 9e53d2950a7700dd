#!/bin/bash
# Nothing readable on disk: no name, title, message, user, attribute or target is in any file of the store.
. "$(dirname "$0")/lib.sh"
need_mount
setup
umount_store || die umount
"$SCRIBEFS" mount "$STORE" "$MNT" -f --key-file "$KEY" </dev/null >"$W/log" 2>&1 &
DAEMON=$!
disown $DAEMON
wait_for "the mount serves" test -d "$U"

WORDS=(zweihander obfuscate kumquat brouhaha xylophone gobbledygook flibbertigibbet rigmarole quixotic nincompoop
	whippersnapper lollygag cattywampus bumfuzzle taradiddle widdershins collywobbles)
W1=$U/${WORDS[0]}/${WORDS[1]}/${WORDS[2]}
mkdir -p "$W1/messages" "$W1/${WORDS[3]}"
printf -- '---\nid: %s\nrole: assistant\nagent: %s\n---\n%s says the %s\n' "${WORDS[4]}" "${WORDS[5]}" "${WORDS[6]}" \
	"${WORDS[7]}" >"$W1/messages/001.md"
echo "${WORDS[8]} ${WORDS[8]} ${WORDS[8]}" >"$W1/messages/next.md"
for _ in $(seq 20000); do echo "${WORDS[9]} of no randomness"; done >"$W1/${WORDS[3]}/${WORDS[10]}.txt"
ln -s "/home/${WORDS[11]}/somewhere" "$W1/link"
setfattr -n "user.${WORDS[12]}" -v "${WORDS[13]}" "$W1/${WORDS[3]}"
echo "${WORDS[14]}" >"$W1/agent"
python3 - "$W1/session.json" "${WORDS[15]}" "${WORDS[16]}" <<'PY'
import json, sys
info = json.load(open(sys.argv[1]))
info["title"] = sys.argv[2]
info["metadata"][sys.argv[3]] = sys.argv[3]
json.dump(info, open(sys.argv[1], "w"))
PY
same "the title is set" "${WORDS[15]}" "$(field "$W1/session.json" title)"
id=$(field "$W1/session.json" session_id)
mkdir -p "$W/words"
hex() { od -An -v -tx1 | tr -d ' \n'; }
printf '%s\n' "${WORDS[@]}" "$id" >"$W/words/list"
# The same as the base64 or the hexadecimal of it would be, and in two bytes a letter.
while read -r word; do
	printf '%s' "$word" | hex
	echo
	printf '%s' "$word" | base64 | cut -c1-8
done <"$W/words/list" >"$W/words/more"
cat "$W/words/list" "$W/words/more" >"$W/words/all"

leaks() {
	grep -r -a -i -l -F -f "$W/words/all" "$STORE" && return 0
	find "$STORE" | grep -i -F -f "$W/words/all" && return 0
	LC_ALL=C grep -r -a -l -F "$(printf '%s' "${WORDS[8]}" | sed 's/./&./g')" "$STORE"
}

sync -f "$U"
check_not "no word is in a store that is mounted" leaks
# What is deleted was written down all the same.
rm "$W1/messages/001.md"
mv "$W1/${WORDS[3]}/${WORDS[10]}.txt" "$W1/${WORDS[3]}/other"
kill9_daemon
detach_mount
check_not "none after kill -9" leaks
check_not "none in the log" grep -i -F -f "$W/words/all" "$W/log"
mount_store || die mount
check "all is there" grep -q "${WORDS[8]}" "$W1/messages/002.md"
umount_store || die umount
check_not "none in a store that was closed" leaks
check "the search itself works" bash -c "echo 'a $id b' >'$W/words/probe' && grep -r -a -q -F -f '$W/words/all' '$W/words/probe'"
# A key file is no secret once the store holds it.
key=$(hex <"$KEY" | cut -c1-32)
check_not "the key is not in the store" bash -c "$(declare -f hex); find '$STORE' -type f -exec cat {} + | hex | grep -q '$key'"
same "the store is its owner's alone" 700 "$(stat -c %a "$STORE")"
empty "no file of the store is anybody else's" "$(find "$STORE" -type f -perm /077)"
same "nor is the key file" 600 "$(stat -c %a "$KEY")"
