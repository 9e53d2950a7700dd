#!/bin/bash
# tar --listed-incremental of the mount: the second archive holds what changed and nothing else.
. "$(dirname "$0")/lib.sh"
need_tool tar
setup
for n in 1 2 3; do
	S=$(session "s$n")
	for m in 001 002 003 004; do
		echo "session $n message $m" >"$S/messages/$m.md"
	done
	mkdir "$S/notes"
	echo "a note" >"$S/notes/note.txt"
done

# A mount has another device number each time, as with NFS; tar has an option for that.
pack() { tar --format=posix --listed-incremental="$W/list" --no-check-device -C "$MNT" -cf "$W/$1.tar" users; }
files() { tar -tf "$W/$1.tar" | grep -v '/$' | sort; }

sleep 1.1
must "a full archive" pack 0
cp "$W/list" "$W/list-0"
must "nothing changed: an archive at once" pack idle
empty "it holds no file" "$(files idle)"
cp "$W/list-0" "$W/list"
remount
must "nothing changed: an archive after a restart" pack idle
empty "it holds no file" "$(files idle)"
cp "$W/list-0" "$W/list"

echo "and more" >>"$U/ann/chat/s1/messages/002.md"
rm "$U/ann/chat/s2/notes/note.txt"
mv "$U/ann/chat/s3/notes" "$U/ann/chat/s3/papers"
echo new >"$U/ann/chat/s3/new.txt"
remount
must "the second archive" pack 1
want="users/ann/chat/s1/messages/002.md"
plain || want=$want$'\n'"users/ann/chat/s1/session.json"
want=$want$'\n'"users/ann/chat/s3/new.txt"
same "it holds what changed" "$want" "$(files 1 | grep -v /papers/)"
mkdir "$W/restored"
must "the first is unpacked" tar --listed-incremental=/dev/null -C "$W/restored" -xf "$W/0.tar"
must "and the second" tar --listed-incremental=/dev/null -C "$W/restored" -xf "$W/1.tar"
check "the trees are identical" python3 "$HERE/treecmp.py" --no-xattr --no-acl "$U" "$W/restored/users"
