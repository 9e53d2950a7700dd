#!/usr/bin/env bash
# The clock is set forward and back, while a store is mounted and between two mounts: snapshots and backups go on, with
# names of their own, and nothing goes before its time. tests/faults/clock.c sets the clock.
. "$(dirname "$0")/lib.sh"
need_mount
CLOCK=$(dirname "$SCRIBEFS")/tests/faults/clock.so
[ -r "$CLOCK" ] || skip "no $CLOCK"
setup
umount_store || die umount

set_clock() { python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("=q", int(sys.argv[2]) * 86400))' "$W/clock" "$1"; }
head -c 4096 /dev/zero >"$W/clock"
mount_clock() { CLOCK_FILE=$W/clock LD_PRELOAD=$CLOCK mount_store; }
count() { find "$1/.snapshots/" -mindepth 1 -maxdepth 1 | wc -l; }
says() { "$SCRIBEFS" snapshot list --json "$1" | python3 -c '
import json, sys
all = json.load(sys.stdin)["snapshots"]
print(len({s["recovery_id"] for s in all}) == len({s["name"] for s in all}) == len(all) > 0)'; }
must "mount" mount_clock
must "policies" "$SCRIBEFS" set autosnapshot=1s keep=2 keep_hourly=0 keep_daily=10 trash=3d backup=1s backup_keep=3 "$U"
s=$(session one)
t=$(session thrown)
echo x >"$t/messages/next.md"
"$SCRIBEFS" snapshot create "$s@mine" >/dev/null
mkdir -p "$U/ann/.trash/chat"
mv "$t" "$U/ann/.trash/chat/"
t=$U/ann/.trash/chat/thrown

# write DAYS: a message with the clock so; it is in a snapshot of its own.
messages=0
write() {
	local n
	set_clock "$1"
	n=$(count "$s")
	messages=$((messages + 1))
	echo "$messages" >"$s/messages/next.md"
	wait_for "$1 days: a snapshot is taken" test -e "$s/.snapshots/@now/messages/$(printf %03d $messages).md"
}
for days in -2 -1 0; do write $days; done
first=$(count "$s")
check "one of each day: $first" test "$first" = 4
for days in 3650 -20000 3651 -2 2; do write $days; done
# A look at everything while the clock is wrong.
for days in 4000 -20000; do
	set_clock $days
	"$SCRIBEFS" set memory_size=$((60 + RANDOM % 1000)) "$U"
	echo x >"$s/messages/next.md"
	sleep 4
	check "$days days: none of those before has gone" test "$(count "$s")" -ge "$((first + 4))"
	check "$days days: what lies in .trash stays" test -e "$t/messages/001.md"
done
set_clock 0
same "names and recovery ids are all their own" True "$(says "$s")"
check "the one with a name is there" test -d "$s/.snapshots/mine"
same "a time finds what the clock said then" 007.md "$(ls "$s/.snapshots/@47h/messages" | tail -n 1)"

# Backups: those of the present are made, and those of the future go first.
set_clock 3650
echo x >"$s/messages/next.md"
wait_for "a backup of ten years on" sh -c "ls '$MNT/backups' | grep -q '^auto-203'"
set_clock 0
ls "$MNT/backups" >"$W/before" # there may be one of the day after tomorrow among them
for i in 1 2 3; do
	echo "$i" >"$s/messages/next.md"
	wait_for "a backup after the clock was set back" sh -c "test \$(ls '$MNT/backups' | grep '^auto-202' | grep -cvxFf '$W/before') -ge $i"
done
wait_for "those of the future have gone first" sh -c "! ls '$MNT/backups' | grep -q '^auto-203'"
"$SCRIBEFS" inherit backup "$U"

# Between mounts.
for days in -7000 7000 0; do
	must "umount" umount_store
	set_clock $days
	must "mount" mount_clock
	n=$(count "$s")
	write $days
	check "mounted $days days off: none has gone" test "$(count "$s")" -ge "$n"
	check "mounted $days days off: what lies in .trash stays" test -e "$t/messages/001.md"
	check "session.json says so" python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); assert j["version"] > 1 and j["state"] == "active", j' "$s/session.json"
done
must "umount" umount_store
check "clean" "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
exit
