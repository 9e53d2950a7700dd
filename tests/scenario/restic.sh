#!/bin/bash
# restic backs the mount up twice, the second time reading no unchanged file, checks and restores.
. "$(dirname "$0")/lib.sh"
need_tool restic
setup
export RESTIC_PASSWORD=test RESTIC_REPOSITORY=$W/repository RESTIC_CACHE_DIR=$W/cache
for n in 1 2 3 4 5; do
	S=$(session "s$n")
	for m in 001 002 003; do
		seq "$n" 300 >"$S/messages/$m.md"
	done
done
python3 "$HERE/zoo.py" "$(session zoo)/attachments" --modest
must "restic init" restic init
remount

backup() { restic backup --json "$U" | tail -1 >"$W/summary"; }

must "a first backup" backup
total=$(field "$W/summary" files_new)
remount
must "a second backup, after a restart" backup
same "no file is new" 0 "$(field "$W/summary" files_new)"
same "no file was read again" 0 "$(field "$W/summary" files_changed)"
same "all are as they were" "$total" "$(field "$W/summary" files_unmodified)"
# "Changed" would be a folder whose list of entries or attributes differs.
same "no folder is new" 0 "$(field "$W/summary" dirs_new)"
echo more >>"$U/ann/chat/s1/messages/001.md"
must "a third backup, one file changed" backup
changed=$(field "$W/summary" files_changed)
plain || same "that message and its session.json were read" 2 "$changed"
plain && same "that message was read" 1 "$changed"
check "restic check --read-data" restic check --read-data
must "restic restore" restic restore latest --target "$W/restored"
check "what it restores is identical" python3 "$HERE/treecmp.py" --no-xattr --no-acl "$U" "$W/restored$U"
