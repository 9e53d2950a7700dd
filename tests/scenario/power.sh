#!/bin/bash
# The power is cut under load, at many moments: what was synced is there, the store opens by itself.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool python3 fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"
exec "$ROOT/tests/power/run" --cuts "${CUTS:-16}" --minutes 0.8 --each 8 --load 3 --quiet 10
