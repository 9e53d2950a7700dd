#!/bin/bash
# A hostile neighbour: a user who has no right to anything on the mount, and one who has a session there and
# means harm. What is others' stays closed, the daemon stays small and serves, no path leads it astray.
. "$(dirname "$0")/lib.sh"
need_mount
need_root
need_tool setpriv
ANN=21001 EVE=21666

as() {
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env HOME=/ "$@"
}
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status"; } # KiB
below() { [ "$(rss)" -lt "$1" ] || { echo "VmRSS is $(rss) KiB"; return 1; }; }
serves() { as $ANN grep -q secret "$S/messages/001.md"; }

setup
S=$(session hers)
echo 'secret of hers' >"$S/messages/next.md"
echo note >"$S/notes"

# ---- a mount that is its owner's alone ----------------------------------------------------------------
same "modes as they are made, with a umask of 022" "700 700 700 600" \
	"$(stat -c %a "$U" "$U/ann" "$S/messages" "$S/session.json" | xargs)"
for path in "$MNT" "$MNT/README.md" "$U" "$S" "$S/messages/001.md" "$U/ann/chat/none" "$U/nobody"; do
	same "without allow_other: ${path#"$W"}" "Permission denied" \
		"$(as $EVE stat "$path" 2>&1 | sed 's/.*: //')"
done
check_not "nor is the daemon's memory to be read" as $EVE cat "/proc/$(daemon_pid)/maps"
check_not "nor what it has open" as $EVE ls "/proc/$(daemon_pid)/fd"
check_not "nor the store" as $EVE ls "$STORE"

# ---- allow_other, ann's own things ---------------------------------------------------------------------
remount -o allow_other
chown -R $ANN:$ANN "$U/ann"
chmod 711 "$U"
python3 - "$U/ann" $EVE <<'PY' || failed "something of ann's can be told apart from what does not exist"
import ctypes, errno, os, sys
base, eve = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
def attempt(function, *args):
    try:
        function(*args)
        return 0
    except OSError as error:
        return error.errno
def handle(path):
    buf = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(buf, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, os.fsencode(path), buf, ctypes.byref(mount), 0) < 0:
        raise OSError(ctypes.get_errno(), "handle")
os.setgroups([]); os.setresgid(eve, eve, eve); os.setresuid(eve, eve, eve)
calls = [os.stat, os.lstat, os.listdir, os.readlink, os.unlink, os.rmdir, os.mkdir, os.listxattr, handle,
         lambda p: os.open(p, os.O_RDONLY), lambda p: os.open(p, os.O_PATH), lambda p: os.open(p, os.O_CREAT | os.O_WRONLY),
         lambda p: os.rename(p, p + "x"), lambda p: os.rename(p, "/tmp/taken"), lambda p: os.link(p, "/tmp/taken"),
         lambda p: os.symlink("x", p), lambda p: os.chmod(p, 0o777), lambda p: os.chown(p, eve, eve),
         lambda p: os.truncate(p, 0), lambda p: os.utime(p), lambda p: os.getxattr(p, "user.scribefs.title"),
         lambda p: os.setxattr(p, "user.x", b""), os.statvfs, lambda p: os.access(p, os.F_OK) or os.stat(p)]
bad = 0
for there, missing in (("chat", "none"), ("chat/hers", "chat/none"), ("chat/hers/messages/001.md", "chat/none/x")):
    for n, call in enumerate(calls):
        one, other = attempt(call, f"{base}/{there}"), attempt(call, f"{base}/{missing}")
        if one != other or one != errno.EACCES:
            print(f"call {n} on {there}: {errno.errorcode.get(one, one)}; on {missing}: {errno.errorcode.get(other, other)}")
            bad += 1
sys.exit(bad > 0)
PY
echo "ok: what is ann's cannot be told apart from what does not exist"
check_not "scribefs new does not help" as $EVE "$SCRIBEFS" new "$U/ann/chat"
check_not "nor does the status of a path of ann's" as $EVE "$SCRIBEFS" status "$S"
check_not "nor can the mount be taken away" as $EVE "$SCRIBEFS" umount "$MNT"
check "it serves" serves

