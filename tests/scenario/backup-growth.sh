#!/bin/bash
# A backup after a small change adds little, again and again: most tables of a store stay as they are.
. "$(dirname "$0")/lib.sh"
need_mount
setup
must "no automatic snapshots" "$SCRIBEFS" set autosnapshot=none user_autosnapshot=none store_autosnapshot=none "$U"

# Messages that do not compress, 30 MB in all; then, each time, one in sixty gets an addition, for which all of it is
# written anew.
python3 - "$U" "$MNT/backups" "$STORE.backups" >"$W/added" <<'PY' || die "the work"
import os, random, sys
users, backups, folder = sys.argv[1:]
rnd = random.Random(4)
messages = []
for i in range(100):
    session = f"{users}/u{i % 4}/w/s{i}"
    os.makedirs(session + "/messages", exist_ok=True)
    for k in range(1, 61):
        messages.append(f"{session}/messages/{k:03}.md")
        with open(messages[-1], "wb") as f:
            f.write(rnd.randbytes(5000))
have = set()
for n in range(13):
    for path in rnd.sample(messages, 100) if n else []:
        with open(path, "ab") as f:
            f.write(rnd.randbytes(300))
    os.mkdir(f"{backups}/b{n}")
    db = {e.stat().st_ino: e.stat().st_size for e in os.scandir(f"{folder}/b{n}/db")}
    print(n, sum(size for inode, size in db.items() if inode not in have) * 1000 // sum(db.values()))
    have |= db.keys()
PY
cat "$W/added"
same "the first is all of it" "0 1000" "$(head -1 "$W/added")"
second=$(awk 'NR == 2 { print $2 }' "$W/added")
# … and the records, not the chunks, where the first left as many tables as are merged.
check "the second adds little: $second in a thousand" test "$second" -lt 200
all=$(awk 'NR > 1 { n += $2 } END { print n }' "$W/added")
check "and twelve together less than two stores: $all in a thousand" test "$all" -lt 2000
