#!/usr/bin/env bash
# scribefs backup, on a store that is not mounted: making, listing, checking, mending, restoring, thinning.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
setup_folder

# refuses TEXT PATTERN COMMAND…: fails with one line that holds PATTERN.
refuses() {
	local text=$1 pattern=$2
	shift 2
	refused "$text" "$@" && says "$text: the line" "$pattern"
}

with_key() { "$SCRIBEFS" "$@" --key-file "$KEY"; }
# Something new in the store, through a mount.
write_more() {
	with_key mount "$STORE" "$MNT" &&
		mkdir -p "$MNT/users/u/w/s/messages" &&
		echo "$1" >"$MNT/users/u/w/s/messages/next.md" &&
		cp -a "$ROOT/kv" "$MNT/users/u/w/s/$1" &&
		"$SCRIBEFS" umount "$MNT"
}
names() { "$SCRIBEFS" backup list "$@" --json | python3 -c '
import json, sys
print(*(b["name"] for b in json.load(sys.stdin).get("backups", [])))'; }
value() { "$SCRIBEFS" backup list "$1" --json | python3 -c '
import json, sys
print(*(b[sys.argv[1]] for b in json.load(sys.stdin)["backups"] if b["name"] == sys.argv[2]))' "$3" "$2"; }
# The largest file of a backup's tables.
table() { find "$1/db" -name '*.sst' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
flip() { python3 - "$1" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(1000)
    byte = f.read(1)
    f.seek(1000)
    f.write(bytes([byte[0] ^ 1]))
PY
}

must "a store" init_store "$STORE" "$KEY"
check "there is something in it" write_more one

check "a backup is made" "$SCRIBEFS" backup create "$STORE" first --key-file "$KEY"
check "its folder is private" test "$(stat -c %a "$STORE.backups" "$STORE.backups/first" | tr '\n' ' ')" = "700 700 "
same "it is listed" "first" "$(names "$STORE")"
same "as verified" "verified" "$(value "$STORE" first state)"
refuses "a name is taken once" "already" "$SCRIBEFS" backup create "$STORE" first --key-file "$KEY"
refuses "a name with a slash" "cannot be a backup's name" "$SCRIBEFS" backup create "$STORE" a/b --key-file "$KEY"
misused "an unknown action" "no 'backup frobnicate'" "$SCRIBEFS" backup frobnicate "$STORE"
refuses "a folder that is not there" "No such file" "$SCRIBEFS" backup list "$W/nowhere"
check "b2sum understands the manifest" sh -c "cd '$STORE.backups/first' && b2sum --quiet -c manifest"

check "more in the store" write_more two
check "another backup" with_key backup create "$STORE" second
before=$(value "$STORE" first bytes)
check "what did not change is shared" test "$(value "$STORE" second own_bytes)" -lt "$before"
check "a backup mounts by itself, read-only" with_key mount "$STORE.backups/first" "$MNT"
check "with what it had" grep -q one "$MNT/users/u/w/s/messages/001.md"
check "and no more" test ! -e "$MNT/users/u/w/s/two"
check "and nothing can be changed in it" sh -c "! touch '$MNT/users/u/w/s/x' 2>/dev/null"
check "unmount" "$SCRIBEFS" umount "$MNT"
check "that left it as it was" with_key backup verify "$STORE" first

check "restored" "$SCRIBEFS" backup restore "$STORE" first "$W/back"
refuses "it is older, and says so" "--accept-older" "$SCRIBEFS" mount "$W/back" "$MNT" --key-file "$KEY"
check "the restored store mounts" with_key mount "$W/back" "$MNT" -o rw --accept-older
same "with the bytes of then" "same" "$(diff -r "$ROOT/kv" "$MNT/users/u/w/s/one" && echo same)"
check "unmount" "$SCRIBEFS" umount "$MNT"
refuses "not over a store" "not empty" "$SCRIBEFS" backup restore "$STORE" first "$W/back"
refuses "no such backup" "no backup 'third'" "$SCRIBEFS" backup restore "$STORE" third "$W/third"
refuses "nothing before that time" "no backup before 2001-01-01" "$SCRIBEFS" backup restore "$STORE" --at 2001-01-01 "$W/third"
misused "no time" "takes a time" "$SCRIBEFS" backup restore "$STORE" --at soon "$W/third"

# A copy elsewhere works by itself, and lends what is damaged here.
cp -a "$STORE.backups" "$W/mirror"
same "a mirror is a folder of backups" "first second" "$(names "$W/mirror")"
rm -rf "$W/lost" && mkdir "$W/lost" && cp -a "$STORE.backups" "$W/lost/b"
flip "$(table "$W/lost/b/second")"
refuses "a flipped byte is found" "damaged" "$SCRIBEFS" backup verify "$W/lost/b" second
same "and shown" "damaged" "$(value "$W/lost/b" second state)"
refuses "and not restored" "damaged" "$SCRIBEFS" backup restore "$W/lost/b" second "$W/bad"
check "nothing is left of the attempt" test ! -e "$W/bad"
if [ "$(stat -c %i "$(table "$W/lost/b/second")")" != "$(stat -c %i "$(table "$W/lost/b/first")")" ]; then
	"$SCRIBEFS" backup restore "$W/lost/b" --at 2100-01-01 "$W/older" >/dev/null 2>&1
	check "--at falls back to the one before" test -f "$W/older/keyring"
fi
check "a secret is asked for nowhere here" "$SCRIBEFS" backup verify "$STORE" </dev/null

# What status says: the newest good one, and what is wrong.
status() { "$SCRIBEFS" status "$1" --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
b, w = s.get("backups", [{}])[0], " ".join(x["backup"] for x in s.get("warnings", []))
print(b.get("newest"), "verified" in b, "damaged" in w, "own disk" in w, "no good backup" in w)'; }
same "status tells the newest good backup" "second True False True False" "$(status "$STORE")"
init_store "$W/new" "$W/newkey"
same "and where there is none" "None False False False True" "$(status "$W/new")"
echo bad >"$STORE.backups/second/verified" && printf 'bad 1\n' >"$STORE.backups/second/verified"
same "and that the newest is damaged" "first True True True False" "$(status "$STORE")"
check "in words" grep -q '^ *backup second in .* is damaged' <("$SCRIBEFS" status "$STORE")
rm "$STORE.backups/second/verified"
check "verified again" with_key backup verify "$STORE" second
cp "$STORE.backups/first/mark" "$W/mark"
flip_at() { python3 -c 'import sys; f = open(sys.argv[1], "r+b"); b = bytearray(f.read()); b[10] ^= 1; b[74:75] = bytes([b[74] ^ 1]) if len(b) > 74 else b""; f.seek(0); f.write(b)' "$1"; }
flip_at "$STORE.backups/first/mark"
refuses "a mark that is no good is found" "mark" "$SCRIBEFS" backup verify "$STORE" first --key-file "$KEY"
cp "$W/mark" "$STORE.backups/first/mark"
check "and one that is good again" with_key backup verify "$STORE" first

# Where folders may be.
mkdir "$W/real" && ln -s "$W/real" "$W/symlink"
if [ "$(id -u)" = 0 ]; then
	chown -h 12345 "$W/symlink"
	refuses "another user's symlink" "is not followed" "$SCRIBEFS" backup create "$STORE" x --to "$W/symlink" --key-file "$KEY"
	refuses "also in a mount's options" "is not followed" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" -o "backup_dir=$W/symlink/b"
fi
refuses "not in the mount" "would lie in the mount" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" -o "backup_dir=$MNT/users"
refuses "nor in the store" "would lie in the store" "$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" -o "backup_dir=$STORE/b"

# Slots.
echo 'another secret' >"$W/pass"
check "a slot is added" with_key key add "$STORE" --new-passphrase-file "$W/pass"
check "it opens the backups" "$SCRIBEFS" mount "$STORE.backups/first" "$MNT" --passphrase-file "$W/pass"
check "unmount" "$SCRIBEFS" umount "$MNT"
check "a slot is removed" with_key key remove "$STORE" 1
refuses "it opens them no more" "wrong passphrase\|no passphrase" "$SCRIBEFS" mount "$STORE.backups/first" "$MNT" --passphrase-file "$W/pass"
check "and they are as they were" with_key backup verify "$STORE"

# Thinning.
for i in 1 2 3; do with_key backup create "$STORE" auto-$i >/dev/null; done
check "a dry run" "$SCRIBEFS" backup prune "$STORE" --keep 1 --dry-run
same "drops nothing" "5" "$(names "$STORE" | wc -w)"
check "pruned" "$SCRIBEFS" backup prune "$STORE" --keep 1
same "to the newest; what a person named stays" "first second auto-3" "$(names "$STORE")"
check "dropped" "$SCRIBEFS" backup drop "$STORE" first
same "and gone" "second auto-3" "$(names "$STORE")"
check "the others are whole" "$SCRIBEFS" backup verify "$STORE"

# While somebody else is at work on the folder: each waits its turn.
meanwhile() {
	flock "$STORE.backups" sh -c "touch '$W/held'; sleep 2" &
	while [ ! -e "$W/held" ]; do sleep 0.1; done
	rm "$W/held"
	"$@"
	local status=$?
	wait $!
	return $status
}
check "a backup waits" meanwhile with_key backup create "$STORE" auto-4
check "a check waits" meanwhile "$SCRIBEFS" backup verify "$STORE" auto-4
check "a new slot waits" meanwhile with_key key add "$STORE" --new-passphrase-file "$W/pass"
check "and opens it" "$SCRIBEFS" backup verify "$STORE" auto-4 --passphrase-file "$W/pass"
check "pruning waits" meanwhile "$SCRIBEFS" backup prune "$STORE" --keep 1
check "mount" with_key mount "$STORE" "$MNT"
check "one through the mount waits" meanwhile "$SCRIBEFS" backup create "$MNT" auto-5
check "unmount" "$SCRIBEFS" umount "$MNT"
check "dropping waits" meanwhile "$SCRIBEFS" backup drop "$STORE" auto-4 auto-5
check "another" with_key backup create "$STORE" auto-3

# Another folder, half-made ones, another store's folder.
check "elsewhere" with_key backup create "$STORE" far --to "$W/far"
same "the store knows both folders" "second auto-3 far" "$(names "$STORE")"
rm "$W/far/far/complete"
same "one without its last file is half-made" "half-made" "$(value "$W/far" far state)"
refuses "and not verified" "half-made" "$SCRIBEFS" backup verify "$W/far" far
init_store "$W/other" "$W/otherkey"
refuses "a folder holds one store's" "another store" "$SCRIBEFS" backup create "$W/other" x --to "$STORE.backups" --key-file "$W/otherkey"
exit
