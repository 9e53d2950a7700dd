#!/bin/bash
# Backups while others write: rsync, tar and restic of a snapshot, and backups of the store, see one state; a second
# backup after a change of one in a hundred adds little; damage is found, and the backup before it is taken.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync tar
setup
B=$MNT/backups

for n in $(seq 40); do
	S=$(session "s$n")
	for m in 1 2 3 4 5; do seq $((n * m)) $((n * m + 3000)) >"$S/messages/next.md"; done
	head -c 100000 /dev/urandom >"$S/data"
done
# Writers: each writes its turn into two files, so that no state has the second one ahead of the first.
for w in 1 2 3; do
	(
		S=$U/ann/chat/s$w
		n=0
		while n=$((n + 1)); do
			echo "$n" >>"$S/first" && echo "$n" >>"$S/second"
			echo "$n" >"$S/messages/next.md"
			mv "$S/data" "$S/data2" && mv "$S/data2" "$S/data"
			[ "$n" -lt 400 ] || sleep 0.05
		done
	) 2>/dev/null &
	background $!
done
consistent() {
	local w a b
	for w in 1 2 3; do
		a=$(wc -l <"$1/ann/chat/s$w/first") b=$(wc -l <"$1/ann/chat/s$w/second")
		[ $((a - b)) -ge 0 ] && [ $((a - b)) -le 1 ] || return 1
		[ "$(find "$1/ann/chat/s$w" -maxdepth 1 -name 'data*' | wc -l)" = 1 ] || return 1
	done
}
wait_for "the writers are at work" test -s "$U/ann/chat/s3/second"

echo "-- a snapshot"
must "is taken" mkdir "$U/.snapshots/now"
N=$U/.snapshots/now
check "it is one state" consistent "$N"
tar -C "$N" --xattrs --acls -cf "$W/t.tar" . 2>"$W/tar.err"
same "tar" "0 " "$? $(cat "$W/tar.err")"
rsync -aHAX --modify-window=-1 "$N/" "$W/copy/" 2>"$W/rsync.err"
same "rsync" "0 " "$? $(cat "$W/rsync.err")"
check "what rsync has is the snapshot" python3 "$HERE/treecmp.py" "$N" "$W/copy"
mkdir "$W/untarred"
check "and what tar has" tar -C "$W/untarred" --xattrs --acls -xpf "$W/t.tar"
check "is" python3 "$HERE/treecmp.py" "$N" "$W/untarred"
if command -v restic >/dev/null; then
	export RESTIC_PASSWORD=test RESTIC_REPOSITORY=$W/repository RESTIC_CACHE_DIR=$W/cache
	must "restic init" restic init
	(cd "$N" && restic backup --json . | tail -1) >"$W/summary"
	total=$(field "$W/summary" files_new)
	(cd "$N" && restic backup --json . | tail -1) >"$W/summary"
	same "restic reads nothing the second time" "0 0 $total" \
		"$(field "$W/summary" files_new) $(field "$W/summary" files_changed) $(field "$W/summary" files_unmodified)"
fi

echo "-- backups"
check "a backup" mkdir "$B/one"
check "it is one state" consistent "$B/one/users"
for pid in "${BACKGROUND[@]}"; do kill "$pid"; wait "$pid" 2>/dev/null; done
# Nothing is written now; what is left in memory goes into tables with the next backup.
must "another, of all" "$SCRIBEFS" backup create "$MNT" base
find "$U/ann" -type f -exec sha256sum {} + >"$W/sums"
before=$("$SCRIBEFS" backup list "$MNT" --json | python3 -c 'import json, sys; print({b["name"]: b["bytes"] for b in json.load(sys.stdin)["backups"]}["base"])')
added() {
	"$SCRIBEFS" backup list "$MNT" --json | python3 -c '
import json, os, sys
b = {x["name"]: x["folder"] for x in json.load(sys.stdin)["backups"]}
size = lambda name: {e.stat().st_ino: e.stat().st_size for e in os.scandir(os.path.join(b[name], name, "db"))}
old, new = size(sys.argv[1]), size(sys.argv[2])
print(sum(v for k, v in new.items() if k not in old))' "$1" "$2"
}
# Compaction, which comes with every fourth or so, writes all of a small store anew: the least of three is what counts.
least=$before last=base
for name in c1 c2 more; do
	head -c $((before / 100)) /dev/urandom >"$U/ann/chat/s9/new"
	must "after a change of one in a hundred: $name" "$SCRIBEFS" backup create "$MNT" "$name"
	bytes=$(added "$last" "$name") last=$name
	echo "   it adds $bytes of $before bytes, $((bytes * 1000 / before)) in a thousand"
	[ "$bytes" -ge "$least" ] || least=$bytes
