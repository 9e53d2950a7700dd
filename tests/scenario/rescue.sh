#!/bin/bash
# scribefs fsck --repair takes what is lost from snapshots and backups: newest first, each try told; kill -9 of it.
# KILLS: how often a repair is killed.
. "$(dirname "$0")/lib.sh"
need_mount
CORPUS=${CORPUS:-$(dirname "$SCRIBEFS")/tests/fsck/fsck_corpus}
[ -x "$CORPUS" ] || skip "no program at $CORPUS"
setup
KILLS=${KILLS:-12}

# ---- a store, two backups in another folder, a snapshot --------------------------------------------
# No snapshots but ours: a file that has not changed since one shares its data with it.
"$SCRIBEFS" set autosnapshot=none user_autosnapshot=none store_autosnapshot=none "$U" >/dev/null || die "set"
S=$(session one)
for i in 1 2 3 4; do echo "message $i" >"$S/messages/next.md"; done
head -c 300000 /dev/urandom >"$S/big"
echo notes >"$S/notes.txt"
chmod 640 "$S/notes.txt"
setfattr -n user.x -v y "$S/notes.txt"
touch -d 2026-01-02T03:04:05Z "$S/notes.txt"
tree() { (cd "$U" && find . -type f ! -name session.json ! -path '*/.lost+found/*' -exec sha256sum {} + | sort -k2); }
tree >"$W/before"
listing() { (cd "$S" && stat -c "%n %i %a %u %g %h %s %y" big notes.txt messages/*); }
listing >"$W/before-ls"
umount_store || die umount
backup() { "$SCRIBEFS" backup create "$STORE" "$1" --key-file "$KEY" >"$W/.backup" 2>&1 || { cat "$W/.backup"; return 1; }; }
backup older || die "backup older"
sleep 1.1 # backups are told apart by seconds
backup newer || die "backup newer"
# Apart from the store's own tables, as on another disk.
cp -r "$STORE.backups" "$W/elsewhere" && rm -r "$STORE.backups"
GOOD=$W/good
cp -a "$STORE" "$GOOD"
cp -a "$XDG_STATE_HOME" "$W/good-state"
cp -r "$W/elsewhere" "$W/good-elsewhere"
fresh() {
	rm -rf "$STORE" "${XDG_STATE_HOME:?}" "$W/elsewhere"
	cp -a "$GOOD" "$STORE" && cp -a "$W/good-state" "$XDG_STATE_HOME" && cp -r "$W/good-elsewhere" "$W/elsewhere"
}
damage() { "$CORPUS" "$STORE" "$KEY" "$@" || failed "the corpus cannot do $*"; }
fsck() { timeout 300 "$SCRIBEFS" fsck "$STORE" --key-file "$KEY" "$@" </dev/null >"$W/.fsck" 2>"$W/.fsck-err"; }
status() {
	local text=$1 want=$2 got
	shift 2
	fsck "$@"
	got=$?
	same "$text: status" "$want" "$got" || cat "$W/.fsck" "$W/.fsck-err"
}
said() { check "it says: $1" grep -q -e "$1" "$W/.fsck" || cat "$W/.fsck"; }
# Some bytes of each block of a backup's tables; their ends, which say where the blocks are, stay.
spoil() { spoil_tables "$W/elsewhere/$1"/db/*.sst; }
spoil_tables() {
	SMALL=${SMALL:-} python3 - "$@" <<-'PY'
		import os, sys
		for path in sys.argv[1:]:
		    with open(path, "r+b") as f:
		        size = os.path.getsize(path)
		        small = size // 2 if os.environ["SMALL"] else 0
		        for at in range(64, size * 85 // 100 if size > 20000 else small, 1024):
		            f.seek(at); b = f.read(1); f.seek(at); f.write(bytes([b[0] ^ 4]))
	PY
}
whole() {
	status "$1: clean afterwards" 0
	mount_store || { failed "mount after: $1"; return; }
	tree >"$W/after"
	check "every file has its bytes: $1" cmp "$W/before" "$W/after"
	listing >"$W/after-ls"
	check "number, rights, owner, times: $1" cmp "$W/before-ls" "$W/after-ls"
	umount_store || die umount
}

# ---- from a backup ----------------------------------------------------------------------------------
damage chunk-flip 2
status "without a copy a flipped chunk is left" 4 --repair
said 'left: .*big: 1 chunks of it cannot be read, the first at byte 8192; no snapshot or backup holds it'
status "with a backup in another folder it is mended" 1 --repair --backup-dir "$W/elsewhere"
said 'mended: .*big: 1 chunks .*; just that was taken from a backup since when the file has not changed'
whole "a flipped chunk"

fresh
damage chunk-drop 1
damage inode-flip 1
damage inode-flip-file 1
status "records of files are taken from a backup" 1 --repair --backup-dir "$W/elsewhere" --json
python3 - "$W/.fsck" "$W/elsewhere/newer" <<-'PY' || failed "the tries in JSON are not as documented: $(cat "$W/.fsck")"
	import json, sys
	r = json.load(open(sys.argv[1]))
	assert r["left"] == 0 and r["clean"] is True
	tries = r["tries"]
	assert len(tries) >= 2 and all(t["taken"] is True for t in tries), tries
	for t in tries:
	    assert set(t) == {"path", "inode", "source", "time", "taken"}, t
	    assert t["source"] == "backup " + sys.argv[2], t
	assert any(t["path"] == "users/ann/chat/one/messages/002.md" for t in tries), tries
PY
status "and it is clean" 0

# ---- the newest is damaged as well --------------------------------------------------------------------
fresh
damage chunk-flip 2
spoil newer
status "the older of two backups" 1 --repair --backup-dir "$W/elsewhere"
said "tried: .*big: backup $W/elsewhere/newer, of .*: it is damaged there too"
whole "from the older one"
fresh
damage chunk-flip 2
spoil newer
spoil older
status "both are damaged" 4 --repair --backup-dir "$W/elsewhere"
said "tried: .*big: backup $W/elsewhere/newer, of .*: "
said "tried: .*big: backup $W/elsewhere/older, of .*: "
said "left: .*; no snapshot or backup holds it"
mount_store || die mount
check "damaged.txt tells of both" grep -q "big.*; backup $W/elsewhere/newer of .*; backup $W/elsewhere/older of .*; no snapshot or backup holds it" "$U/ann/.lost+found/damaged.txt"
check "the rest of the file reads" cmp -n 65536 "$S/big" "$S/big"
umount_store || die umount
# Of another store: its numbers are the same, its files are not ours.
fresh
init_store "$W/other" "$W/other-key" || die init
"$SCRIBEFS" backup create "$W/other" foreign --key-file "$W/other-key" --to "$W/foreign" >/dev/null 2>&1
damage chunk-flip 2
status "a backup of another store is none" 4 --repair --backup-dir "$W/foreign"
said "tried: .*big: backup .*/foreign, of .*: it is of another store"

# ---- a byte of the database's own files --------------------------------------------------------------
fresh
python3 - "$(ls -S "$STORE"/db/*.sst | head -n 1)" <<-'PY'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(100000); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 8]))
PY
status "a byte flipped in a table is mended whole" 1 --repair --backup-dir "$W/elsewhere"
whole "a byte flipped in a table"
fresh && rm -r "$STORE/db"
status "a store without its database" 4 --repair --backup-dir "$W/elsewhere"
said '`scribefs backup restore` makes a store of one of its 2 backups'

