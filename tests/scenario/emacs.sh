#!/bin/bash
# emacs edits a message, with its lock link, auto-save and backup files, and it is still that message.
. "$(dirname "$0")/lib.sh"
need_tool tmux emacs
setup
S=$(session edited)
M=$S/messages
printf -- '---\nid: keep-me\nrole: assistant\n---\nThe first answer.\n' >"$M/001.md"
echo 'A question without front matter.' >"$M/002.md"
TMUX_SOCKET=$W/tmux

in_tmux() { tmux -S "$TMUX_SOCKET" -f /dev/null "$@"; }
keys() { in_tmux send-keys -t emacs "$@"; }
shows() { in_tmux capture-pane -p -t emacs | grep -qF "$1"; }
is_link() { [ -L "$1" ]; }
lacks() { ! [ -e "$1" ] && ! [ -L "$1" ]; }
ended() { ! in_tmux has-session -t emacs 2>/dev/null; }

# edit FILE BY-COPYING TEXT
edit() {
	local dir=${1%/*} name=${1##*/}
	HOME=$W in_tmux new-session -d -s emacs -x 100 -y 30 "HOME=$W emacs -nw -Q \
		--eval '(setq make-backup-files t backup-by-copying $2 auto-save-default t create-lockfiles t)' '$1'"
	wait_for "emacs shows $name" shows "$name"
	wait_for "emacs shows the content" shows "e"
	keys M-\> "$3" Enter
	wait_for "emacs' lock of $name shows up" is_link "$dir/.#$name"
	wait_for "emacs shows the text" shows "$3"
	keys M-x "do-auto-save" Enter
	wait_for "emacs' auto-save file of $name shows up" test -e "$dir/#$name#"
	keys C-x C-s
	wait_for "emacs has saved $name" grep -qF "$3" "$1"
	keys C-x C-c
	wait_for "emacs has ended" ended
	wait_for "the lock of $name is gone" lacks "$dir/.#$name"
	wait_for "the auto-save file of $name is gone" lacks "$dir/#$name#"
}

for copying in nil t; do
	id=$(plain || xattr "$M/002.md" id)
	edit "$M/001.md" "$copying" "a line by emacs, copying $copying"
	edit "$M/002.md" "$copying" "more of it, copying $copying"
	check "the backup file is there, copying $copying" test -e "$M/001.md~"
	plain || {
		same "001.md is still an answer, copying $copying" assistant "$(xattr "$M/001.md" role)"
		same "001.md keeps its id, copying $copying" keep-me "$(xattr "$M/001.md" id)"
		same "001.md keeps its name, copying $copying" 001.md "$(xattr "$M/001.md" name)"
		same "002.md, which has no front matter, keeps its id, copying $copying" "$id" "$(xattr "$M/002.md" id)"
		same "there are two messages, copying $copying" 2 "$(field "$S/session.json" message_count)"
	}
done
want=$(printf -- '---\nid: keep-me\nrole: assistant\n---\nThe first answer.\n'
	printf 'a line by emacs, copying %s\n' nil t)
same "the bytes are those that emacs wrote" "$want" "$(cat "$M/001.md")"
remount
same "and so they are after a restart" "$want" "$(cat "$M/001.md")"
