#!/bin/bash
# What stands at which level, messages, next.md, session.json, titles and front matter: DESIGN section 1.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool mv cp rsync
setup
mkdir "$U/ann" "$U/bob" || die "no users"
export SCRIBEFS
for part in levels messages json; do
	timeout 170 python3 "$HERE/rules_$part.py" "$U/ann" || failed "rules_$part.py"
done

# All of it is still so after a restart.
snapshot() { (cd "$U" && find . \( -name session.json -o -name '*.md' \) -exec sha256sum {} + | sort -k2) >"$1"; }
snapshot "$W/before"
remount
snapshot "$W/after"
check "every session.json and message is the same after a restart" diff "$W/before" "$W/after"