# ---- what is lost whole -------------------------------------------------------------------------------
fresh
damage session-gone
status "a session that is lost whole is named" 4
status "a session comes back whole" 1 --repair --backup-dir "$W/elsewhere"
said "mended: users/ann/chat/one: its records are gone; .*; taken from backup $W/elsewhere/newer of .* names in it are back"
whole "a session"
for what in session-and-name-gone workflow-and-name-gone user-and-name-gone users-gone; do
	fresh
	damage $what
	status "$what comes back" 1 --repair --backup-dir "$W/elsewhere"
	whole "$what"
done
fresh
damage user-and-name-gone
SMALL=1 spoil newer
status "a user comes back from the older backup" 1 --repair --backup-dir "$W/elsewhere"
said "tried: .*: backup $W/elsewhere/newer, of .*: it is "
said "mended: users/ann/chat/one: its records are gone; .*; taken from backup $W/elsewhere/older of "
whole "a user, from the older one"
fresh
damage session-gone
SMALL=1 spoil newer
SMALL=1 spoil older
status "without a good backup a session is gone" 1 --repair --backup-dir "$W/elsewhere"
said "mended: users/ann/chat/one: all that it led to is gone; no snapshot or backup holds it"
status "and it is clean" 0
mount_store || die mount
check "damaged.txt tells of it" grep -q "users/ann/chat/one.*; no snapshot or backup holds it" "$U/ann/.lost+found/damaged.txt"
umount_store || die umount
# Whole tables of the database: bytes of every block, and files that are gone.
for table in "$GOOD"/db/*.sst; do
	table=$STORE/db/${table##*/}
	fresh
	rm "$table"
	status "a table of $(stat -c %s "$GOOD/db/${table##*/}") bytes that is gone" 1 --repair --backup-dir "$W/elsewhere"
	whole "a table is gone"
	fresh
	SMALL=1 spoil_tables "$table"
	status "bytes in each block of a table" 1 --repair --backup-dir "$W/elsewhere"
	whole "bytes in each block of a table"
done

# ---- from a snapshot ------------------------------------------------------------------------------------
fresh
mount_store || die mount
mkdir "$S/.snapshots/first" || die snapshot
printf 'changed since' | dd of="$S/big" bs=1 conv=notrunc status=none
echo 'notes of today' >"$S/notes.txt"
umount_store || die umount
damage chunk-flip 1
damage inode-flip-file 1
status "a snapshot has the version before" 1 --repair
said 'mended: .*big: .*; taken from snapshot first of 20'
said 'mended: .*notes.txt: .*; taken from snapshot first of 20'
status "and it is clean" 0
mount_store || die mount
tree >"$W/after"
check "the files are as the snapshot has them" cmp "$W/before" "$W/after"
lost=$(find "$S/.lost+found" -name '#*')
same "what could be read of the newer bytes is kept" "$(stat -c %s "$S/big")" "$(stat -c %s "$lost")"
check "with zeros for what could not" cmp -n 4096 "$lost" /dev/zero
check "and the rest of it" cmp -i 4096 "$lost" "$S/big"
check "damaged.txt tells of it" grep -q 'big.*; taken from snapshot first of ' "$U/ann/.lost+found/damaged.txt"
check "the session takes messages" sh -c 'echo more >"$1/messages/next.md"' sh "$S"
rmdir "$S/.snapshots/first"
umount_store || die umount
status "clean without the snapshot" 0

# ---- kill -9 in the middle -----------------------------------------------------------------------------
fresh
mount_store || die mount
printf 'changed since' | dd of="$S/big" bs=1 seek=200000 conv=notrunc status=none
umount_store || die umount
damage chunk-flip 2
damage inode-flip 1
damage inode-flip-file 1
damage xattr-flip 0
damage session-flip 0
for i in $(seq "$KILLS"); do
	"$SCRIBEFS" fsck "$STORE" --repair --key-file "$KEY" --backup-dir "$W/elsewhere" >/dev/null 2>&1 </dev/null &
	pid=$!
	background $pid
	sleep "0.$(printf %03d $((RANDOM % 300)))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
done
fsck --repair --backup-dir "$W/elsewhere"
got=$?
check "a repair that was killed $KILLS times ends well (status $got)" test $got = 0 -o $got = 1
whole "killed in between"
