#!/bin/bash
# The daemon is killed under load, in recovery and in unmounts: nothing that was answered is lost, nothing is half.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool python3 fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"
exec "$ROOT/tests/death/run" --kills "${KILLS:-40}" --minutes 0.7 --load 1
