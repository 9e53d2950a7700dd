"""zoo.py DIR [--modest]: one of everything that a POSIX filesystem holds, with fixed contents and times.

--modest leaves out what restic and borg cannot represent: hard links of symlinks, times outside 1970 to 2038.

Only as root: foreign owners, devices, trusted and security attributes.
"""
import os
import random
import stat
import struct
import sys

base = sys.argv[1]
modest = "--modest" in sys.argv
root = os.geteuid() == 0
dice = random.Random(7)


def path(*names):
    return os.path.join(base, *names)


def put(name, data, mode=0o644):
    with open(path(name), "wb") as f:
        f.write(data)
    os.chmod(path(name), mode)


def acl(entries):
    """system.posix_acl_*: version 2, then (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


NOBODY = 0xFFFFFFFF
os.makedirs(base, exist_ok=True)

for size in (0, 1, 39, 4095, 4096, 4097, 65536, 131072, 131073, 1500001):
    put(f"size-{size}", dice.randbytes(size))
put("text", b"to be or not to be, that is the question\n" * 5000)
for mode in (0o000, 0o400, 0o444, 0o600, 0o640, 0o755, 0o777, 0o4755, 0o2755, 0o1644):
    put(f"mode-{mode:04o}", b"mode\n", mode)

os.mkdir(path("dir-empty"), 0o700)
os.mkdir(path("dir-setgid"))
os.chmod(path("dir-setgid"), 0o2775)
os.mkdir(path("dir-sticky"))
os.chmod(path("dir-sticky"), 0o1777)
deep = path("deep")
for level in range(30):
    deep = os.path.join(deep, f"level-{level}")
os.makedirs(deep)
with open(os.path.join(deep, "bottom"), "w") as f:
    f.write("bottom\n")

put("link-one", b"three names\n")
os.link(path("link-one"), path("link-two"))
os.link(path("link-one"), path("dir-setgid", "link-three"))
os.symlink("text", path("symlink-good"))
os.symlink("/nowhere/at all", path("symlink-dangling"))
os.symlink("x" * 4000, path("symlink-long"))
os.symlink("dir-empty", path("symlink-dir"))
if not modest:
    os.link(path("symlink-good"), path("symlink-hard"), follow_symlinks=False)
os.mkfifo(path("fifo"), 0o622)

with open(path("sparse"), "wb") as f:
    f.write(b"start")
    f.seek(10 << 20)
    f.write(b"middle" * 1000)
    f.truncate(64 << 20)
with open(path("sparse-only-hole"), "wb") as f:
    f.truncate(5 << 20)

for name in (b"\xff\xfe not utf-8 \x80", b"new\nline", b" leading and trailing ", b"quote'\"\\",
             b"-rf", b"*", b"\x01control\x7f", "umläut-雪-🙂".encode(), b"n" * 255, b"..."):
    with open(os.path.join(os.fsencode(base), name), "wb") as f:
        f.write(name)

put("xattr", b"attributes\n")
os.setxattr(path("xattr"), "user.comment", b"hello")
os.setxattr(path("xattr"), "user.empty", b"")
os.setxattr(path("xattr"), "user.binary", bytes(range(256)))
os.setxattr(path("xattr"), "user.large", b"v" * 3000)
os.setxattr(path("dir-empty"), "user.dir", b"of a folder")

put("acl", b"acl\n", 0o640)
os.setxattr(path("acl"), "system.posix_acl_access", acl(
    [(1, 6, NOBODY), (2, 5, 1234), (4, 4, NOBODY), (8, 1, 4321), (16, 7, NOBODY), (32, 0, NOBODY)]))
os.mkdir(path("dir-acl"))
os.setxattr(path("dir-acl"), "system.posix_acl_default", acl(
    [(1, 7, NOBODY), (2, 5, 1234), (4, 5, NOBODY), (16, 5, NOBODY), (32, 0, NOBODY)]))
with open(path("dir-acl", "inherited"), "w") as f:
    f.write("inherited\n")
os.mkdir(path("dir-acl", "below"))

if root:
    for number, name in enumerate(("owner-a", "owner-b")):
        put(name, b"owner\n", 0o640)
        os.chown(path(name), 1000 + number, 2000 + number)
    os.symlink("text", path("owner-symlink"))
    os.chown(path("owner-symlink"), 1005, 2005, follow_symlinks=False)
    os.mknod(path("null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(path("disk"), 0o660 | stat.S_IFBLK, os.makedev(7, 300))
    os.setxattr(path("xattr"), "trusted.note", b"trusted")
    os.setxattr(path("xattr"), "security.capability",
                struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))

# Times last, from the bottom up: before the epoch, in the far future, odd nanoseconds.
times = [-86400 * 10**9 + 123456789, 1, 999999999, 1234567890_123456789, 1700000000_000000001,
         4102444800_999999999]
if modest:
    times = times[2:5]
count = 0
for folder, dirs, files in os.walk(os.fsencode(base), topdown=False):
    for name in sorted(dirs + files) + ([b"."] if folder == os.fsencode(base) else []):
        when = times[count % len(times)]
        os.utime(os.path.join(folder, name), ns=(when + 5, when), follow_symlinks=False)
        count += 1
