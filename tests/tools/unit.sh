#!/usr/bin/env bash
# up and down where systemd runs for the user: the unit mounts, brings a killed daemon back, and goes.
. "$(dirname "$0")/lib.sh"
[ -c /dev/fuse ] || skip "no /dev/fuse"
[ -x /lib/systemd/systemd ] || skip "no systemd"
need_root
if [ "${1:-}" != inside ]; then
	# A manager of our own, in a mount namespace in which the system looks booted by systemd.
	unshare --mount --propagation private true 2>/dev/null || skip "no mount namespace of our own"
	exec unshare --mount --propagation private "$0" inside
fi
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd && mkdir -p /run/systemd/system || skip "no mounts of our own"
setup_folder
export HOME=$W/home XDG_RUNTIME_DIR=$W/run
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME DBUS_SESSION_BUS_ADDRESS
mkdir "$HOME"
mkdir -m 700 "$XDG_RUNTIME_DIR"
MNT=$HOME/scribefs
STORE=$HOME/.local/share/scribefs/store
down() { timeout 120 "$ROOT/mount-scripts/down" "$@" </dev/null; }
undo() {
	local status=$?
	down --purge-units >/dev/null 2>&1
	(exit "$status")
	cleanup
}
trap undo EXIT
/lib/systemd/systemd --user >systemd.log 2>&1 </dev/null &
background $!
for _ in $(seq 50); do
	systemctl --user show-environment >/dev/null 2>&1 && break
	sleep 0.1
done
systemctl --user show-environment >/dev/null 2>&1 || skip "systemd does not run here: $(tail -n 1 systemd.log)"

answers() { timeout 3 ls "$MNT/users" >/dev/null 2>&1; }
running() { systemctl --user is-active --quiet 'scribefs@*'; }

must "up" timeout 300 "$ROOT/mount-scripts/up" </dev/null
check "the unit runs" running
check "it mounts at login" test -L "$(find "$HOME/.config/systemd/user" -path '*.wants/*')"
mkdir -p "$MNT/users/ann/chat/s"
pid=$(daemon_pid)
began=$(date +%s%N)
kill -9 "$pid"
until answers && [ "$(daemon_pid)" != "$pid" ]; do
	[ $(($(date +%s%N) - began)) -lt 30000000000 ] || break
	sleep 0.02
done
took=$((($(date +%s%N) - began) / 1000000))
check "killed: back after $took ms" test "$took" -lt 3000
check "what was made is there" test -d "$MNT/users/ann/chat/s/messages"

check "stopped: it ends well" systemctl --user stop 'scribefs@*'
check_not "unmounted" mountpoint -q "$MNT"
check_not "the unit has not failed" systemctl --user is-failed --quiet 'scribefs@*'
must "up again" timeout 300 "$ROOT/mount-scripts/up" </dev/null
check "it answers" answers
check "down" down
check_not "unmounted" mountpoint -q "$MNT"
check_not "the unit does not run" running
sleep 1.5
check_not "and does not come back" mountpoint -q "$MNT"
check "down --purge-units" down --purge-units
empty "nothing is left of it" "$(find "$HOME/.config" -name '*scribefs@*' -o -name '*.conf')"
exit
