#!/bin/bash
# scribefs fsck on stores on disk: clean ones, each kind of damage of the corpus, the engine's own files, kill -9.
# FULL=1: the whole corpus. KILLS: how often a repair is killed.
. "$(dirname "$0")/lib.sh"
need_mount
CORPUS=${CORPUS:-$(dirname "$SCRIBEFS")/tests/fsck/fsck_corpus}
[ -x "$CORPUS" ] || skip "no program at $CORPUS"
setup
KILLS=${KILLS:-12}

# ---- a store with something of everything --------------------------------------------------------
# Nothing comes back from snapshots here: rescue.sh has that.
"$SCRIBEFS" set autosnapshot=none user_autosnapshot=none store_autosnapshot=none "$U" >/dev/null || die "set"
S=$(session one)
for i in 1 2 3 4 5 6; do
	printf -- '---\nrole: %s\n---\nmessage %s\n' "$([ $((i % 2)) = 1 ] && echo user || echo assistant)" $i >"$S/messages/next.md"
done
echo notes >"$S/notes.txt"
echo '{"state":{"currentStep":"one"}}' >"$S/context.json"
mkdir -p "$S/d/e"
echo deep >"$S/d/e/deep"
head -c 300000 /dev/urandom >"$S/big"
ln "$S/big" "$S/d/big too"
python3 -c '
import sys
with open(sys.argv[1], "wb") as f:
    f.write(b"begin"); f.seek(9 << 20); f.write(b"end" * 30000)' "$S/sparse"
setfattr -n user.x -v y "$S/notes.txt"
setfattr -n user.z -v w "$S/notes.txt"
echo plain >"$U/ann/plain"
mkdir -p "$U/bob/chat/two" "$U/bob/chat/SESSION-261121-004"
echo "of bob" >"$U/bob/chat/two/messages/003.md"
cat "$S/session.json" >/dev/null
sed -i 's/"title": "[^"]*"/"title": "A title of mine"/' "$S/session.json"
cat "$S/session.json" >/dev/null
mkdir -p "$U/ann/load/many"
python3 - "$U/ann/load/many/messages" <<-'PY'
	import sys
	for i in range(1, 1501):
	    with open(f"{sys.argv[1]}/{i:03}.md", "w") as f:
	        f.write(f"message {i}\n" * (1 + i % 90))
PY
tree() { (cd "$U" && find . -type f ! -name session.json -exec sha256sum {} + | sort -k2); }
tree >"$W/before"
umount_store || die umount
GOOD=$W/good
cp -a "$STORE" "$GOOD"
cp -a "$XDG_STATE_HOME" "$W/good-state"

