#!/bin/bash
# What POSIX promises of files, names and permissions, through the mount; and all of it again after a restart.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" = 0 ] && ! plain; then
	setup -o allow_other
else
	setup
fi
S=$(session posix)
chmod 711 "$U" "$U/ann" "$U/ann/chat" "$S"

for part in data names rights; do
	mkdir "$S/$part"
	chmod 755 "$S/$part"
	if timeout 170 python3 "$HERE/posix_$part.py" "$S/$part" >"$W/$part" 2>&1; then
		cat "$W/$part"
	else
		cat "$W/$part"
		failed "posix_$part.py"
	fi
done
dump() { python3 "$HERE/treecmp.py" --dump "$S" >"$1"; }
dump "$W/before"
remount
dump "$W/after"
check "what the cases left is the same after a restart" diff "$W/before" "$W/after"
