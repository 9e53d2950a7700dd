#!/bin/bash
# A log that is damaged in what was synced is no torn tail: read-only, one line, and nothing is cut off.
. "$(dirname "$0")/lib.sh"
need_mount
setup
S=$(session kept)
for n in $(seq 60); do
	python3 - "$S" "$n" <<-'PY'
		import os, sys
		with open(f"{sys.argv[1]}/f{int(sys.argv[2]):02}", "wb") as f:
		    f.write(os.urandom(3000))
		    os.fsync(f.fileno())
	PY
done
sums=$(cd "$S" && sha256sum f*)
kill9_daemon
detach_mount
LOG=$(ls -S "$STORE"/db/*.log | head -1)

# Behind the last record are zeros: room for the next ones.
END=$(python3 -c 'import sys; print(len(open(sys.argv[1], "rb").read().rstrip(b"\0")))' "$LOG")

# flip PLACE: a byte of the log, so many hundredths from its beginning.
flip() {
	python3 - "$LOG" $((END * $1 / 100)) <<-'PY'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    at = int(sys.argv[2])
		    f.seek(at)
		    byte = f.read(1)[0]
		    f.seek(at)
		    f.write(bytes([byte ^ 4]))
	PY
}

# blank: a whole block of the log, as if it had never reached the disk.
blank() { dd if=/dev/zero of="$LOG" bs=32768 seek="$1" count=1 conv=notrunc status=none; }

readonly_with_one_line() {
	local before
	before=$(cat "$STORE"/db/*.log | sha256sum)
	must "$1: it is mounted all the same" mount_store
	same "$1: one line says so" "1 1" "$(wc -l <"$W/.mount") $(grep -c 'mounted read-only; run .scribefs fsck' "$W/.mount")"
	check "$1: what lies before is there" grep -q "$(sha256sum <"$S/f01" | cut -d' ' -f1)" <<<"$sums"
	check_not "$1: not all is" test -e "$S/f60"
	check_not "$1: nothing can be written" touch "$S/new"
	check "$1: it is unmounted" umount_store
	same "$1: the log is as it was" "$before" "$(cat "$STORE"/db/*.log | sha256sum)"
}

flip 50
readonly_with_one_line "a flipped byte"
flip 50
cp "$LOG" "$W/log"
blank 2
readonly_with_one_line "a lost block"
cp "$W/log" "$LOG"
truncate -s $((END / 2)) "$LOG"
readonly_with_one_line "a log cut short"
cp "$W/log" "$LOG"
head -c 5000 /dev/urandom >>"$LOG"
must "garbage behind what was synced is a torn tail" mount_store
empty "of which nothing is said" "$(grep -v died "$W/.mount")"
same "all that was synced is there" "$sums" "$(cd "$S" && sha256sum f*)"
check "and the store can be written" touch "$S/new"
