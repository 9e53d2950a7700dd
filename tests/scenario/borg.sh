#!/bin/bash
# borg backs the mount up twice, the second time reading no unchanged file, checks and extracts.
. "$(dirname "$0")/lib.sh"
need_tool borg
setup
export BORG_REPO=$W/repository BORG_BASE_DIR=$W/borg BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
for n in 1 2 3 4 5; do
	S=$(session "s$n")
	for m in 001 002 003; do
		seq "$n" 300 >"$S/messages/$m.md"
	done
done
python3 "$HERE/zoo.py" "$(session zoo)/attachments" --modest
rm -f "$(session zoo)/attachments/"{disk,null}
# borg never remembers the files with the newest ctime; let that be one that does not matter.
sleep 0.1
touch "$W/newest" "$U/ann/newest"
must "borg init" borg init -e none
remount

# What it read: A added, M changed; U means that the file was taken from the cache.
read_files() { borg create --list --filter AMCE "::$1" "$U" 2>&1 | grep -vE '/newest$' | grep -E '^[AMCE] ' | sed 's, /, ,'; }

check "a first backup reads the files" bash -c "[ $(read_files one | wc -l) -gt 50 ]"
remount
empty "a second backup, after a restart, reads none" "$(read_files two)"
echo more >>"$U/ann/chat/s1/messages/001.md"
sleep 0.1
echo x >"$U/ann/newest"
plain || want=$(printf 'M %s\n' "${U#/}/ann/chat/s1/messages/001.md" "${U#/}/ann/chat/s1/session.json")
plain && want="M ${U#/}/ann/chat/s1/messages/001.md"
same "a third one reads what changed" "$want" "$(read_files three | sort)"
check "borg check --verify-data" borg check --verify-data
mkdir "$W/restored"
must "borg extract" bash -c "cd '$W/restored' && borg extract ::three"
check "what it extracts is identical" python3 "$HERE/treecmp.py" "$U" "$W/restored$U"