fsck() { timeout 300 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY" "$@" </dev/null >"$W/.fsck" 2>"$W/.fsck-err"; }
# status TEXT WANTED ARGUMENT…
status() {
	local text=$1 want=$2 got
	shift 2
	fsck "$@"
	got=$?
	if [ "$got" = "$want" ]; then
		echo "ok: $text: $(tail -n 1 "$W/.fsck" | cut -c1-160)"
	else
		failed "$text: status $got, $want expected"
		cat "$W/.fsck" "$W/.fsck-err" | head -30 | sed 's/^/    /'
		return 1
	fi
}
# With what was seen of it then, or it would be an older copy.
fresh() {
	rm -rf "$STORE" "${XDG_STATE_HOME:?}"
	cp -a "$GOOD" "$STORE" && cp -a "$W/good-state" "$XDG_STATE_HOME"
}
sums() { find "$STORE" -type f ! -name lock -exec sha256sum {} + | sort -k2; }

# ---- clean ---------------------------------------------------------------------------------------
BEFORE=$(sums)
status "a good store is clean" 0
status "a good store needs no repair" 0 --repair
same "and nothing was changed" "$BEFORE" "$(sums)"
empty "quiet where standard error is no terminal" "$(cat "$W/.fsck-err")"
init_store "$W/empty" "$W/empty-key" || die init
check "a store that was never mounted is clean" "$SCRIBEFS" fsck "$W/empty" --key-file "$W/empty-key"

# ---- could not run -------------------------------------------------------------------------------
head -c 32 /dev/urandom >"$W/other-key"
could_not() {
	local text=$1 got
	shift
	timeout 60 "$@" </dev/null >"$W/.fsck" 2>"$W/.fsck-err"
	got=$?
	same "$text: status" 8 "$got"
	same "$text: one line" 1 "$(wc -l <"$W/.fsck-err")"
	empty "$text: no output" "$(cat "$W/.fsck")"
}
could_not "a wrong secret" "$SCRIBEFS" fsck "$STORE" --key-file "$W/other-key"
could_not "no store there" "$SCRIBEFS" fsck "$W/nowhere" --key-file "$KEY"
could_not "no store there, --repair" "$SCRIBEFS" fsck "$W" --repair --key-file "$KEY"
mount_store || die mount
could_not "a store in use" "$SCRIBEFS" fsck "$STORE" --repair --key-file "$KEY"
umount_store || die umount
cp "$STORE/keyring" "$W/keyring"
printf 'x' | dd of="$STORE/keyring" bs=1 seek=100 conv=notrunc status=none
could_not "a damaged keyring" "$SCRIBEFS" fsck "$STORE" --repair --key-file "$KEY"
cp "$W/keyring" "$STORE/keyring"

# ---- the corpus: what is found, mended, left ------------------------------------------------------
at=0
while read -r name fate; do
	# The unit tests do all of them, on the memory engine; FULL=1 does so here.
	at=$((at + 1))
	[ -n "${FULL:-}" ] || [ $((at % 4)) = 1 ] || continue
	fresh
	"$CORPUS" "$STORE" "$KEY" "$name" 1 2>/dev/null || "$CORPUS" "$STORE" "$KEY" "$name" ||
		{ failed "the corpus cannot do $name"; continue; }
	fsck
	found=$?
	fsck --repair --json
	mended=$?
	line=$(python3 - "$W/.fsck" <<-'PY'
		import json, sys
		r = json.load(open(sys.argv[1]))
		assert r["repair"] is True and r["found"] == len(r["problems"]) > 0
		assert r["mended"] == len(r.get("repairs", [])) and r["left"] == len(r.get("remaining", []))
		assert r["clean"] == (r["left"] == 0)
		for p in r["problems"]:
		    assert set(p) == {"code", "path", "user", "container", "inode", "text"}, p
		p = r["problems"][0]
		print(p["code"], p["path"], p["text"], sep=" | ")
	PY
	) || failed "$name: the JSON is not as documented"
	fsck
	after=$?
	case $fate in mends) want="4 1 0" ;; leaves) want="4 4 4" ;; esac
	same "$name ($line)" "$want" "$found $mended $after"
done < <("$CORPUS" --list)

# What is named, and where it goes.
fresh
"$CORPUS" "$STORE" "$KEY" inode-flip 2
status "an unreadable message is named" 4
check "by its path" grep -q '^users/ann/chat/one/messages/003.md: ' "$W/.fsck"
status "and taken off" 1 --repair
status "twice is once" 0 --repair
mount_store || die mount
check "the list tells of it" grep -q 'users/ann/chat/one/messages/003.md.*no snapshot or backup holds it' "$U/ann/.lost+found/damaged.txt"
same "the others are there" 5 "$(field "$S/session.json" message_count)"
same "the title is kept" "A title of mine" "$(field "$S/session.json" title)"
umount_store || die umount
fresh
for nth in 0 0 0 0 0 0; do "$CORPUS" "$STORE" "$KEY" entry-drop-dir $nth 2>/dev/null; done
fsck --repair
mount_store || die mount
check "a directory that lost its name is in lost+found" sh -c 'find "$1" -path "*/.lost+found/*" -name deep | grep .' sh "$U"
check "messages/ is back in its place" test -f "$S/messages/006.md"
tree >"$W/after"
same "and no file is gone" "$(awk '{ print $1 }' "$W/before" | sort)" "$(awk '{ print $1 }' "$W/after" | sort)"
umount_store || die umount

# ---- the engine's own files ----------------------------------------------------------------------
# whole TEXT STATUS: the repair ends like that, and every file is there.
whole() {
	status "$1 is found" 4
	status "$1 is mended" "$2" --repair
	status "$1: clean afterwards" 0
	mount_store || { failed "mount after: $1"; return; }
	tree >"$W/after"
	check "all is there after: $1" cmp "$W/before" "$W/after"
	umount_store || die umount
}
fresh && rm "$STORE/db/CURRENT" && whole "a lost CURRENT" 1
check "the old database is kept" test -d "$STORE/db.damaged"
fresh && rm "$STORE"/db/MANIFEST-* && whole "a lost MANIFEST" 1
fresh && rm "$STORE"/db/MANIFEST-* "$STORE/db/CURRENT" && whole "both lost" 1
fresh && for f in "$STORE"/db/MANIFEST-*; do printf 'garbage' | dd of="$f" bs=1 seek=40 conv=notrunc status=none; done &&
	whole "a MANIFEST with other bytes in it" 1
