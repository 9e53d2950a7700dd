#!/bin/bash
# Going back: restore of files, directories and sessions, forks, and what diff says, against copies that rsync made
# at the same moments; kill -9 in the middle; other users.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync setfattr getfattr setfacl
setup

# Copies a session and takes its snapshot, while nobody writes. $1: session, $2: name.
keep() {
	mkdir -p "$W/copies"
	rsync -aHAX --modify-window=-1 "$1/" "$W/copies/$2/" && mkdir "$1/.snapshots/$2"
}
# One line for everything in $1: bytes, modes, owners, times, links, xattrs. $2: what to leave out.
tree_of() {
	python3 - "$1" "${2:-}" <<-'PY'
		import hashlib, os, stat, sys
		top, links = sys.argv[1], {}
		for base, dirs, files in os.walk(top):
		    dirs.sort()
		    for name in sorted(dirs + files):
		        if name == sys.argv[2]:
		            continue
		        path = os.path.join(base, name)
		        st = os.lstat(path)
		        what = [os.path.relpath(path, top), oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
		        if stat.S_ISREG(st.st_mode):
		            what += [st.st_size, hashlib.sha256(open(path, 'rb').read()).hexdigest(), st.st_nlink]
		            if st.st_nlink > 1:
		                what.append('same as ' + links.setdefault(st.st_ino, what[0]))
		        if stat.S_ISLNK(st.st_mode):
		            what.append(os.readlink(path))
		        for key in sorted(os.listxattr(path, follow_symlinks=False)):
		            what.append((key, os.getxattr(path, key, follow_symlinks=False)))
		        print(*what)
	PY
}
is_copy() { diff <(tree_of "$1" "${3:-}") <(tree_of "$W/copies/$2" "${3:-}"); }
# What a look at everything in two trees says, in the words of `scribefs diff`. $3, $4: a directory that was moved.
plain_diff() {
	python3 - "$@" <<-'PY' | sort -u -k2 -k1,1
		import filecmp, os, stat, sys
		def tree(top):
		    out = {}
		    for base, dirs, files in os.walk(top):
		        for name in dirs + files:
		            path = os.path.join(base, name)
		            out[os.path.relpath(path, top) + ('/' if os.path.isdir(path) and not os.path.islink(path) else '')] = path
		    return out
		a, b = tree(sys.argv[1]), tree(sys.argv[2])
		old, new = sys.argv[3] + '/', sys.argv[4] + '/'
		print('D', old)
		print('A', new)
		a = {new + n[len(old):] if n.startswith(old) else n: path for n, path in a.items()}
		for name in sorted(a.keys() | b.keys()):
		    if name not in a: print('A', name)
		    elif name not in b: print('D', name)
		    else:
		        x, y = os.lstat(a[name]), os.lstat(b[name])
		        xa = {k: os.getxattr(a[name], k, follow_symlinks=False) for k in os.listxattr(a[name], follow_symlinks=False)}
		        ya = {k: os.getxattr(b[name], k, follow_symlinks=False) for k in os.listxattr(b[name], follow_symlinks=False)}
		        same = x.st_mode == y.st_mode and xa == ya
		        if stat.S_ISREG(x.st_mode): same = same and filecmp.cmp(a[name], b[name], shallow=False)
		        if stat.S_ISLNK(x.st_mode): same = same and os.readlink(a[name]) == os.readlink(b[name])
		        if not same: print('M', name)
	PY
}
# … of which renames are taken apart, and '.' left out.
our_diff() {
	"$SCRIBEFS" diff "$1" "$2" | sed -nE 's/^R (.*) -> (.*)$/D \1\nA \2/; /^M \.$|^M \.\/$/d; p' | sort -u -k2 -k1,1
}
id_of() { field "$1/session.json" session_id; }

# On a busy machine one would come in between, and be the newest that differs.
must "no automatic snapshots" "$SCRIBEFS" set autosnapshot=none "$U"
S=$(session one)
echo 'How do I begin?' >"$S/messages/next.md"
printf -- '---\nrole: assistant\ntokens: 7\n---\nLike this.\n' >"$S/messages/next.md"
head -c 300000 /dev/urandom >"$S/data"
truncate -s 5000000 "$S/sparse"
printf end >>"$S/sparse"
ln "$S/data" "$S/linked"
ln -s data "$S/link"
mkfifo "$S/pipe"
mkdir -p "$S/notes/deep"
echo note >"$S/notes/deep/a"
echo other >"$S/notes/b"
setfattr -n user.color -v red "$S/notes/deep/a"
setfacl -m u:12345:r "$S/notes/deep/a"
touch -d '2001-02-03 04:05:06.789' "$S/notes/deep/a"
setfattr -n user.mark -v first "$S"
cat "$S/session.json" >/dev/null
must "the first snapshot" keep "$S" first
ID=$(id_of "$S")

change() {
	echo more >>"$S/messages/001.md"
	echo Thanks >"$S/messages/next.md"
	rm "$S/messages/002.md" "$S/data"
	printf changed | dd of="$S/linked" bs=1 seek=100000 conv=notrunc status=none
	chmod 600 "$S/notes/deep/a"
	setfattr -n user.color -v blue "$S/notes/deep/a"
	mv "$S/notes/deep" "$S/deep"
	mv "$S/notes/b" "$S/notes/c"
	mkdir "$S/new"
	echo new >"$S/new/file"
	ln -sfn sparse "$S/link"
	setfattr -n user.mark -v second "$S"
}

echo "-- diff"
empty "nothing changed" "$("$SCRIBEFS" diff "$S@first" "$S")"
change
cat "$S/session.json" >/dev/null
must "the second snapshot" keep "$S" second
same "snapshot to present" "$(plain_diff "$W/copies/first" "$W/copies/second" notes/deep deep)" "$(our_diff "$S@first" "$S")"
same "snapshot to snapshot" "$(plain_diff "$W/copies/first" "$W/copies/second" notes/deep deep)" \
	"$(our_diff "$S@first" "$S@second")"
same "the other way" "$(plain_diff "$W/copies/second" "$W/copies/first" deep notes/deep)" \
	"$(our_diff "$S@second" "$S@first")"
check "renames are told" grep -qx 'R notes/b -> notes/c' <("$SCRIBEFS" diff "$S@first" "$S")
check "of a directory, too" grep -qx 'R notes/deep/ -> deep/' <("$SCRIBEFS" diff "$S@first" "$S")
same "a file" "M ." "$("$SCRIBEFS" diff "$S/messages/001.md@first" "$S/messages/001.md")"
mkdir -p "$U/ann/.trash"
mkdir "$U/.snapshots/everything" "$U/ann/chat/.snapshots/w"
T=$(session two)
echo hi >"$T/messages/next.md"
echo hi >"$S/new/late"
same "of all users" $'A ann/chat/one/new/late\nA ann/chat/two/' \
	"$("$SCRIBEFS" diff "$U@everything" "$U" | grep -v 'two/.' | sort)"
check "as JSON" python3 -c 'import json,sys; assert any(c["status"] == "R" and c["from"] for c in json.load(sys.stdin)["changes"])' \
	< <("$SCRIBEFS" diff "$S@first" "$S" --json)
rm "$S/new/late"

echo "-- a file"
check "put back" "$SCRIBEFS" restore "$S/messages/001.md@first"
same "it is as it was" "How do I begin?" "$(cat "$S/messages/001.md")"
check "a removed one" "$SCRIBEFS" restore "$S/messages/002.md"
same "is there again" 7 "$(field "$S/session.json" metadata total_tokens | awk '{ print ($1 >= 7) ? 7 : $1 }')"
check "a directory that was moved" "$SCRIBEFS" restore "$S/notes@first"
same "with what it had" "note other" "$(cat "$S/notes/deep/a" "$S/notes/b" | xargs)"
same "with its attributes" red "$(getfattr --absolute-names --only-values -n user.color "$S/notes/deep/a")"
check "what was there is kept" test -e "$(find "$S/.snapshots/" -maxdepth 1 -name 'before-restore-*' | sort | tail -n 1)/notes/c"
refused "session.json goes with its session" "$SCRIBEFS" restore "$S/session.json@first"
refused "a snapshot that is not there" "$SCRIBEFS" restore "$S@nowhere"
refused ".trash goes with its user" "$SCRIBEFS" restore "$U/ann/.trash@everything"

echo "-- a session"
exec 5>>"$S/messages/003.md"
check "put back" "$SCRIBEFS" restore "$S@first"
echo late >&5
exec 5>&-
check "is the copy" is_copy "$S" first
same "its mark as well" first "$(getfattr --absolute-names --only-values -n user.mark "$S")"
same "its id" "$ID" "$(id_of "$S")"
same "its messages" 2 "$(field "$S/session.json" message_count)"
check "nothing is left" test -z "$(find "$S" -maxdepth 1 -name '.restore-*')"
check "the second snapshot is there still" is_copy "$S/.snapshots/second" second
check "and back again" "$SCRIBEFS" restore "$S@second"
check "is the other copy" is_copy "$S" second
echo 'one more' >"$S/messages/next.md"
same "numbers go on" "one more" "$(cat "$S/messages/004.md")"
same "and are counted" 3 "$(field "$S/session.json" message_count)"
check "without a name: the newest that differs" "$SCRIBEFS" restore "$S"
check "is the second" is_copy "$S" second
same "saves are merged as ever" "$ID" "$(python3 - "$S/session.json" <<-'PY'
	import json, sys
	d = json.load(open(sys.argv[1]))
	d['title'] = 'Mine'
	json.dump(d, open(sys.argv[1], 'w'))
	print(json.load(open(sys.argv[1]))['session_id'])
PY
)"
same "with the title" Mine "$(field "$S/session.json" title)"

