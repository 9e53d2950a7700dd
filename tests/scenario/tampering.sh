#!/bin/bash
# A store that somebody changes behind our back: never wrong bytes, one line, an error for what is hit, all else there.
# TRIALS, MINUTES: how many changes are tried in a process that opens the store itself, and for how long at most.
# BYTES=1: and every byte of all small files.
. "$(dirname "$0")/lib.sh"
need_mount
TAMPER=${TAMPER:-$(dirname "$SCRIBEFS")/tests/tamper/tamper}
[ -x "$TAMPER" ] || skip "no program at $TAMPER"
setup
check "changes of files and records are harmless or told" "$TAMPER" --trials "${TRIALS:-400}" --minutes "${MINUTES:-0.4}" \
	${BYTES:+--bytes "$BYTES"} ${SEED:+--seed "$SEED"}
sed 's/^/    /' "$W/.out"

# ---- the daemon itself --------------------------------------------------------------------------
S=$(session one)
for i in $(seq 12); do echo "message $i" >"$S/messages/next.md"; done
for i in $(seq 6); do head -c 400000 /dev/urandom >"$S/big$i"; done
echo "a note" >"$S/note"
(cd "$U" && find . -type f ! -name session.json -exec sha256sum {} + | sort) >"$W/before"
umount_store || die umount
cp -a "$STORE" "$W/good"
fresh() { rm -rf "$STORE" && cp -a "$W/good" "$STORE"; }
# flip FILE PLACE: a bit of the byte at so many hundredths.
flip() {
	python3 - "$1" "$2" <<-'PY'
		import os, sys
		with open(sys.argv[1], "r+b") as f:
		    at = os.path.getsize(sys.argv[1]) * int(sys.argv[2]) // 100
		    f.seek(at)
		    byte = f.read(1)[0]
		    f.seek(at)
		    f.write(bytes([byte ^ 16]))
	PY
}
fsck_says() {
	timeout 60 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY" </dev/null >"$W/.fsck" 2>&1
	same "$1: fsck" "$2" "$?"
}

# A block of data.
fresh
flip "$(ls -S "$STORE"/db/*.sst | head -1)" 50
"$SCRIBEFS" mount -f "$STORE" "$MNT" --key-file "$KEY" </dev/null >"$W/log" 2>&1 &
DAEMON=$!
background $DAEMON
wait_for "a store with a flipped bit in its data is mounted" mountpoint -q "$MNT"
(cd "$U" && find . -type f ! -name session.json -exec sha256sum {} + 2>"$W/errors" | sort) >"$W/after"
empty "no file reads other bytes" "$(comm -13 "$W/before" "$W/after")"
# A block of the table holds one chunk or two.
hit=$(comm -23 "$W/before" "$W/after" | wc -l)
check "one file is hit or two, all others are there ($hit)" test "$hit" -ge 1 -a "$hit" -le 2
check "it is an input/output error" grep -q 'Input/output error' "$W/errors"
lines=$(wc -l <"$W/log")
check "the log says so, in few lines ($lines)" test "$lines" -ge 1 -a "$lines" -le 4
check "it is unmounted" umount_store
wait $DAEMON
same "and the daemon ends well" 0 $?
fsck_says "a flipped bit in data" 4

# The engine's own files, and the keyring.
for file in CURRENT MANIFEST keyring; do
	fresh
	path=$(find "$STORE" -name "$file*" -type f | head -n 1)
	flip "$path" 30
	refused "a flipped bit in $file refuses the mount" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
	rm "$path"
	refused "so does $file that is gone" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY"
done
fresh
truncate -s 0 "$STORE/mark"
"$SCRIBEFS" mount -f "$STORE" "$MNT" --key-file "$KEY" </dev/null >"$W/log" 2>&1 &
background $!
wait_for "a store whose mark is lost is mounted" mountpoint -q "$MNT"
same "with one line" "1 1" "$(wc -l <"$W/log") $(grep -c 'mark .* was lost' "$W/log")"
(cd "$U" && find . -type f ! -name session.json -exec sha256sum {} + | sort) >"$W/after"
check "and all is there" cmp "$W/before" "$W/after"
umount_store || die umount
fsck_says "the store after that" 0

# A backup.
mount_store || die mount
"$SCRIBEFS" backup create "$MNT" kept >/dev/null || failed "a backup"
umount_store || die umount
B=$STORE.backups/kept
check "a good backup is verified" "$SCRIBEFS" backup verify "$STORE.backups" kept
rm -rf "$STORE" # nobody else has its files
# The mark of a backup says nothing that its `complete` does not.
find "$B" -type f ! -name lock ! -name verified ! -name mark | while IFS= read -r path; do
	[ -s "$path" ] || continue
	cp -a "$path" "$W/file"
	flip "$path" 60
	"$SCRIBEFS" backup verify "$STORE.backups" kept </dev/null >"$W/.out" 2>&1
	[ $? = 1 ] || echo "${path#"$B/"}"
	rm -f "$path"
	cp -a "$W/file" "$path"
done >"$W/missed"
empty "a flipped bit in any file of a backup is found" "$(cat "$W/missed")"
