#!/bin/bash
# No name, title, message, user, attribute or target is in any file of the store, in the log or in an error, nor a
# plain hash of one; and no key anywhere but in the daemon's locked pages.
. "$(dirname "$0")/lib.sh"
need_mount
setup
umount_store || die umount
serve() { # in the foreground, with its log in $W/log
	"$SCRIBEFS" mount "$STORE" "$MNT" -f --key-file "$KEY" -o log=debug "$@" </dev/null >>"$W/log" 2>&1 &
	DAEMON=$!
	disown $DAEMON
	wait_for "the mount serves" test -d "$U"
}
scan() { python3 "$HERE/leaks_scan.py" "$@"; }
serve

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

# ---- plain hashes; what is kept outside of the store; the log of a store that is damaged -----------
{ cat "$W/words/list" && printf '%s\n' "${WORDS[6]} says the ${WORDS[7]}" "${WORDS[10]}.txt" "/home/${WORDS[11]}/somewhere" \
	"user.${WORDS[12]}" "${WORDS[8]} ${WORDS[8]} ${WORDS[8]}"; } >"$W/words/texts"
check_not "no plain hash of a word is in the store" scan words "$W/words/texts" "$STORE" "$XDG_STATE_HOME"
mkdir "$W/probe"
for hash in sha256sum sha1sum md5sum b2sum; do
	printf %s "${WORDS[4]}" | "$hash" | cut -d' ' -f1 >"$W/probe/file"
	check "the search finds a $hash" scan words "$W/words/texts" "$W/probe"
	python3 -c '
import sys
open(sys.argv[2], "wb").write(bytes.fromhex(open(sys.argv[1]).read()))' "$W/probe/file" "$W/probe/raw"
	rm "$W/probe/file"
	check "and its bytes" scan words "$W/words/texts" "$W/probe"
done
cp -a "$STORE" "$W/good"
for table in "$STORE"/db/*.sst; do
	python3 - "$table" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    data = bytearray(f.read())
    for at in range(200, len(data) // 2, 997):
        data[at] ^= 1
    f.seek(0)
    f.write(data)
PY
done
: >"$W/log"
errors() { # what programs and the daemon say of it
	(cd / && find "$U" -type f -exec cat {} + >"$W/.out"
	getfattr -R -d -m- "$U" >"$W/.out"
	timeout 60 "$SCRIBEFS" status "$MNT" >"$W/.out") 2>"$W/errors"
	! grep -q 'Input/output error' "$W/errors" || [ -s "$W/log" ]
}
if timeout 60 "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" -o log=debug,log_to=stderr </dev/null >"$W/log" 2>&1; then
	check "an error is told in the log too" errors
	umount_store
fi
check "a damaged store says something" test -s "$W/log"
check_not "and no word" grep -i -F -f "$W/words/all" "$W/log"
check_not "nor a hash of one" scan words "$W/words/texts" "$W/log"
rm -rf "$STORE"
mv "$W/good" "$STORE"

# ---- keys ------------------------------------------------------------------------------------------
PRINT_KEYS=$(dirname "$SCRIBEFS")/tests/kv/print_keys
[ -x "$PRINT_KEYS" ] || die "no $PRINT_KEYS: ninja -C $(dirname "$SCRIBEFS") meson-test-prereq"
reads_memory() { python3 -c 'import sys; open("/proc/%s/mem" % sys.argv[1], "rb", 0)' "$1"; }
serve
for user in ben cyd dan; do # new keys, and work with each, so that every thread has had them
	mkdir -p "$U/$user/chat/s"
	for i in $(seq 40); do echo "$i $(head -c 500 /dev/urandom | base64)" >"$U/$user/chat/s/messages/next.md"; done &
done
wait
sync -f "$U"
grep -r "${WORDS[8]}" "$U" >"$W/.out"
"$PRINT_KEYS" "$STORE" "$KEY" >"$W/keys"
same "there is a key for each user, and more" 5 "$(grep -c ' domain$' "$W/keys")"
if [ "$(id -u)" = 0 ] && reads_memory "$DAEMON" 2>/dev/null; then
	check_not "no key is in the daemon's memory but in pages that are locked and in no core" \
		scan memory "$W/keys" "$DAEMON"
	unprivileged=(setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace)
	if "${unprivileged[@]}" true 2>/dev/null; then
		check_not "its memory is closed to other processes of the same user" \
			"${unprivileged[@]}" python3 -c 'import sys; open("/proc/%s/mem" % sys.argv[1], "rb", 0)' "$DAEMON"
	fi
else
	check_not "its memory is closed to other processes of the same user" reads_memory "$DAEMON"
fi
umount_store
wait_for "the daemon has ended" gone "$DAEMON"
check_not "no key is in any file that is left" scan keys "$W/keys" "$STORE" "$XDG_STATE_HOME" "$TMPDIR" "$MNT" "$W/log"
check "the search finds one" scan keys "$W/keys" "$KEY"

# No core, whatever it dies of, and however much the limits allow.
check "no core dump of a daemon" python3 - "$SCRIBEFS" "$STORE" "$MNT" "$KEY" <<'PY'
import os, resource, signal, subprocess, sys, time
program, store, mountpoint, key = sys.argv[1:]
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
commands = [(name, [program, "mount", "-f", store, mountpoint, "--key-file", key])
            for name in ("SIGSEGV", "SIGQUIT", "SIGABRT")]
commands.append(("SIGSEGV", [program, "key", "add", store, "--key-file", key, "--new-passphrase-command", "sleep 9"]))
for name, command in commands:
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    for _ in range(200):
        if command[1] == "key" or os.path.isdir(mountpoint + "/users"):
            break
        time.sleep(0.05)
    time.sleep(0.5)
    p.send_signal(getattr(signal, name))
    _, status = os.waitpid(p.pid, 0)
    subprocess.run([program, "umount", "--dead", mountpoint])
    if not os.WIFSIGNALED(status) or os.WCOREDUMP(status):
        sys.exit(f"{command[1]}: {name}: status {status:#x}")
PY