echo "-- a removed session"
"$SCRIBEFS" restore "$S@first" >/dev/null
mkdir "$U/.snapshots/before"
rm -r "$S"
check "comes back from its user's" "$SCRIBEFS" restore "$S"
check "as it was" is_copy "$S" first
same "with its id" "$ID" "$(id_of "$S")"
check "and takes snapshots" mkdir "$S/.snapshots/again"

G=$(session gone)
echo 'only I know' >"$G/messages/next.md"
cat "$G/session.json" >/dev/null
must "a session that no other place's snapshot has" keep "$G" gone
GID=$(id_of "$G")
rm -r "$G"
refused "has no path any more" "$SCRIBEFS" restore "$G"
RECOVERY=$("$SCRIBEFS" snapshot list "$U/ann" --removed --json | python3 -c '
import json, sys
print([s["recovery_id"] for s in json.load(sys.stdin)["snapshots"] if s["session_id"] == sys.argv[1]][-1])' "$GID")
refused "an id that is none" "$SCRIBEFS" restore "$G@RECOVERY-010203-001-040506"
refused "not over what is there" "$SCRIBEFS" restore "$S@$RECOVERY"
check "comes back by its recovery id" "$SCRIBEFS" restore "$U/ann/found/again@$RECOVERY"
check "as it was" is_copy "$U/ann/found/again" gone session.json
same "with its id" "$GID" "$(id_of "$U/ann/found/again")"
rm -r "$U/ann/found"

echo "-- forks"
must "of the present" "$SCRIBEFS" fork "$S" forked
F=$U/ann/chat/forked
check "all but session.json is the same" is_copy "$F" first session.json
check_not "it has an id of its own" test "$(id_of "$F")" = "$ID"
same "which says whose it is" "$ID" "$(field "$F/session.json" forked_from session_id)"
same "and counts the messages" 2 "$(field "$F/session.json" message_count)"
check "of a snapshot, elsewhere" "$SCRIBEFS" fork "$S@again" "$U/ann/jobs/other"
same "says of which" again "$(field "$U/ann/jobs/other/session.json" forked_from snapshot)"
echo own >"$F/messages/next.md"
same "writing in one is not writing in the other" 2 "$(field "$S/session.json" message_count)"
refused "not over what is there" "$SCRIBEFS" fork "$S" forked
check "removed like others" rm -r "$F"

echo "-- kill -9 in the middle"
for i in 1 2 3 4 5 6; do
	name=$([ $((i % 2)) = 1 ] && echo k2 || echo k1)
	if [ "$i" = 1 ]; then
		keep "$S" k1
		for n in $(seq 40); do head -c 50000 /dev/urandom >"$S/big$n"; echo "$n" >"$S/messages/next.md"; done
		cat "$S/session.json" >/dev/null
		keep "$S" k2
		name=k1
	fi
	"$SCRIBEFS" restore "$S@$name" >/dev/null 2>&1 &
	tool=$!
	sleep 0.0$((i * 3))
	kill9_daemon
	wait "$tool"
	detach_mount
	must "mounted again ($i)" mount_store
	if is_copy "$S" k1 session.json >/dev/null || is_copy "$S" k2 session.json >"$W/.differs"; then
		echo "ok: it is the one or the other"
	else
		failed "neither before nor after"
		head -20 "$W/.differs"
	fi
	same "its count is right" "$(find "$S/messages" -name '[0-9]*.md' | wc -l)" "$(field "$S/session.json" message_count)"
	empty "nothing hidden is left" "$(find "$S" -maxdepth 1 -name '.restore-*')"
done

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	echo "-- another user"
	umount_store
	mount_store -o allow_other
	as() { setpriv --reuid=12345 --regid=12345 --clear-groups "$@"; }
	chmod 755 "$MNT" "$U" "$U/ann" "$U/ann/chat" "$S" "$S/messages" 2>/dev/null
	echo mine >"$S/messages/next.md"
	check_not "cannot put back what is not his" as "$SCRIBEFS" restore "$S@k1"
	check_not "nor a file" as "$SCRIBEFS" restore "$S/messages/001.md@k1"
	chmod 777 "$U/ann/chat"
	check_not "nor fork it" as "$SCRIBEFS" fork "$S@k1" stolen
	check_not "of which nothing is left" test -e "$U/ann/chat/stolen"
fi

umount_store
check "all is well" "$SCRIBEFS" fsck "$STORE" --key-file "$KEY"
exit 0
