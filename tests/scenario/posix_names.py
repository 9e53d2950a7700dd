"""posix_names.py DIR: what rename, link, unlink, mkdir, symlinks, times and attributes must do."""
import ctypes
import errno
import os
import stat
import sys
import time

from checks import EXCHANGE, NOREPLACE, call, case, equal, exists, fails, read, rename2, run, write


def ino(path):
    return os.lstat(path).st_ino


@case
def rename_matrix(d):
    f, g, e, full, other = (f"{d}/{n}" for n in ("file", "file2", "empty", "full", "other"))
    write(f, b"f")
    write(g, b"g")
    for path in (e, full, other):
        os.mkdir(path)
    write(full + "/inside", b"x")
    fails(errno.ENOENT, os.rename, d + "/missing", d + "/x")
    fails(errno.ENOENT, os.rename, f, d + "/missing/x")
    fails(errno.ENOTDIR, os.rename, f, g + "/x")
    fails(errno.EISDIR, os.rename, f, e)
    fails(errno.ENOTDIR, os.rename, e, f)
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, e, full)
    fails(errno.EINVAL, os.rename, full, full + "/below")
    fails((errno.EBUSY, errno.EINVAL), os.rename, full + "/.", d + "/x")
    fails(errno.ENOTDIR, os.rename, f, d + "/x/")
    fails(errno.ENOTDIR, os.rename, f + "/", d + "/x")
    os.rename(f, f)
    equal(read(f), b"f")
    number = ino(f)
    os.rename(f, g)
    equal((read(g), ino(g), exists(f)), (b"f", number, False))
    number = ino(full)
    os.rename(full, e)
    equal((os.listdir(e), ino(e), exists(full)), (["inside"], number, False))
    os.rename(e, other + "/moved")
    equal(os.stat(other + "/moved/..").st_ino, ino(other), "the moved folder's ..")
    equal((os.stat(d).st_nlink, os.stat(other).st_nlink), (3, 3))
    os.rename(g, other + "/moved/g")
    equal(sorted(os.listdir(other + "/moved")), ["g", "inside"])
    os.symlink("nowhere", d + "/link")
    os.rename(d + "/link", d + "/link2")
    equal(os.readlink(d + "/link2"), "nowhere")
    os.rename(d + "/link2", other + "/moved/g")
    equal(os.readlink(other + "/moved/g"), "nowhere")


@case
def rename_of_two_names_of_one_file_does_nothing(d):
    write(d + "/a", b"x")
    os.link(d + "/a", d + "/b")
    os.rename(d + "/a", d + "/b")
    equal((exists(d + "/a"), exists(d + "/b"), os.stat(d + "/a").st_nlink), (True, True, 2))


@case
def rename_noreplace(d):
    write(d + "/a", b"a")
    write(d + "/b", b"b")
    os.mkdir(d + "/dir")
    fails(errno.EEXIST, rename2, d + "/a", d + "/b", NOREPLACE)
    fails(errno.EEXIST, rename2, d + "/a", d + "/dir", NOREPLACE)
    fails(errno.ENOENT, rename2, d + "/missing", d + "/c", NOREPLACE)
    rename2(d + "/a", d + "/c", NOREPLACE)
    equal((read(d + "/c"), exists(d + "/a")), (b"a", False))


@case
def rename_exchange(d):
    write(d + "/a", b"a")
    os.mkdir(d + "/dir")
    os.mkdir(d + "/dir/sub")
    os.mkdir(d + "/place")
    write(d + "/place/b", b"b")
    fails(errno.ENOENT, rename2, d + "/a", d + "/missing", EXCHANGE)
    fails(errno.EINVAL, rename2, d + "/dir", d + "/dir/sub", EXCHANGE)
    fails(errno.EINVAL, rename2, d + "/a", d + "/dir", EXCHANGE | NOREPLACE)
    fails(errno.EINVAL, rename2, d + "/a", d + "/dir", 1 << 20)
    rename2(d + "/a", d + "/place/b", EXCHANGE)
    equal((read(d + "/a"), read(d + "/place/b")), (b"b", b"a"))
    rename2(d + "/place/b", d + "/dir", EXCHANGE)
    equal((read(d + "/dir"), os.listdir(d + "/place/b")), (b"a", ["sub"]))
    equal(os.stat(d + "/place/b/..").st_ino, ino(d + "/place"))
    equal((os.stat(d).st_nlink, os.stat(d + "/place").st_nlink), (3, 3))


