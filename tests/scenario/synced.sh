#!/bin/bash
# Each way to ask for durability reaches the disk before it returns: a sync of the store's log falls into the call.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool strace
setup
S=$(session one)
strace -o "$W/probe" true 2>/dev/null || skip "nothing may be traced here"

# $1: which steps; their syncs go to calls.$1.table
traced() {
	python3 - "$S" "$(daemon_pid)" "$W/calls.$1" "$1" <<'PY'
import mmap, os, subprocess, sys, time

folder, daemon, calls, which = sys.argv[1:]
os.chdir(folder)
for name in ("a", "b", "other"):
    with open(name, "wb") as f:
        f.write(os.urandom(9000))
if which == "fsync":
    os.link("a", "link")
os.makedirs("messages", exist_ok=True)
tracer = subprocess.Popen(["strace", "-f", "-ttt", "-e", "trace=fdatasync,fsync", "-o", calls, "-p", daemon],
                          stderr=subprocess.DEVNULL)
done = []


def step(name, action):
    fd = os.open("other", os.O_WRONLY)  # from here on nothing is left to sync
    os.pwrite(fd, os.urandom(8), 0)
    os.fsync(fd)
    os.close(fd)
    time.sleep(0.02)  # nor is that sync taken for the step's
    start = time.time()
    action()
    done.append((name, start, time.time()))


def write(flags=0, sync=None, through="a", change=None):
    fd = os.open("a", os.O_RDWR | flags)
    if change:
        change(fd)
    else:
        os.pwrite(fd, os.urandom(100), 0)
    if sync:
        other = os.open(through, os.O_RDONLY)
        sync(other)
        os.close(other)
    os.close(fd)


def mapped():
    fd = os.open("b", os.O_RDWR)
    with mmap.mmap(fd, 9000) as m:
        os.close(fd)
        m[:8] = os.urandom(8)
        m.flush()


def copied(fd):
    source = os.open("b", os.O_RDONLY)
    os.copy_file_range(source, fd, 300, 5, 7)
    os.close(source)


def renamed(fd):
    os.pwrite(fd, os.urandom(100), 0)
    os.rename("a", "a.new")
    os.rename("a.new", "a")


def closed(path, flags, change=lambda fd: None):
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    change(fd)
    os.close(fd)


def closed_twice():
    fd = os.open("a", os.O_WRONLY)
    os.pwrite(fd, b"x", 0)
    os.close(os.dup(fd))
    os.close(fd)


def sync_on_close():
    step("close of a new file with nothing in it", lambda: closed("new", os.O_CREAT | os.O_EXCL))
    step("close of one that was cut to nothing", lambda: closed("new", os.O_TRUNC))
    step("close after ftruncate", lambda: closed("a", 0, lambda fd: os.ftruncate(fd, 10)))
    step("close after fchmod", lambda: closed("a", 0, lambda fd: os.fchmod(fd, 0o600)))
    step("close after a write", lambda: closed("a", 0, lambda fd: os.pwrite(fd, b"x", 0)))
    step("close of a copy of the descriptor", closed_twice)


def sync_on_demand():
    step("write with O_SYNC", lambda: write(os.O_SYNC))
    step("write with O_DSYNC", lambda: write(os.O_DSYNC))
    step("fdatasync by a reader", lambda: write(sync=os.fdatasync))
    step("fsync by a reader", lambda: write(sync=os.fsync))
    step("fsync of another link", lambda: write(sync=os.fsync, through="link"))
    step("msync without a descriptor", mapped)
    step("fsync after chmod", lambda: write(sync=os.fsync, change=lambda fd: os.fchmod(fd, 0o640)))
    step("fsync after setxattr", lambda: write(sync=os.fsync, change=lambda fd: os.setxattr(fd, "user.x", b"1")))
    step("fsync after fallocate", lambda: write(sync=os.fsync, change=lambda fd: os.posix_fallocate(fd, 0, 20000)))
    step("fsync after copy_file_range", lambda: write(sync=os.fsync, change=copied))
    step("fsync after renames", lambda: write(sync=os.fsync, change=renamed))
    step("fsync of the folder after symlink", lambda: (os.symlink("a", "s"), write(sync=os.fsync, through=".")))


time.sleep(1)
sync_on_close() if which == "close" else sync_on_demand()
tracer.terminate()
tracer.wait()
with open(calls) as f:
    syncs = [float(line.split()[1]) for line in f if "sync(" in line]
with open(calls + ".table", "w") as f:
    for name, start, end in done:
        print(sum(start - 0.001 <= at <= end + 0.001 for at in syncs), name, file=f)
PY
	while read -r n name; do
		check "$name reaches the disk" test "$n" -ge 1
	done <"$W/calls.$1.table"
	same "all were tried" "$2" "$(wc -l <"$W/calls.$1.table")"
}
traced fsync 12
echo "-- mounted with sync"
remount -o sync
traced close 6

echo "-- what a recovery writes"
for i in $(seq 2000); do echo "message $i"; done | while read -r line; do echo "$line" >"$S/messages/next.md"; done
kill9_daemon
detach_mount
strace -f -y -o "$W/recovery" -e trace=openat,fsync,fdatasync,rename,renameat \
	"$SCRIBEFS" mount "$STORE" "$MNT" --key-file "$KEY" </dev/null >"$W/.mount" 2>&1 &
background $!
wait_for "the store comes back" mountpoint -q "$MNT"
umount_store
wait $!
# A table's name is on the disk before the CURRENT that leads to it.
awk -v db="<$(realpath "$STORE")/db>" '
	/openat\(.*\.sst".*O_CREAT/ { made++; bare = 1 }
	/sync\(/ && index($0, db) { bare = 0 }
	/rename.*"[^"]*\/CURRENT"/ { renamed++; early += bare }
	END { print made + 0, renamed + 0, early + 0 }' "$W/recovery" >"$W/order"
read -r made renamed early <"$W/order"
check "it makes tables ($made) and a manifest ($renamed)" test "$made" -ge 1 -a "$renamed" -ge 1
same "and syncs the folder in between" 0 "$early"