# ---- eve has a session of her own ----------------------------------------------------------------------
mkdir "$U/eve"
chown $EVE:$EVE "$U/eve"
E=$U/eve/chat/bad
as $EVE mkdir -p "$E"
before=$(rss)

# Open files cost the opener, whose limits hold, and the daemon little.
as $EVE python3 - "$E" >"$W/opens" <<'PY'
import os, resource, sys
base = sys.argv[1]
limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
for n in range(2000):
    with open(f"{base}/f{n}", "wb") as f:
        f.write(b"x" * 4000)
children, (r, w), (r2, w2) = [], os.pipe(), os.pipe()
for _ in range(10):
    if (pid := os.fork()) == 0:
        n = 0
        try:
            while True:
                os.open(f"{base}/f{n % 2000}", os.O_RDWR)
                n += 1
        except OSError as error:
            os.write(w, f"{n} {error.errno}\n".encode())
        os.close(w2)
        os.read(r2, 1)
        os._exit(0)
    children.append(pid)
os.close(w)
got = b""
while got.count(b"\n") < len(children):
    got += os.read(r, 4096)
total = sum(int(line.split()[0]) for line in got.decode().splitlines())
status = [f for f in os.listdir("/proc") if f.isdigit()]
print(total, sorted({int(line.split()[1]) for line in got.decode().splitlines()}), flush=True)
sys.stdin.close()
os.close(w2)
for pid in children:
    os.waitpid(pid, 0)
PY
same "opens end at the opener's limit (EMFILE), not at the daemon's" "[24]" "$(cut -d' ' -f2- "$W/opens")"
check "$(cut -d' ' -f1 "$W/opens") open files leave the daemon below 500 MiB" below 512000
check "it serves" serves

# A tree thousands of levels deep.
as $EVE python3 - "$E" <<'PY' || failed "a deep tree"
import os, sys
os.chdir(sys.argv[1])
os.mkdir("deep")
here = os.open("deep", os.O_RDONLY)
for n in range(3000):
    os.mkdir("d", dir_fd=here)
    below = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    here = below
os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here))
os.rename("deep", "deeper")
try:
    os.rename("deeper", f"/proc/self/fd/{here}/loop")
    sys.exit("a directory went below itself")
except OSError:
    pass
PY
check "it is removed again" as $EVE rm -rf "$E/deeper"
check "it serves" serves

# Huge attributes, as many as there is room for.
as $EVE python3 - "$E" <<'PY' || failed "huge attributes"
import errno, os, sys
made = 0
for f in range(20):
    path = f"{sys.argv[1]}/f{f}"
    for n in range(1000):
        try:
            os.setxattr(path, f"user.{n}", b"v" * 65536)
            made += 1
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            break
    else:
        sys.exit("no end of attributes")
print(made)
PY
check "attributes leave the daemon below 500 MiB" below 512000
as $EVE find "$E" -name 'f*' -delete

# Names that would talk to a terminal, or break a line.
nasty=$(printf 'a\nb\033[31mred\007\r\302\233x')
check "such names are names" as $EVE mkdir "$E/$nasty"
as $EVE "$SCRIBEFS" new "$E/$nasty" >"$W/said" 2>&1
as $EVE "$SCRIBEFS" status "$E/$nasty/none" >>"$W/said" 2>&1
as $EVE "$SCRIBEFS" mount "$E/$nasty" "$E/$nasty" --key-file "$E/$nasty/key" >>"$W/said" 2>&1
as $EVE "$SCRIBEFS" umount "$E/$nasty" >>"$W/said" 2>&1
as $EVE "$SCRIBEFS" init "$E/$nasty/deep/er" --key-file /dev/null >>"$W/said" 2>&1
as $EVE "$SCRIBEFS" key list "$E/$nasty" >>"$W/said" 2>&1
( cd "$E/$nasty" && exec setpriv --reuid $EVE --regid $EVE --clear-groups sleep 100 ) &
background $!
wait_for "somebody stands in it" sh -c "readlink /proc/$!/cwd | grep -q red"
"$SCRIBEFS" umount "$MNT" >>"$W/said" 2>&1
kill $!
check "the tools said something" test -s "$W/said"
check_not "and no control character" grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$W/said"
same "a line each" "$(wc -l <"$W/said")" "$(grep -c '^scribefs: ' "$W/said")"

