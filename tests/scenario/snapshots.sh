#!/bin/bash
# .snapshots/ on a mount: each snapshot is what an rsync copy of its place was at the same moment, through edits,
# removals, moves and restarts, and through kill -9 around taking, dropping and sweeping.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool rsync setfattr getfattr setfacl
setup
# Only those that are taken here.
"$SCRIBEFS" set autosnapshot=none user_autosnapshot=none store_autosnapshot=none "$U" || die "the policies"

# Copies a place, and takes its snapshot, while nobody writes. $1: place, $2: name.
keep() {
	mkdir -p "$W/copies"
	# Times to the nanosecond, also where they are of the second in which the copy is made.
	rsync -aHAX --modify-window=-1 "$1/" "$W/copies/$2/" && mkdir "$1/.snapshots/$2"
}
# The top's own times are those of the snapshot: treecmp is given what is below it.
is_copy() { diff <(tree_of "$1") <(tree_of "$W/copies/$2"); }
# One line for everything below $1: bytes, modes, owners, times, links, xattrs, ACLs.
tree_of() {
	python3 - "$1" <<-'PY'
		import hashlib, os, stat, sys
		top, links = sys.argv[1], {}
		for base, dirs, files in os.walk(top):
		    dirs.sort()
		    for name in sorted(dirs + files):
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

S=$(session one)
T=$(session two)
O=$(session other jobs)

echo "-- a day"
echo 'How do I begin?' >"$S/messages/next.md"
printf -- '---\nrole: assistant\n---\nLike this.\n' >"$S/messages/next.md"
head -c 300000 /dev/urandom >"$S/data"
truncate -s 5000000 "$S/sparse"
printf end >>"$S/sparse"
ln "$S/data" "$S/linked"
ln -s data "$S/link"
mkdir -p "$S/notes/deep"
echo note >"$S/notes/deep/a"
setfattr -n user.color -v red "$S/notes/deep/a"
setfacl -m u:12345:r "$S/notes/deep/a"
touch -d '2001-02-03 04:05:06.789' "$S/notes/deep/a"
check "a session's snapshot" keep "$S" before
check "a workflow's" keep "$U/ann/chat" w-before
check "a user's" keep "$U/ann" u-before
check "of everything" keep "$U" all-before
echo more >>"$S/messages/001.md"
echo Thanks >"$S/messages/next.md"
rm "$S/messages/002.md" "$S/data"
printf changed | dd of="$S/linked" bs=1 seek=100000 conv=notrunc status=none
truncate -s 1000 "$S/sparse"
chmod 600 "$S/notes/deep/a"
setfattr -n user.color -v blue "$S/notes/deep/a"
mv "$S/notes/deep" "$S/deep"
rmdir "$S/notes"
echo new >"$S/link.new" && mv "$S/link.new" "$S/link"
check "a second one" keep "$S" after
check "another of the user" keep "$U/ann" u-after
mv "$S" "$U/ann/jobs/moved"
echo moved >"$U/ann/jobs/moved/messages/next.md"
rm -r "$T"
mv "$U/ann/chat" "$U/ann/talk"
rm -r "$O"

M=$U/ann/jobs/moved
verify() {
	check "$1: a session before" is_copy "$M/.snapshots/before" before
	check "$1: and after" is_copy "$M/.snapshots/after" after
	check "$1: a workflow" is_copy "$U/ann/talk/.snapshots/w-before" w-before
	check "$1: a user before" is_copy "$U/ann/.snapshots/u-before" u-before
	check "$1: a user after" is_copy "$U/ann/.snapshots/u-after" u-after
	check "$1: everything" is_copy "$U/.snapshots/all-before" all-before
}
verify "later"
inodes=$(find "$U/.snapshots" -printf '%i %P\n' | sort)
must "umount" umount_store
check "fsck leaves the past alone" "$SCRIBEFS" fsck --repair "$STORE" --key-file "$KEY"
must "mount" mount_store
verify "after a restart"
same "inode numbers are stable" "$inodes" "$(find "$U/.snapshots" -printf '%i %P\n' | sort)"
kill9_daemon
detach_mount
must "mount after kill -9" mount_store
verify "after kill -9"
same "one file has another number in each snapshot" 2 \
	"$(stat -c %i "$M/.snapshots/before/linked" "$M/.snapshots/after/linked" | sort -u | wc -l)"
same "a copy of a snapshot is that" "" "$(cp -a "$M/.snapshots/before" "$W/cp" && diff -r "$W/cp" "$W/copies/before" 2>&1)"
check "tar reads one while others write" tar -C "$M/.snapshots/after" --xattrs --acls -cf "$W/t.tar" .

echo "-- the directory"
empty "it is not listed" "$(find "$U" -name .snapshots)"
check "ls lists what is in it" test "$(ls "$M/.snapshots" | tr '\n' ' ')" = "after before "
check "when it was taken" test "$(stat -c %Y "$M/.snapshots/after")" -ge "$(stat -c %Y "$W/copies/after/messages")"
check "by a time" test "$(stat -c %i "$M/.snapshots/@now")" = "$(stat -c %i "$M/.snapshots/after")"
check "by a time that it had" test "$(stat -c %i "$M/.snapshots/@$(date -u -d "@$(stat -c %.9Y "$M/.snapshots/before")" +%FT%T.%NZ)")" = \
	"$(stat -c %i "$M/.snapshots/before")"
check_not "none is so old" ls "$M/.snapshots/@2001-01-01T00:00:00Z"
check_not "no time" ls "$M/.snapshots/@soon"
check_not "a name twice" mkdir "$M/.snapshots/after"
check_not "a name that is a time" mkdir "$M/.snapshots/@x"
check_not "nothing else is made in it" touch "$M/.snapshots/file"
check "mv renames" mv "$M/.snapshots/after" "$M/.snapshots/later"
check "and it is that" is_copy "$M/.snapshots/later" after
check_not "not over another" mv -T "$M/.snapshots/later" "$M/.snapshots/before"
check_not "nor out of it" mv "$M/.snapshots/later" "$M/x"
check_not "none in what is no place" ls "$M/deep/.snapshots"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	remount -o allow_other
	chmod 755 "$U" "$U/ann" "$U/ann/jobs" "$M"
	check_not "who may not write in the place takes none" setpriv --reuid=12345 --clear-groups mkdir "$M/.snapshots/x"
	check_not "and drops none" setpriv --reuid=12345 --clear-groups rmdir "$M/.snapshots/later"
fi

echo "-- read-only"
P=$M/.snapshots/before
readonly_error() {
	local out
	out=$("$@" 2>&1) && return 1
	[[ $out == *"Read-only file system"* ]]
}
check "create" readonly_error touch "$P/new"
check "append" readonly_error bash -c "echo x >>'$P/data'"
check "truncate" readonly_error truncate -s 0 "$P/data"
check "mkdir" readonly_error mkdir "$P/d"
check "unlink" readonly_error rm -f "$P/data"
check "rmdir" readonly_error rmdir "$P/messages"
check "rename" readonly_error mv "$P/data" "$P/data2"
check "link" readonly_error ln "$P/data" "$P/data2"
check "symlink" readonly_error ln -s x "$P/s"
check "chmod" readonly_error chmod 600 "$P/data"
check "utimes" readonly_error touch -h -d 2001-01-01 "$P/link"
check "setfattr" readonly_error setfattr -n user.a -v b "$P/data"
check "mkfifo" readonly_error mkfifo "$P/fifo"
check "next.md" readonly_error bash -c "echo x >'$P/messages/next.md'"
check "it is as it was" is_copy "$P" before

echo "-- dropping"
exec 5<"$M/.snapshots/later/linked"
check "rmdir of one that is not empty" rmdir "$M/.snapshots/later"
check_not "its name is gone" ls "$M/.snapshots/later"
exec 5<&-
check "the other is whole" is_copy "$M/.snapshots/before" before
check "everything is dropped but that" rmdir "$U/ann/.snapshots/u-before" "$U/ann/.snapshots/u-after" \
	"$U/ann/talk/.snapshots/w-before" "$U/.snapshots/all-before"
check "the other is whole still" is_copy "$M/.snapshots/before" before

echo "-- kill -9 around taking, dropping and sweeping"
K=$(session killed)
for n in 1 2; do
	for i in 1 2 3 4 5 6 7 8; do head -c $((RANDOM * 4)) /dev/urandom >"$K/f$i"; done
	check "round $n" keep "$K" "k$n"
	(
		i=0
		while mkdir "$K/.snapshots/x$n-$i" 2>/dev/null; do
			echo $i >"$K/count" 2>/dev/null
			head -c 50000 /dev/urandom >"$K/f$((i % 8 + 1))" 2>/dev/null
			[ $((i % 3)) = 0 ] || rmdir "$K/.snapshots/x$n-$((i - 1))" 2>/dev/null
			i=$((i + 1))
		done
	) &
	background $!
	sleep "0.$((RANDOM % 8 + 1))"
	kill9_daemon
	detach_mount
	must "mount after kill -9 number $n" mount_store
	for i in $(seq 1 $n); do
		check "k$i is whole" is_copy "$K/.snapshots/k$i" "k$i"
	done
	for x in "$K"/.snapshots/x*; do
		[ -e "$x" ] || continue
		tree_of "$x" >"$W/x1" 2>&1 || failed "$x cannot be read"
		check "drop ${x##*/}" rmdir "$x"
	done
done
rm -r "$K"
check "the last one of a removed session stays" test ! -e "$K"
remount
check "all is well" ls -R "$U"
