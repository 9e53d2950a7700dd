#!/bin/bash
# The kernel is asked to forget names that nobody looked up for long, and all is there as before.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool strace python3
setup -o names=1000
S=$(session many)

strace -f -xx -s 48 -e trace=read,writev -o "$W/calls" -p "$(daemon_pid)" 2>/dev/null &
background $!
traced() { kill -0 $! && [ -s "$W/calls" ]; }
wait_for "the trace" traced

# The inodes that the kernel was asked for, and those that it forgot: struct fuse_notify_prune_out behind a header with
# the code 9; FUSE_FORGET, and the count of FUSE_BATCH_FORGET behind its header of 40 bytes.
counted() {
	python3 - "$W/calls" <<'PYTHON'
import re, struct, sys
asked = forgot = refused = 0
for line in open(sys.argv[1], errors="replace"):
    parts = [bytes.fromhex(p.replace("\\x", "")) for p in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', line)]
    if "writev(" in line and len(parts) == 3 and parts[0][4:16] == struct.pack("<iQ", 9, 0):
        asked += struct.unpack("<I", parts[1][:4])[0]
        refused += "EINVAL" in line
    elif "read" in line and parts and len(parts[0]) >= 40:
        code = struct.unpack("<I", parts[0][4:8])[0]
        forgot += 1 if code == 2 else struct.unpack("<I", parts[0][40:44])[0] if code == 42 and len(parts[0]) > 43 else 0
print(asked, forgot, refused)
PYTHON
}

mkdir "$S/held"
echo held >"$S/held/open"
exec 7<"$S/held/open"
cd "$S/held" || die cd
for d in 1 2 3; do
	mkdir "$S/d$d"
	for i in $(seq 1500); do echo "$d $i"; done | python3 -c '
import sys
for n, line in enumerate(sys.stdin):
    open(f"{sys.argv[1]}/{n + 1}", "w").write(line)' "$S/d$d"
	sleep 1.1 # it asks once a second
done
asking() { read -r asked forgot refused < <(counted) && [ "$asked" -gt 1000 ] || [ "$refused" -gt 0 ]; }
wait_for "the kernel is asked" asking
[ "$refused" = 0 ] || { cd /; exec 7<&-; skip "the kernel cannot be asked"; }
forgetting() { read -r asked forgot refused < <(counted) && [ "$forgot" -gt 1000 ]; }
wait_for "it forgets" forgetting

same "an open file is read on" held "$(cat <&7)"
same "so is one by a path from where somebody is" held "$(cat open)"
cd /
exec 7<&-
for d in 1 2 3; do
	same "all of d$d is there" "$(for i in $(seq 1500); do echo "$d $i"; done | sha256sum)" \
		"$(for i in $(seq 1500); do cat "$S/d$d/$i"; done | sha256sum)"
done
echo more >>"$S/d1/1"
same "and can be written" "1 1 more" "$(tr '\n' ' ' <"$S/d1/1" | sed 's/ $//')"
remount
same "and is there after a remount" 4500 "$(find "$S"/d? -type f | wc -l)"
