#!/bin/bash
# A folder of 100,000 entries, and the deletion of large files, which goes on after a restart.
. "$(dirname "$0")/lib.sh"
setup
S=$(session large)
COUNT=${COUNT:-100000}

must "$COUNT entries are made" python3 - "$S/many" "$COUNT" <<'PY'
import os, sys
base, count = sys.argv[1], int(sys.argv[2])
os.mkdir(base)
fd = os.open(base, os.O_RDONLY)
for n in range(count):
    os.close(os.open(f"entry-{n:06d}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=fd))
PY
list() { find "$S/many" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort; }
want() { seq 0 $((COUNT - 1)) | xargs printf 'entry-%06d\n'; }
check "a listing has each of them once" cmp <(want) <(list)
remount
check "and so after a restart" cmp <(want) <(list)
check "each is found by its name" test -e "$S/many/entry-000000" -a -e "$S/many/entry-$(printf %06d $((COUNT - 1)))"
check_not "and another is not" test -e "$S/many/entry-$(printf %06d "$COUNT")"
check_not "it cannot be removed while it is full" rmdir "$S/many"
must "a folder of that size is renamed at once" mv "$S/many" "$S/renamed"
must "it is deleted" rm -r "$S/renamed"
check_not "and gone" test -e "$S/renamed"
same "the count of links is right" 3 "$(stat -c %h "$S")"
check "the session can be listed" ls "$S"

# 1 GiB with data in an eighth of it, and 48 MiB in one piece.
files() { stat -f -c '%c %d' "$U" | awk '{ print $1 - $2 }'; }
must "settled" sync -f "$U"
files_before=$(files)
must "a file of 1 GiB is written" python3 - "$S/sparse" "$S/dense" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
for n in range(1024):
    os.pwrite(fd, os.urandom(1 << 17), n << 20)
os.ftruncate(fd, 1 << 30)
os.fsync(fd)
fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT, 0o600)
for n in range(48):
    os.write(fd, os.urandom(1 << 20))
os.fsync(fd)
PY
check "they take the room that they need" bash -c "[ $(stat -c %b "$S/sparse") -ge 262144 ] && [ $(stat -c %b "$S/sparse") -le 400000 ]"
plain || same "two files more" 2 $(($(files) - files_before))
remount
must "both are deleted" rm "$S/sparse" "$S/dense"
check_not "they are gone at once" test -e "$S/sparse" -o -e "$S/dense"
remount
inodes_are_back() { [ "$(files)" = "$files_before" ]; }
plain || wait_for "no inode is left over" inodes_are_back && echo "ok: no inode is left over"

# Killed in the middle of it.
must "a file of 64 MiB" dd if=/dev/urandom of="$S/victim" bs=1M count=64 status=none conv=fsync
must "it is deleted while open" python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.unlink(sys.argv[1])
assert len(os.pread(fd, 1 << 20, 63 << 20)) == 1 << 20' "$S/victim"
plain && exit
kill9_daemon
detach_mount
must "mount after kill -9" mount_store
wait_for "no inode is left over after kill -9" inodes_are_back && echo "ok: no inode is left over after kill -9"
