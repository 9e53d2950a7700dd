#!/bin/bash
# git keeps a repository of thousands of files inside a session; its objects are created 0444.
. "$(dirname "$0")/lib.sh"
need_tool git
setup
S=$(session repository code)
R=$S/work
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org

tree() {
	python3 - "$1" "$2" <<-'PY'
		import os, random, sys
		base, count = sys.argv[1], int(sys.argv[2])
		dice = random.Random(3)
		for number in range(count):
		    folder = os.path.join(base, f"dir-{number % 60:02d}")
		    os.makedirs(folder, exist_ok=True)
		    with open(os.path.join(folder, f"file-{number:05d}.txt"), "wb") as f:
		        f.write(dice.randbytes(dice.choice((10, 300, 2000))).hex().encode() + b"\n")
		os.chmod(os.path.join(base, "dir-00", "file-00000.txt"), 0o755)
		os.symlink("dir-01/file-00001.txt", os.path.join(base, "link"))
	PY
}

must "git init" git init -q -b main "$R"
tree "$R" 3000
must "git add of 3,000 files" git -C "$R" add -A
must "git commit" git -C "$R" commit -qm one
empty "the work tree is clean" "$(git -C "$R" status --porcelain)"
for n in 00 07 59; do
	echo changed >>"$(find "$R/dir-$n" -name 'file-*' | sort | head -1)"
done
git -C "$R" rm -q "$(cd "$R" && find dir-05 -name 'file-*' | sort | head -1)"
must "a second commit" git -C "$R" commit -qam two
must "a branch, a merge" bash -ec "cd '$R'; git checkout -qb side HEAD~1; echo side >side; git add side
	git commit -qm side; git checkout -q main; git merge -q -m merged side"
must "git clone within the session" git clone -q "$R" "$S/clone"
must "git clone into another session" git clone -q "$R" "$(session other code)/clone"
must "git clone --no-hardlinks out of the mount" git clone -q --no-hardlinks "$R" "$W/outside"
must "git gc" git -C "$R" gc -q --prune=now
check "git fsck" git -C "$R" fsck --full --strict --no-dangling
check "git fsck of the clone" git -C "$S/clone" fsck --full --strict
remount
check "git fsck after a restart" git -C "$R" fsck --full --strict --no-dangling
empty "the work tree is clean after a restart" "$(git -C "$R" status --porcelain)"
same "four commits are there" 4 "$(git -C "$R" rev-list --count HEAD)"
check "the clones are alike" diff -r --exclude=.git "$S/clone" "$W/outside"
must "a push into the session" bash -ec "cd '$W/outside'; echo more >more; git add more; git commit -qm more
	git push -q origin HEAD:refs/heads/pushed"
same "what was pushed is there" "$(git -C "$W/outside" rev-parse HEAD)" "$(git -C "$R" rev-parse pushed)"
must "git worktree" git -C "$R" worktree add -q "$S/tree" pushed
check "the work tree of the branch has its file" test -s "$S/tree/more"
must "a repository of a whole workflow, .git at a session's level" bash -ec "cd '$U/ann'; mkdir -p notes/n1
	cd notes; git init -q -b main; echo x >n1/x; git add n1/x; git commit -qm x; git fsck --strict"