@case
def exclusive_creation_and_open_flags(d):
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(d + "/f", flags))
    fails(errno.EEXIST, os.open, d + "/f", flags)
    os.symlink("nowhere", d + "/dangling")
    fails(errno.EEXIST, os.open, d + "/dangling", flags)
    os.symlink("f", d + "/link")
    fails(errno.ELOOP, os.open, d + "/link", os.O_RDONLY | os.O_NOFOLLOW)
    fails(errno.ENOTDIR, os.open, d + "/f", os.O_RDONLY | os.O_DIRECTORY)
    fails(errno.EISDIR, os.open, d, os.O_WRONLY)
    fails(errno.EISDIR, os.open, d, os.O_RDWR | os.O_CREAT)
    fails(errno.ENOENT, os.open, d + "/missing", os.O_RDONLY)
    fails(errno.ENOTDIR, os.open, d + "/f/x", os.O_RDONLY)
    write(d + "/dangling", b"through the link")
    equal(read(d + "/nowhere"), b"through the link")


@case
def hard_links(d):
    write(d + "/a", b"one")
    before = os.stat(d + "/a")
    time.sleep(0.01)
    os.link(d + "/a", d + "/b")
    st = os.stat(d + "/b")
    equal((st.st_ino, st.st_nlink), (before.st_ino, 2))
    assert st.st_ctime_ns > before.st_ctime_ns, "link changes ctime"
    fails(errno.EEXIST, os.link, d + "/a", d + "/b")
    fails(errno.ENOENT, os.link, d + "/missing", d + "/c")
    os.mkdir(d + "/dir")
    fails(errno.EPERM, os.link, d + "/dir", d + "/dir2")
    write(d + "/b", b"two")
    equal(read(d + "/a"), b"two")
    os.unlink(d + "/a")
    equal((read(d + "/b"), os.stat(d + "/b").st_nlink), (b"two", 1))
    os.symlink("b", d + "/s")
    os.link(d + "/s", d + "/s2", follow_symlinks=False)
    equal(os.readlink(d + "/s2"), "b")
    fd = os.open(d + "/b", os.O_RDONLY)
    os.unlink(d + "/b")
    fails((errno.ENOENT, errno.EXDEV), os.link, f"/proc/self/fd/{fd}", d + "/again")
    os.close(fd)
    for n in range(300):
        if n == 0:
            write(d + "/many", b"")
        else:
            os.link(d + "/many", f"{d}/many{n}")
    equal(os.stat(d + "/many").st_nlink, 300)


@case
def symlinks(d):
    for n, target in enumerate(("x", "/a/b/c", "y" * 255, "z/" * 2000 + "end", " space\n", "\udcff")):
        path = f"{d}/l{n}"
        os.symlink(target, path)
        equal((os.readlink(path), os.lstat(path).st_size), (target, len(os.fsencode(target))))
        equal(stat.S_IMODE(os.lstat(path).st_mode), 0o777)
    fails(errno.ENAMETOOLONG, os.symlink, "t" * 4096, d + "/long")
    fails(errno.ENOENT, os.symlink, "", d + "/none")
    fails(errno.EEXIST, os.symlink, "x", d + "/l0")
    os.symlink("loop2", d + "/loop1")
    os.symlink("loop1", d + "/loop2")
    fails(errno.ELOOP, os.stat, d + "/loop1")
    os.mkdir(d + "/dir")
    os.symlink("dir", d + "/to-dir")
    write(d + "/to-dir/f", b"x")
    equal(read(d + "/dir/f"), b"x")
    fails(errno.EINVAL, os.readlink, d + "/dir/f")
    fails(errno.ENOTDIR, os.rmdir, d + "/to-dir")


