#!/bin/bash
# Random operations on real mounts, each answer compared with a model; kill -9 and remounts in between.
. "$(dirname "$0")/lib.sh"
need_mount
need_root # foreign owners, devices, trusted xattrs
EXERCISE=${EXERCISE:-$ROOT/build/tests/exercise/exercise}
[ -x "$EXERCISE" ] || skip "no program at $EXERCISE"
setup
umount_store # the exerciser makes mounts of its own below $TMPDIR

exercise() { "$EXERCISE" --program "$SCRIBEFS" --form "$@"; }
for form in mount parallel mount-session together; do
	check "no difference on a mount, form $form" exercise "$form" --ops "${OPS:-800}"
	grep -a '^ok:' "$W/.out"
done
check "no difference on a mount, always the same steps" exercise mount --ops "${OPS:-800}" --seed 1
