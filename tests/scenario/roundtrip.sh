#!/bin/bash
# tar, cp and rsync out of the mount and back into a new store: DESIGN section 1, issue 2 item 2.
. "$(dirname "$0")/lib.sh"
need_tool tar rsync cp setfacl getfattr
setup

fill() {
	local s n
	for s in plain-words with-front-matter; do
		mkdir -p "$U/ann/chat/$s/messages"
	done
	for n in 001 002 003; do
		echo "question number $n, and what comes of it" >"$U/ann/chat/plain-words/messages/$n.md"
	done
	for n in 001 002 005; do
		printf -- '---\nid: m-%s\nrole: assistant\ntimestamp: 2025-03-0%sT09:10:11.500Z\ntokens: 12\nmood: fine\n---\nanswer %s\n' \
			"$n" "${n#00}" "$n" >"$U/ann/chat/with-front-matter/messages/$n.md"
	done
	printf -- '---\nrole: user\ntimestamp: 2025-03-09T01:02:03Z\n---\nHow do I tie a bowline?\n' \
		>"$U/ann/chat/with-front-matter/messages/006.md"
	mkdir -p "$U/ann/chat/empty/messages" "$U/bob/code/one/messages" "$U/ann/notes/zoo/messages"
	echo loose >"$U/ann/loose-file"
	ln -s chat "$U/ann/link-to-workflow"
	mkdir -p "$U/ann/.obsidian/plugins"
	echo '{}' >"$U/ann/.obsidian/app.json"
	python3 "$HERE/zoo.py" "$U/ann/notes/zoo/attachments"
	plain || {
		# A user's own title and keys, and a switch of agents, must come back too.
		python3 - "$U/bob/code/one/session.json" <<-'PY'
			import json, sys
			info = json.load(open(sys.argv[1]))
			info["title"] = "Bob's own title"
			info["metadata"]["colour"] = {"deep": ["green", 3, None]}
			open(sys.argv[1], "w").write(json.dumps(info))
		PY
		echo claude >"$U/bob/code/one/agent"
		echo codex >"$U/bob/code/one/agent"
		# … and an edit, after which the file says what was before: no copy of it may switch back.
		sed -i 's/"current": "codex"/"current": "reviewer"/' "$U/bob/code/one/session.json"
		printf 'tell me' >"$U/bob/code/one/messages/next.md"
		setfattr -n user.scribefs.keep -v 7 "$U/ann/chat" || failed "a policy on a folder can be set"
	}
	[ ! -x "$SHARED/samples/split-aider.py" ] || "$SHARED/samples/split-aider.py" "$W/aider" 2>/dev/null
	[ ! -d "$W/aider" ] || find "$W/aider/paul/aider" -mindepth 1 -maxdepth 1 | sort | tail -40 | {
		mkdir -p "$U/paul/aider"
		xargs cp -r -t "$U/paul/aider"
	}
}

cmp_trees() { python3 "$HERE/treecmp.py" "$@"; }
rsync_lists() { rsync --dry-run --itemize-changes "$@" 2>&1; }
tar_out() { tar --xattrs --xattrs-include='*' --acls -C "$1" -c . ; }
tar_in() { tar --xattrs --xattrs-include='*' --acls --warning=no-timestamp -C "$1" -xp; }

fill
remount
# Without --modify-window=-1 rsync takes times within one second to be equal.
sleep 1.1
OUT=$W/out
mkdir -p "$OUT/tar" "$OUT/cp" "$OUT/rsync"
must "tar reads the whole tree" bash -c "$(declare -f tar_out tar_in); set -o pipefail; tar_out '$U' | tar_in '$OUT/tar'"
must "cp -a reads the whole tree" cp -a "$U/." "$OUT/cp"
must "rsync -aHAX --checksum reads the whole tree" rsync -aHAX --checksum "$U/" "$OUT/rsync/"
for tool in tar cp rsync; do
	check "what $tool took out is identical" cmp_trees "$U" "$OUT/$tool"
done
empty "a second rsync -a out transfers nothing" "$(rsync_lists -a "$U/" "$OUT/rsync/")"
empty "a second rsync -aHAX --checksum out transfers nothing" "$(rsync_lists -aHAX --checksum "$U/" "$OUT/rsync/")"
must "plain rsync -a reads the whole tree" rsync -a "$U/" "$OUT/rsync-a/"
check "plain rsync -a takes all but attributes, ACLs and hard links" cmp -s \
	<(cd "$OUT/rsync-a" && find . -type f -exec sha256sum {} + | sort) \
	<(cd "$U" && find . -type f -exec sha256sum {} + | sort)

for tool in tar cp rsync rsync-a; do
	plain || {
		umount_store || die umount
		STORE=$W/store-$tool KEY=$W/key-$tool
		init_store "$STORE" "$KEY" || die "init for $tool"
		mount_store || die "mount for $tool"
	}
	plain && U=$W/back-$tool && mkdir "$U"
	case $tool in
	tar) check "tar writes into a new store" bash -c "$(declare -f tar_out tar_in); set -o pipefail; tar_out '$OUT/tar' | tar_in '$U'" ;;
	cp) check "cp -a writes into a new store" cp -a "$OUT/cp/." "$U" ;;
	rsync) check "rsync -aHAX --checksum writes into a new store" rsync -aHAX --checksum "$OUT/rsync/" "$U/" ;;
	rsync-a) check "plain rsync -a writes into a new store" rsync -a "$OUT/rsync-a/" "$U/" ;;
	esac
	for moment in "at once" "after a restart"; do
		check "what $tool brought back is identical, $moment" cmp_trees "$OUT/$tool" "$U"
		check "every session.json that $tool brought back is byte for byte the same, $moment" bash -c "
			cd '$OUT/$tool' && find . -name session.json -print0 | xargs -0 -I{} cmp {} '$U'/{}"
		empty "a second rsync -a in after $tool transfers nothing, $moment" "$(rsync_lists -a "$OUT/$tool/" "$U/")"
		[ "$moment" = "at once" ] && remount
	done
	plain || {
		same "the id of a message comes back with $tool" m-002 "$(xattr "$U/ann/chat/with-front-matter/messages/002.md" id)"
		same "the role comes back with $tool" assistant "$(xattr "$U/ann/chat/with-front-matter/messages/005.md" role)"
		same "numbers go on after the highest with $tool" 007 "$(
			echo more >"$U/ann/chat/with-front-matter/messages/next.md"
			[ -e "$U/ann/chat/with-front-matter/messages/007.md" ] && echo 007)"
		same "the count goes on with $tool" 5 "$(field "$U/ann/chat/with-front-matter/session.json" message_count)"
		same "the user's title stays the user's with $tool" "Bob's own title" "$(
			echo 'another first question' >"$U/bob/code/one/messages/001.md"
			field "$U/bob/code/one/session.json" title)"
		same "the history of agents comes back with $tool" reviewer "$(field "$U/bob/code/one/session.json" agent history -1 to)"
		same "the file of the agent adds no switch with $tool" "2 reviewer codex" "$(
			for key in switch_count current file; do field "$U/bob/code/one/session.json" agent $key; done | xargs)"
		[ "$tool" = rsync-a ] || same "a policy comes back with $tool" 7 "$(xattr "$U/ann/chat" keep)"
	}
done
