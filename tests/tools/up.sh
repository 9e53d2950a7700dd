#!/usr/bin/env bash
# mount-scripts/up and down, from nothing: without a terminal and on one; a killed daemon comes back.
. "$(dirname "$0")/lib.sh"
[ -c /dev/fuse ] || skip "no /dev/fuse"
need_tool python3 meson
setup_folder
export HOME=$W/home
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
mkdir "$HOME"
MNT=$HOME/scribefs
STORE=$HOME/.local/share/scribefs/store
up() { timeout 300 "$ROOT/mount-scripts/up" "$@" </dev/null; }
down() { timeout 120 "$ROOT/mount-scripts/down" "$@" </dev/null; }
undo() {
	local status=$?
	down --purge-units >/dev/null 2>&1
	(exit "$status")
	cleanup
}
trap undo EXIT

answers() { timeout 3 ls "$MNT/users" >/dev/null 2>&1; }
# The daemon is killed; three seconds later at most the mount answers again.
comes_back() {
	local pid began took
	pid=$(daemon_pid)
	began=$(date +%s%N)
	kill -9 "$pid"
	while ! answers || [ "$(daemon_pid)" = "$pid" ]; do
		[ $(($(date +%s%N) - began)) -lt 30000000000 ] || break
		sleep 0.02
	done
	took=$((($(date +%s%N) - began) / 1000000))
	check "$1: back after $took ms" test "$took" -lt 3000
	check "$1: the message is there" grep -q hello "$MNT/users/ann/chat/s/messages/001.md"
}
refuses_writes() {
	check_not "$1: a file does not land in the mountpoint" touch "$MNT/plain"
	empty "$1: it is empty" "$(ls -A "$MNT")"
}
guarded() {
	if [ "$(id -u)" = 0 ] && ! lsattr -d "$MNT" 2>/dev/null | grep -q '^[^ ]*i'; then
		echo "this filesystem has no chattr +i: root is not held back"
	else
		refuses_writes "$1"
	fi
}

up >out 2>err
same "up, from nothing, without a terminal" 0 $?
cat err
check "mounted" mountpoint -q "$MNT"
check "it says where the key file is" grep -q "$HOME/.config/scribefs/key" out
same "which is private" 600 "$(stat -c %a "$HOME/.config/scribefs/key")"
check "the recovery key is shown" grep -qE '^([0-9A-Z]{4}-){4,}' out
check "it says what to try" grep -q 'messages/next.md' out
check "how to unmount" grep -q 'mount-scripts/down' out
mkdir -p "$MNT/users/ann/chat/s" && echo hello >"$MNT/users/ann/chat/s/messages/next.md"
check "a message" grep -q hello "$MNT/users/ann/chat/s/messages/001.md"
pid=$(daemon_pid)
up >out 2>&1
same "up again" 0 $?
check "says so" grep -q already out
same "the same daemon" "$pid" "$(daemon_pid)"
comes_back "killed"
comes_back "killed once more"

(cd "$MNT/users" && exec sleep 1000) &
background $!
wait_for "it stands there" sh -c "readlink /proc/$!/cwd | grep -q users"
check_not "down of a busy mount" down
check "is still there" answers
kill $!
wait $! 2>/dev/null
check "down" down
check_not "unmounted" mountpoint -q "$MNT"
empty "no daemon" "$(daemon_pid)"
check "the store is there" test -e "$STORE/keyring"
guarded "down"
down >out
same "down of nothing" 0 $?
check "says that nothing was" grep -q 'was not mounted' out
up "$W/elsewhere" >out
same "up at another place" 0 $?
check "says how to unmount that" grep -q "mount-scripts/down $W/elsewhere" out
check "down of that" down "$W/elsewhere" --purge-units
check_not "not mounted there" mountpoint -q "$W/elsewhere"
check "up" up
check "the message is there" grep -q hello "$MNT/users/ann/chat/s/messages/001.md"

# Everything dies at once, the supervisor too.
for file in "$HOME"/.local/state/scribefs/*.pid; do
	[ ! -e "$file" ] || kill -9 "$(cat "$file")"
done
kill9_daemon
check_not "dead" answers
check "up after that" up
check "it answers" answers
check "down --purge-units" down --purge-units
check "an ordinary directory" touch "$MNT/plain"
rm -f "$MNT/plain"
empty "no settings" "$(find "$HOME/.config" -name '*.conf' -o -name '*.service')"
check "the key file stays" test -e "$HOME/.config/scribefs/key"
touch "$MNT/plain"
check_not "up on a directory with files" up
rm "$MNT/plain"

# On a terminal: a passphrase, typed twice; afterwards once.
typed() {
	mv "$HOME" "$W/home1" && mkdir "$HOME"
	on_terminal "$ROOT/mount-scripts/up" -- 'pass phrase' 'pass phrase' >shown
	same "up on a terminal" 0 $?
	check_not "no echo" grep -q 'pass phrase' shown
	check_not "no key file" test -e "$HOME/.config/scribefs/key"
	same "a passphrase slot" "0:passphrase 1:recovery" "$(key_types)"
	mkdir -p "$MNT/users/ann/chat/s" && echo hello >"$MNT/users/ann/chat/s/messages/next.md"
	comes_back "killed, with a passphrase"
	check_not "no process shows it" grep -qa 'pass phrase' /proc/[0-9]*/cmdline /proc/[0-9]*/environ
	check "down" down
	check_not "up without a terminal" up
	on_terminal "$ROOT/mount-scripts/up" -- wrong >shown
	check "a wrong passphrase is told" grep -q 'passphrase' shown
	check_not "not mounted" mountpoint -q "$MNT"
	on_terminal "$ROOT/mount-scripts/up" -- 'pass phrase' >shown
	same "the right one" 0 $?
	check "it answers" answers
	check "down" down --purge-units
}
! have_terminals || typed
exit