@case
def folders(d):
    equal(os.stat(d).st_nlink, 2)
    for n in range(3):
        os.mkdir(f"{d}/sub{n}")
    equal(os.stat(d).st_nlink, 5)
    write(d + "/f")
    equal(os.stat(d).st_nlink, 5)
    fails(errno.EEXIST, os.mkdir, d + "/sub0")
    fails(errno.EEXIST, os.mkdir, d + "/f")
    fails(errno.ENOENT, os.mkdir, d + "/missing/x")
    fails(errno.ENOTDIR, os.mkdir, d + "/f/x")
    fails(errno.ENOTDIR, os.rmdir, d + "/f")
    fails((errno.EISDIR, errno.EPERM), os.unlink, d + "/sub0")
    write(d + "/sub0/x")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, d + "/sub0")
    fails(errno.EINVAL, os.rmdir, d + "/sub0/.")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, d + "/sub0/..")
    os.rmdir(d + "/sub1")
    equal(os.stat(d).st_nlink, 4)
    fails(errno.ENOENT, os.rmdir, d + "/sub1")
    fd = os.open(d + "/sub2", os.O_RDONLY)
    os.rmdir(d + "/sub2")
    equal(os.listdir(fd), [])
    fails(errno.ENOENT, os.open, "new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    fails(errno.ENOENT, os.mkdir, "new", dir_fd=fd)
    assert os.fstat(fd).st_nlink in (0, 1, 2)
    os.close(fd)


@case
def listing_agrees_with_stat(d):
    os.mkdir(d + "/dir")
    write(d + "/file")
    os.symlink("file", d + "/link")
    os.mkfifo(d + "/fifo")
    seen = {}
    with os.scandir(d) as entries:
        for entry in entries:
            seen[entry.name] = (entry.inode(), entry.is_dir(follow_symlinks=False), entry.is_symlink())
    equal(sorted(seen), ["dir", "fifo", "file", "link"])
    for name, (number, is_dir, is_link) in seen.items():
        st = os.lstat(f"{d}/{name}")
        equal((number, is_dir, is_link), (st.st_ino, stat.S_ISDIR(st.st_mode), stat.S_ISLNK(st.st_mode)), name)
    equal(os.stat(d + "/dir/..").st_ino, ino(d))


@case
def listing_while_entries_come_and_go(d):
    names = {f"entry-{n:05d}" for n in range(3000)}
    for name in names:
        write(f"{d}/{name}")
    seen, made = [], 0
    with os.scandir(d) as entries:
        for entry in entries:
            seen.append(entry.name)
            if len(seen) % 10 == 0 and entry.name in names:
                os.unlink(f"{d}/{entry.name}")
            if len(seen) % 100 == 0:
                write(f"{d}/new-{made}")
                made += 1
    old = [n for n in seen if n in names]
    equal(len(old), len(set(old)), "no name twice")
    equal(set(old), names, "none that was there all along is missing")
    for name in os.listdir(d):
        os.unlink(f"{d}/{name}")
    equal(os.listdir(d), [])


@case
def names_of_any_bytes(d):
    base = os.fsencode(d)
    names = [bytes([c]) for c in range(1, 256) if c not in b"./"]
    names += [b"n" * 255, b"\xff" * 255, "雪".encode() * 85, b"a\nb", b"...", b".hidden", b"a" * 254 + b"\n", b"A", b"\xc3\xa9", b"e\xcc\x81"]
    names = list(dict.fromkeys(names))
    for n, name in enumerate(names):
        write(base + b"/" + name, str(n))
    equal(sorted(os.listdir(base)), sorted(names))
    for n, name in enumerate(names):
        equal(read(base + b"/" + name), str(n).encode(), repr(name))
    for name in (b"n" * 256, b"n" * 300):
        fails(errno.ENAMETOOLONG, os.open, base + b"/" + name, os.O_CREAT | os.O_WRONLY)
        fails(errno.ENAMETOOLONG, os.mkdir, base + b"/" + name)
        fails(errno.ENAMETOOLONG, os.stat, base + b"/" + name)
        fails(errno.ENAMETOOLONG, os.rename, base + b"/A", base + b"/" + name)
        fails(errno.ENAMETOOLONG, os.symlink, b"x", base + b"/" + name)
    fails(errno.ENAMETOOLONG, os.stat, base + b"/x" * 2100)


@case
def paths_deeper_than_PATH_MAX(d):
    fd = os.open(d, os.O_RDONLY)
    stack = [fd]
    for level in range(30):
        os.mkdir("d" * 200, dir_fd=stack[-1])
        stack.append(os.open("d" * 200, os.O_RDONLY, dir_fd=stack[-1]))
    f = os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=stack[-1])
    os.write(f, b"x")
    os.close(f)
    os.unlink("f", dir_fd=stack[-1])
    while len(stack) > 1:
        os.close(stack.pop())
        os.rmdir("d" * 200, dir_fd=stack[-1])
    os.close(fd)


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2