# A crowd.
for i in $(seq 30); do
	as $EVE sh -c 'for i in 1 2 3 4 5; do echo x >"$1/messages/next.md"; cat "$1"/messages/*.md "$1/session.json"; ls -lR "$1"; done' \
		sh "$E" >"$W/crowd" 2>&1 &
	background $!
done
check "it serves meanwhile" serves
wait
same "no message was lost" 150 "$(as $EVE ls "$E/messages" | wc -l)"
check "the daemon is below 500 MiB ($before KiB before, $(rss) KiB now)" below 512000
check "it is the same daemon" test "$(daemon_pid | wc -l)" = 1
check "it serves" serves

# ---- paths on the host ---------------------------------------------------------------------------------
umount_store || failed "umount"
mkdir "$W/eves" "$W/precious"
chmod 755 "$W/precious"
chown $EVE:$EVE "$W/eves"
as $EVE ln -s "$W/precious" "$W/eves/mnt"
as $EVE ln -s "$STORE" "$W/eves/store"
as $EVE mkdir "$W/eves/dir"
as $EVE ln -s "$W" "$W/eves/dir/up"
at=("$SCRIBEFS" mount --key-file "$KEY")
refused "root mounts on no symlink of eve's" "${at[@]}" "$STORE" "$W/eves/mnt"
refused "nor through one" "${at[@]}" "$STORE" "$W/eves/dir/up/precious"
refused "root opens no store through a symlink of eve's" "${at[@]}" "$W/eves/store" "$MNT"
refused "root makes no store through one" "$SCRIBEFS" init "$W/eves/mnt" --key-file "$KEY" --no-recovery-key
empty "nothing was made there" "$(ls -A "$W/precious")"
ln -s "$W/precious" "$W/mine"
EXTRA_MOUNTS+=("$W/precious" "$W/eves/dir")
check "root's own symlinks are followed" "${at[@]}" "$STORE" "$W/mine"
check "to the right place" mountpoint -q "$W/precious"
check "and unmounted" "$SCRIBEFS" umount "$W/mine"
check "a directory of eve's can be mounted on" "${at[@]}" "$STORE" "$W/eves/dir"
check "and unmounted" "$SCRIBEFS" umount "$W/eves/dir"

# A store of eve's, with a trap in it.
cp -a "$STORE" "$W/eves/own"
echo precious >"$W/precious/file"
ln -sf "$W/precious/file" "$W/eves/own/lock"
chown -hR $EVE:$EVE "$W/eves/own"
refused "root opens no store of eve's" "${at[@]}" "$W/eves/own" "$MNT"
same "what her trap points to is as it was" precious "$(cat "$W/precious/file")"

# The place is swapped while root mounts, again and again.
rmdir "$W/precious/"* 2>/dev/null
rm -f "$W/precious/file"
cat >"$W/swap.py" <<'PY'
import os, sys
os.chdir(sys.argv[1])
os.mkdir("a")
os.symlink(sys.argv[2], "b")
while os.getppid() == int(sys.argv[3]):
    for old, new in (("a", "swap"), ("b", "a"), ("a", "b"), ("swap", "a")):
        try:
            os.rename(old, new)
        except OSError: # it is a mountpoint just now
            pass
PY
setpriv --reuid $EVE --regid $EVE --clear-groups env python3 "$W/swap.py" "$W/eves" "$W/precious" $$ &
swapper=$!
background $swapper
for i in $(seq 6); do
	"${at[@]}" "$STORE" "$W/eves/a" >"$W/race" 2>&1
	mountpoint -q "$W/precious" && failed "the mount landed on what a symlink of eve's points to"
	findmnt -rn -t fuse.scribefs -o TARGET | grep "^$W/" | while IFS= read -r point; do umount "$point"; done
	for pid in $(daemon_pid); do
		timeout 20 tail --pid="$pid" -f /dev/null || kill "$pid"
	done
done
kill "$swapper"
wait "$swapper" 2>/dev/null
check_not "no race led the mount astray" mountpoint -q "$W/precious"
must "the store is what it was" mount_store -o allow_other
check "it serves" serves
