#!/bin/bash
# vim edits messages, with its swap and backup files, and each is still that message.
. "$(dirname "$0")/lib.sh"
need_tool tmux vim
setup
S=$(session edited)
M=$S/messages
printf -- '---\nid: keep-me\nrole: assistant\n---\nThe first answer.\n' >"$M/001.md"
echo 'A question without front matter.' >"$M/002.md"
TMUX_SOCKET=$W/tmux

in_tmux() { tmux -S "$TMUX_SOCKET" -f /dev/null "$@"; }
keys() { in_tmux send-keys -t vim "$@"; }
lacks() { ! [ -e "$1" ]; }
ended() { ! in_tmux has-session -t vim 2>/dev/null; }

# edit FILE BACKUPCOPY TEXT
edit() {
	local name=${1##*/}
	in_tmux new-session -d -s vim -x 100 -y 30 \
		"vim -N -u NONE -c 'set backup writebackup swapfile backupdir=. directory=. backupcopy=$2' '$1'"
	wait_for "vim's swap file of $name shows up" test -e "${1%/*}/.$name.swp"
	keys G o "$3" Escape
	wait_for "vim shows the text" bash -c "tmux -S '$TMUX_SOCKET' capture-pane -p -t vim | grep -qF '$3'"
	keys ':w' Enter
	wait_for "vim has saved $name" grep -qF "$3" "$1"
	keys ':q' Enter
	wait_for "vim has ended" ended
	wait_for "vim's swap file of $name is gone" lacks "${1%/*}/.$name.swp"
}

for way in no yes auto; do
	id=$(plain || xattr "$M/002.md" id)
	edit "$M/001.md" "$way" "a line by vim, backupcopy=$way"
	edit "$M/002.md" "$way" "more of it, backupcopy=$way"
	check "the backup file of backupcopy=$way is there" test -e "$M/001.md~"
	check_not "vim's probe is gone after backupcopy=$way" test -e "$M/4913"
	plain || {
		same "001.md is still an answer after backupcopy=$way" assistant "$(xattr "$M/001.md" role)"
		same "001.md keeps its id after backupcopy=$way" keep-me "$(xattr "$M/001.md" id)"
		same "001.md keeps its name after backupcopy=$way" 001.md "$(xattr "$M/001.md" name)"
		same "002.md is still a question after backupcopy=$way" user "$(xattr "$M/002.md" role)"
		same "002.md, which has no front matter, keeps its id after backupcopy=$way" "$id" "$(xattr "$M/002.md" id)"
		same "there are two messages after backupcopy=$way" 2 "$(field "$S/session.json" message_count)"
	}
done
want=$(printf -- '---\nid: keep-me\nrole: assistant\n---\nThe first answer.\n'
	printf 'a line by vim, backupcopy=%s\n' no yes auto)
same "the bytes are those that vim wrote" "$want" "$(cat "$M/001.md")"
remount
same "and so they are after a restart" "$want" "$(cat "$M/001.md")"
plain && exit

# vim on session.json: a title that a person sets.
in_tmux new-session -d -s vim -x 100 -y 30 "vim -N -u NONE -c 'set backup backupdir=.' '$S/session.json'"
wait_for "vim's swap file of session.json shows up" test -e "$S/.session.json.swp"
keys ':%s/"title": *"[^"]*"/"title": "Set in vim"/' Enter ':wq' Enter
wait_for "vim has ended" ended
same "a title edited in vim is taken" "Set in vim" "$(field "$S/session.json" title)"
same "and no count with it" 2 "$(field "$S/session.json" message_count)"