def utimens(path, atime, mtime, flags=0):
    times = (Timespec * 2)(Timespec(*atime), Timespec(*mtime))
    call("utimensat", -100, os.fsencode(path), times, flags)


@case
def times_that_are_set(d):
    write(d + "/f", b"x")
    for when in (0, 1, -1, -86400 * 10**9 + 5, 1234567890_123456789, 4102444800_999999999):
        os.utime(d + "/f", ns=(when + 3, when))
        st = os.stat(d + "/f")
        equal((st.st_atime_ns, st.st_mtime_ns), (when + 3, when))
    utimens(d + "/f", (100, 7), (0, OMIT))
    st = os.stat(d + "/f")
    equal((st.st_atime_ns, st.st_mtime_ns), (100 * 10**9 + 7, 4102444800_999999999), "OMIT of mtime")
    utimens(d + "/f", (0, OMIT), (200, 9))
    st = os.stat(d + "/f")
    equal((st.st_atime_ns, st.st_mtime_ns), (100 * 10**9 + 7, 200 * 10**9 + 9), "OMIT of atime")
    start = time.time()
    utimens(d + "/f", (0, OMIT), (0, NOW))
    st = os.stat(d + "/f")
    assert start - 1 <= st.st_mtime <= time.time() + 1, st.st_mtime
    equal(st.st_atime_ns, 100 * 10**9 + 7)
    ctime = st.st_ctime_ns
    time.sleep(0.01)
    utimens(d + "/f", (0, OMIT), (0, OMIT))
    fails(errno.EINVAL, utimens, d + "/f", (0, 10**9), (0, 0))
    os.symlink("f", d + "/s")
    os.utime(d + "/s", ns=(1, 2), follow_symlinks=False)
    equal(os.lstat(d + "/s").st_mtime_ns, 2)
    os.utime(d + "/f")
    assert os.stat(d + "/f").st_ctime_ns > ctime
    # As cp and rsync do: writes, then the time through the same descriptor, then close.
    fd = os.open(d + "/copied", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x" * 300000)
    os.utime(fd, ns=(1111, 2222))
    os.close(fd)
    equal(os.stat(d + "/copied").st_mtime_ns, 2222, "close does not move mtime")
    time.sleep(1.2)
    equal(os.stat(d + "/copied").st_mtime_ns, 2222, "nor does a later commit")


@case
def times_that_change_by_themselves(d):
    def marks(path):
        st = os.lstat(path)
        return st.st_mtime_ns, st.st_ctime_ns

    def changes(path, mtime, ctime, what, function, then=None):
        before = marks(path)
        time.sleep(0.01)
        function()
        after = marks(then or path)
        equal((after[0] > before[0], after[1] > before[1]), (mtime, ctime), f"{what}: mtime, ctime changed")

    f = write(d + "/f", b"hello")
    fd = os.open(f, os.O_RDWR)
    changes(f, True, True, "write", lambda: os.write(fd, b"x"))
    changes(f, True, True, "ftruncate", lambda: os.ftruncate(fd, 3))
    changes(f, True, True, "O_TRUNC", lambda: os.close(os.open(f, os.O_WRONLY | os.O_TRUNC)))
    changes(f, False, True, "chmod", lambda: os.chmod(f, 0o600))
    changes(f, False, True, "chown", lambda: os.chown(f, os.getuid(), os.getgid()))
    changes(f, False, True, "setxattr", lambda: os.setxattr(f, "user.x", b"1"))
    changes(f, False, True, "removexattr", lambda: os.removexattr(f, "user.x"))
    changes(f, False, True, "link", lambda: os.link(f, d + "/g"))
    changes(f, False, True, "unlink of another name", lambda: os.unlink(d + "/g"))
    changes(f, False, True, "rename", lambda: os.rename(f, d + "/h"), then=d + "/h")
    os.rename(d + "/h", f)
    changes(f, False, False, "read", lambda: os.pread(fd, 10, 0))
    changes(f, False, False, "open and close", lambda: os.close(os.open(f, os.O_RDWR)))
    os.close(fd)
    changes(d, True, True, "create in a folder", lambda: write(d + "/new"))
    changes(d, True, True, "unlink in a folder", lambda: os.unlink(d + "/new"))
    changes(d, True, True, "mkdir in a folder", lambda: os.mkdir(d + "/dir"))
    changes(d, True, True, "rename in a folder", lambda: os.rename(d + "/dir", d + "/dir2"))
    changes(d, True, True, "symlink in a folder", lambda: os.symlink("x", d + "/sym"))
    changes(d + "/dir2", True, True, "rename into a folder", lambda: os.rename(f, d + "/dir2/f"))
    changes(d, True, True, "rename out of a folder", lambda: os.rename(d + "/dir2/f", f))
    changes(d, True, True, "rmdir in a folder", lambda: os.rmdir(d + "/dir2"))
    changes(d, False, False, "writing to a file in it", lambda: write(f, b"more"))
    before = os.stat(f).st_atime_ns
    os.utime(f, ns=(1, 10**18))
    read(f)
    assert os.stat(f).st_atime_ns in (1, before) or os.stat(f).st_atime_ns > before, "atime: relatime or noatime"


@case
def extended_attributes(d):
    f = write(d + "/f")
    equal(os.listxattr(f), [])
    fails(errno.ENODATA, os.getxattr, f, "user.x")
    fails(errno.ENODATA, os.removexattr, f, "user.x")
    fails(errno.ENODATA, os.setxattr, f, "user.x", b"1", os.XATTR_REPLACE)
    os.setxattr(f, "user.x", b"1", os.XATTR_CREATE)
    fails(errno.EEXIST, os.setxattr, f, "user.x", b"2", os.XATTR_CREATE)
    os.setxattr(f, "user.x", b"22", os.XATTR_REPLACE)
    equal(os.getxattr(f, "user.x"), b"22")
    os.setxattr(f, "user.empty", b"")
    equal(os.getxattr(f, "user.empty"), b"")
    os.setxattr(f, "user.large", b"v" * 3000)
    equal(sorted(os.listxattr(f)), ["user.empty", "user.large", "user.x"])
    name, small = os.fsencode(f), ctypes.create_string_buffer(10)
    equal(call("getxattr", name, b"user.large", None, ctypes.c_size_t(0)), 3000, "the size alone")
    fails(errno.ERANGE, call, "getxattr", name, b"user.large", small, ctypes.c_size_t(10))
    assert call("listxattr", name, None, ctypes.c_size_t(0)) == len("user.empty") + len("user.large") + len("user.x") + 3
    fails(errno.ERANGE, call, "listxattr", name, small, ctypes.c_size_t(3))
    fails((errno.ERANGE, errno.EINVAL), os.setxattr, f, "user." + "n" * 251, b"")
    os.setxattr(d, "user." + "n" * 250, b"longest name")
    equal(os.getxattr(d, "user." + "n" * 250), b"longest name")
    fails((errno.E2BIG, errno.ENOSPC), os.setxattr, f, "user.huge", b"v" * 65537)
    fails((errno.EOPNOTSUPP, errno.EINVAL), os.setxattr, f, "nonsense.x", b"")
    os.removexattr(f, "user.x")
    fails(errno.ENODATA, os.getxattr, f, "user.x")
    os.symlink("f", d + "/s")
    fails(errno.EPERM, os.setxattr, d + "/s", "user.x", b"1", 0, follow_symlinks=False)
    if os.geteuid() == 0:
        os.setxattr(d + "/s", "trusted.x", b"1", follow_symlinks=False)
        equal(os.getxattr(d + "/s", "trusted.x", follow_symlinks=False), b"1")
    write(d + "/many")
    for n in range(60):
        os.setxattr(d + "/many", f"user.n{n}", str(n).encode())
    equal({k: os.getxattr(d + "/many", k) for k in os.listxattr(d + "/many")},
          {f"user.n{n}": str(n).encode() for n in range(60)})
    os.rename(f, d + "/renamed")
    equal(os.getxattr(d + "/renamed", "user.large"), b"v" * 3000, "they follow a rename")


@case
def statfs_tells(d):
    fs = os.statvfs(d)
    equal(fs.f_namemax, 255)
    assert fs.f_bsize > 0 and fs.f_frsize > 0
    assert fs.f_blocks >= fs.f_bfree >= fs.f_bavail > 0, fs
    assert fs.f_files == 0 or fs.f_files >= fs.f_ffree, fs
    write(d + "/big", os.urandom(24 << 20))
    fd = os.open(d + "/big", os.O_RDWR)
    os.fsync(fd)
    blocks = os.fstat(fd).st_blocks
    os.close(fd)
    assert 23 << 20 <= blocks * 512 <= 32 << 20, f"24 MiB of noise are {blocks} blocks"


run(sys.argv[1], only=sys.argv[2:])
