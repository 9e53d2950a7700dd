#!/bin/bash
# Each way to ask for durability reaches the disk before it returns: a sync of the store's log falls into the call.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool strace
setup
S=$(session one)
daemon=$(daemon_pid)
strace -o "$W/probe" true 2>/dev/null || skip "nothing may be traced here"

python3 - "$S" "$daemon" "$W/calls" <<'PY'
import mmap, os, subprocess, sys, time

folder, daemon, calls = sys.argv[1:]
os.chdir(folder)
for name in ("a", "b", "other"):
    with open(name, "wb") as f:
        f.write(os.urandom(9000))
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


time.sleep(1)
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
done <"$W/calls.table"
same "all were tried" 12 "$(wc -l <"$W/calls.table")"