fresh && rm -r "$STORE/db"
status "no database at all is found" 4
status "and cannot be mended" 4 --repair
check "it says that nothing holds it" grep -q "no snapshot or backup holds it" "$W/.fsck"

# A table with bytes flipped: what lay in its blocks is gone or named; all else is there.
for at in 30 60; do
	fresh
	table=$(ls -S "$STORE"/db/*.sst | head -n 1)
	python3 - "$table" $at <<-'PY'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(0, 2); f.seek(f.tell() * int(sys.argv[2]) // 100)
		    b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 8]))
	PY
	status "a byte flipped at $at % of a table is found" 4
	fsck --repair
	check "what can be is mended (status $?)" test -s "$W/.fsck"
	mount_store || { failed "mount after a flipped byte"; continue; }
	gone=$(cd "$U" && comm -23 <(awk '{ print $1 }' "$W/before" | sort) <(find . -type f -exec sha256sum {} + 2>/dev/null | awk '{ print $1 }' | sort) | wc -l)
	check "few files are hit ($gone)" test "$gone" -le 40
	check "the store takes messages" sh -c 'echo more >"$1/messages/next.md"' sh "$S"
	umount_store || die umount
	fsck
	[ $? = 8 ] && failed "fsck after the repair"
done

# ---- a log that ends early: mounted read-only, cleared by fsck -------------------------------------
fresh
mount_store || die mount
for i in $(seq 200); do echo "late $i" >"$S/messages/next.md"; done
python3 -c '
import os, sys
f = os.open(sys.argv[1], os.O_WRONLY); os.fsync(f)' "$S/messages/200.md"
kill9_daemon
detach_mount
log=$(ls -S "$STORE"/db/*.log | head -n 1)
python3 - "$log" <<-'PY'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(len(f.read().rstrip(b"\0")) // 3) # behind the records are zeros: room for the next ones
	    b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 8]))
PY
mount_store || die "mount of a damaged store"
check "the mount is read-only and says so" grep -q 'mounted read-only; run `scribefs fsck' "$W/.mount"
check_not "nothing can be written" sh -c 'echo x >"$1/messages/next.md"' sh "$S" 2>/dev/null
umount_store || die umount
status "a damaged log is found" 4
fsck --repair
mended=$?
check "it is mended (status $mended)" test "$mended" = 1 -o "$mended" = 4
status "and clean afterwards" 0
mount_store || die mount
check "the mount is writable again" sh -c 'echo x >"$1/messages/next.md"' sh "$S"
check "what came after the damage is not lost: $(ls "$S/messages" | wc -l) messages" test "$(ls "$S/messages" | wc -l)" -gt 150
umount_store || die umount

# ---- kill -9 during the repair, again and again -----------------------------------------------------
fresh
for name in messages-flip session-drop entry-drop entry-drop-dir dir-flip inode-flip user-root-drop container-drop id-drop \
	wrong-links wrong-counters lease-drop extra-chunk commit-row-flip; do
	"$CORPUS" "$STORE" "$KEY" $name 0 2>/dev/null
done
rm "$STORE"/db/MANIFEST-*
for i in $(seq "$KILLS"); do
	"$SCRIBEFS" fsck "$STORE" --repair --key-file "$KEY" >/dev/null 2>&1 </dev/null &
	pid=$!
	background $pid
	sleep "0.$(printf %03d $((RANDOM % 400)))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
done
fsck --repair
mended=$?
check "a repair that was killed $KILLS times ends well (status $mended)" test "$mended" = 1 -o "$mended" = 0
status "and the store is clean" 0
mount_store || die mount
tree >"$W/after"
gone=$(comm -23 <(awk '{ print $1 }' "$W/before" | sort) <(awk '{ print $1 }' "$W/after" | sort) | wc -l)
check "no more is gone than one repair would cost ($gone)" test "$gone" -le 2
umount_store || die umount