done
check "it adds little: $((least * 1000 / before)) in a thousand" test "$least" -lt $((before / 20))

umount_store
flip() { python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(1000); b = f.read(1); f.seek(1000); f.write(bytes([b[0] ^ 1]))' "$1"; }
# A folder of its own, where nobody has what is damaged a second time.
cp -a "$STORE.backups" "$W/far"
rm -r "$W/far/c1" "$W/far/c2"
own=$(comm -13 <(cd "$W/far/base/db" && find . -name '*.sst' -links -9 -printf '%i\n' | sort) \
	<(cd "$W/far/more/db" && find . -name '*.sst' -printf '%i\n' | sort) | head -1)
table=$(find "$W/far/more/db" -inum "$own")
must "a table that only the newest has" test -n "$table"
flip "$table"
refused "a flipped byte is found" "$SCRIBEFS" backup verify "$W/far" more
check "the others are well" "$SCRIBEFS" backup verify "$W/far" base
check "the newest good one is taken" sh -c "'$SCRIBEFS' backup restore '$W/far' --at 2100-01-01 '$W/back' 2>/dev/null | grep -q 'backup base'"
refused "none is before its time" "$SCRIBEFS" backup restore "$W/far" --at 2001-01-01 "$W/none"
MNT2=$W/mnt2
mkdir "$MNT2"
EXTRA_MOUNTS+=("$MNT2")
must "it mounts" "$SCRIBEFS" mount "$W/back" "$MNT2" --key-file "$KEY" --accept-older
check "with what was there" sh -c "cd / && sed 's|  $MNT/|  $MNT2/|' '$W/sums' | sha256sum --quiet -c"

# A table that all backups share is bad in all of them, and is taken again from the store.
shared=$(find "$STORE.backups/base/db" -name '*.sst' -links +2 -printf '%s %p\n' | sort -n | cut -d' ' -f2- |
	while read -r t; do [ ! -e "$STORE/db/${t##*/}" ] || echo "$t"; done | tail -n 1)
[ -n "$shared" ] || echo "skip: compaction has left no table to the store that the backups have"
if [ -n "$shared" ]; then
	cp "$shared" "$W/good"
	for copy in one base c1 c2 more; do
		[ ! -e "$STORE.backups/$copy/db/${shared##*/}" ] || ln -f "$W/good" "$STORE.backups/$copy/db/${shared##*/}"
	done
	flip "$W/good"
	check "a shared table is mended" sh -c "'$SCRIBEFS' backup verify '$STORE' more | grep -q mended"
	check "in all of them" "$SCRIBEFS" backup verify "$STORE.backups"
	mv "$STORE/db" "$STORE/away"
	flip "$STORE.backups/more/db/${shared##*/}"
	"$SCRIBEFS" backup verify "$STORE.backups" more >/dev/null 2>&1
	same "where nobody has it, all are bad" 0 "$("$SCRIBEFS" backup list "$STORE.backups" | grep -E ' (base|more)$' | grep -vc damaged)"
	mv "$STORE/away" "$STORE/db"
fi
exit 0
