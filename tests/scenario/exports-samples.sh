#!/usr/bin/env bash
# Every document of 983 real sessions against a recomputation, and copies of them.
. "$(dirname "$0")/lib.sh"
need_mount
need_samples
need_tool rsync getfattr
setup

X=$MNT/exports
must "the samples are written into the mount" "$SHARED/samples/split-aider.py" "$U"
find "$X" >/dev/null
same "listing 983 sessions renders nothing" 0 \
	"$(getfattr --absolute-names --only-values -n user.scribefs.rendered "$X")"
check "every document says what the files say" python3 "$HERE/exports_check.py" "$MNT"
mkdir "$W/dst"
must "rsync of it all" rsync -a "$X/" "$W/dst/"
empty "a second one transfers nothing" "$(rsync -ai "$X/" "$W/dst/")"
check "every page is well-formed and runs nothing" sh -c \
	"find '$X' -name '*.html' -print0 | xargs -0 python3 '$HERE/exports_html.py'"
