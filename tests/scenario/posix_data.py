"""posix_data.py DIR: what read, write, truncate, mmap, locks and their kin must do with a file's bytes."""
import errno
import fcntl
import mmap
import os
import random
import select
import signal
import socket
import struct
import sys
import time

from checks import (COLLAPSE, INSERT, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, case, equal, exists, fails,
                    fallocate, read, run, write)

MIB = 1 << 20
TIB = 1 << 40


def opened(path, flags=os.O_RDWR | os.O_CREAT):
    return os.open(path, flags, 0o644)


@case
def append_writes_go_to_the_end(d):
    a = opened(d + "/f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    b = opened(d + "/f", os.O_WRONLY | os.O_APPEND)
    os.write(a, b"one ")
    os.write(b, b"two ")
    os.write(a, b"three ")
    equal(read(d + "/f"), b"one two three ")
    # Linux: pwrite appends too, whatever its offset.
    os.pwrite(b, b"four ", 0)
    equal(read(d + "/f"), b"one two three four ")
    os.truncate(d + "/f", 4)
    os.write(a, b"five")
    equal(read(d + "/f"), b"one five")
    os.close(a)
    os.close(b)


@case
def plain_writes_stay_at_their_offset(d):
    a, b = opened(d + "/f"), opened(d + "/f")
    os.write(a, b"aaaa")
    os.write(b, b"bb")
    equal(os.pread(a, 10, 0), b"bbaa")
    os.pwrite(a, b"x", 100)
    equal(os.fstat(b).st_size, 101)
    equal(os.pread(b, 200, 0), b"bbaa" + b"\0" * 96 + b"x")
    equal(os.pread(b, 10, 101), b"", "reading at the end")
    equal(os.pread(b, 10, 5000), b"", "reading beyond the end")
    equal(os.pwritev(a, [b"12", b"345"], 50), 5)
    equal(os.pread(a, 5, 50), b"12345")
    fails(errno.EINVAL, os.lseek, a, -1, os.SEEK_SET)
    os.close(a)
    os.close(b)
    r = os.open(d + "/f", os.O_RDONLY)
    fails(errno.EBADF, os.write, r, b"x")
    fails((errno.EINVAL, errno.EBADF), os.ftruncate, r, 1)
    os.close(r)


@case
def truncate_shrinks_and_grows_with_zeros(d):
    for size in (10, 4096, 5000, 70000, 3 * MIB):
        path = write(f"{d}/f{size}", b"x" * size)
        for cut in (size - 1, size // 2, 1, 0):
            os.truncate(path, cut)
            os.truncate(path, size)
            equal(read(path), b"x" * cut + b"\0" * (size - cut), f"{size} cut to {cut}")
            write(path, b"x" * size)
    fd = opened(d + "/open")
    os.write(fd, b"0123456789")
    os.ftruncate(fd, 5)
    os.write(fd, b"end")
    equal(os.pread(fd, 100, 0), b"01234\0\0\0\0\0end", "the offset stays where it was")
    os.close(fd)
    fails((errno.EINVAL, errno.EFBIG), os.truncate, d + "/open", -1)
    write(d + "/open", b"long content")
    write(d + "/open", b"new")
    equal(read(d + "/open"), b"new", "O_TRUNC")


@case
def unlinked_open_files_live_on(d):
    fd = opened(d + "/f")
    os.write(fd, b"still here")
    os.unlink(d + "/f")
    assert not exists(d + "/f")
    equal(os.fstat(fd).st_nlink, 0)
    os.write(fd, b", and more" * 10000)
    equal(os.pread(fd, 20, 0), b"still here, and more")
    os.ftruncate(fd, 10)
    os.fchmod(fd, 0o640)
    os.utime(fd, ns=(5, 7))
    equal(os.pread(fd, 100, 0), b"still here")
    st = os.fstat(fd)
    equal((st.st_mode & 0o777, st.st_mtime_ns, st.st_size), (0o640, 7, 10))
    os.fsync(fd)
    write(d + "/f", b"another")
    equal(os.pread(fd, 100, 0), b"still here", "a new file of that name is another")
    os.close(fd)
    equal(read(d + "/f"), b"another")


@case
def a_file_replaced_by_rename_stays_readable(d):
    write(d + "/old", b"old" * 50000)
    fd = os.open(d + "/old", os.O_RDWR)
    write(d + "/new", b"new")
    os.rename(d + "/new", d + "/old")
    equal(os.pread(fd, 6, 149994), b"oldold")
    equal(os.fstat(fd).st_nlink, 0)
    os.pwrite(fd, b"x", 0)
    equal(read(d + "/old"), b"new")
    os.close(fd)


@case
def fallocate_and_its_modes(d):
    fd = opened(d + "/f")
    os.write(fd, b"d" * 100000)
    fallocate(fd, 0, 0, 200000)
    equal(os.fstat(fd).st_size, 200000, "mode 0 grows")
    equal(os.pread(fd, 10, 150000), b"\0" * 10)
    fallocate(fd, KEEP_SIZE, 0, MIB)
    equal(os.fstat(fd).st_size, 200000, "KEEP_SIZE does not")
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 1000, 70000)
    equal(os.pread(fd, 200000, 0), b"d" * 1000 + b"\0" * 70000 + b"d" * 29000 + b"\0" * 100000, "a hole")
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 199999, MIB)
    equal(os.fstat(fd).st_size, 200000, "a hole over the end")
    fallocate(fd, ZERO_RANGE | KEEP_SIZE, 500, 100)
    equal(os.pread(fd, 120, 490), b"d" * 10 + b"\0" * 100 + b"d" * 10, "ZERO_RANGE")
    fallocate(fd, ZERO_RANGE, 199990, 100)
    equal(os.fstat(fd).st_size, 200090, "ZERO_RANGE grows")
    fails((errno.EOPNOTSUPP, errno.EINVAL), fallocate, fd, PUNCH_HOLE, 0, 10)
    fails(errno.EINVAL, fallocate, fd, 0, -1, 10)
    fails(errno.EINVAL, fallocate, fd, 0, 0, 0)
    fails(errno.EFBIG, fallocate, fd, 0, 0, (1 << 63) - 1)
    for mode in (COLLAPSE, INSERT):
        try:
            fallocate(fd, mode, 0, 4096)
        except OSError as error:
            assert error.errno in (errno.EOPNOTSUPP, errno.EINVAL), error
    os.close(fd)
    fd = os.open(d + "/f", os.O_RDONLY)
    fails(errno.EBADF, fallocate, fd, 0, 0, 10)
    os.close(fd)


@case
def holes_are_found_and_take_no_room(d):
    fd = opened(d + "/f")
    os.write(fd, os.urandom(65536))
    os.pwrite(fd, os.urandom(65536), 8 * MIB)
    os.ftruncate(fd, 20 * MIB)
    for moment in ("open", "synced"):
        equal(os.lseek(fd, 0, os.SEEK_DATA), 0, moment)
        hole = os.lseek(fd, 0, os.SEEK_HOLE)
        assert 65536 <= hole <= 8 * MIB, (moment, hole)
        data = os.lseek(fd, hole, os.SEEK_DATA)
        assert 7 * MIB <= data <= 8 * MIB, (moment, data)
        hole = os.lseek(fd, 8 * MIB, os.SEEK_HOLE)
        assert 8 * MIB + 65536 <= hole <= 9 * MIB, (moment, hole)
        fails(errno.ENXIO, os.lseek, fd, hole, os.SEEK_DATA)
        fails(errno.ENXIO, os.lseek, fd, 20 * MIB, os.SEEK_DATA)
        fails(errno.ENXIO, os.lseek, fd, 20 * MIB, os.SEEK_HOLE)
        equal(os.lseek(fd, 20 * MIB - 1, os.SEEK_HOLE), 20 * MIB - 1, moment)
        os.fsync(fd)
    blocks = os.fstat(fd).st_blocks
    assert 256 <= blocks <= 4096, f"{blocks} blocks for 128 KiB of data in 20 MiB"
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 20 * MIB)
    os.fsync(fd)
    fails(errno.ENXIO, os.lseek, fd, 0, os.SEEK_DATA)
    assert os.fstat(fd).st_blocks < 256, os.fstat(fd).st_blocks
    os.close(fd)
    fd = opened(d + "/dense")
    os.write(fd, b"x" * 1000)
    equal(os.lseek(fd, 0, os.SEEK_HOLE), 1000, "the end is a hole")
    equal(os.lseek(fd, 999, os.SEEK_DATA), 999)
    os.close(fd)


@case
def files_of_8_TiB(d):
    fd = opened(d + "/f")
    os.ftruncate(fd, 8 * TIB)
    os.pwrite(fd, b"the end", 8 * TIB - 7)
    os.pwrite(fd, b"middle", 5 * TIB + 12345)
    os.close(fd)
    fd = os.open(d + "/f", os.O_RDWR)
    equal(os.fstat(fd).st_size, 8 * TIB)
    equal(os.pread(fd, 100, 8 * TIB - 7), b"the end")
    equal(os.pread(fd, 8, 5 * TIB + 12344), b"\0middle\0")
    data = os.lseek(fd, 4096, os.SEEK_DATA)
    assert 5 * TIB - MIB <= data <= 5 * TIB + 12345, data
    assert os.fstat(fd).st_blocks < 10000, os.fstat(fd).st_blocks
    fails(errno.EFBIG, os.pwrite, fd, b"x", 1 << 62)
    fails(errno.EFBIG, os.ftruncate, fd, (1 << 63) - 1)
    os.ftruncate(fd, 10)
    equal(os.pread(fd, 100, 0), b"\0" * 10)
    os.close(fd)


@case
def copy_file_range_copies(d):
    data = os.urandom(300000)
    write(d + "/a", data)
    a, b = os.open(d + "/a", os.O_RDWR), opened(d + "/b")

    def copy(src, dst, count, at_src, at_dst):
        done = 0
        while done < count:
            n = os.copy_file_range(src, dst, count - done, at_src + done, at_dst + done)
            if n == 0:
                break
            done += n
        return done

    equal(copy(a, b, 300000, 0, 0), 300000)
    equal(read(d + "/b"), data)
    equal(copy(a, b, 1000, 299500, 10), 500, "short at the end")
    equal(os.pread(b, 500, 10), data[299500:])
    equal(copy(a, a, 1000, 0, 200000), 1000, "within one file")
    equal(os.pread(a, 1000, 200000), data[:1000])
    fails(errno.EINVAL, os.copy_file_range, a, a, 1000, 0, 500)
    r = os.open(d + "/b", os.O_RDONLY)
    fails(errno.EBADF, os.copy_file_range, a, r, 10)
    with open(d + "/sent", "wb") as f:
        os.sendfile(f.fileno(), a, 0, 100000)
    equal(read(d + "/sent"), data[:100000], "sendfile")
    for fd in (a, b, r):
        os.close(fd)


@case
def mmap_shared_and_private(d):
    write(d + "/f", b"a" * 10000)
    fd = os.open(d + "/f", os.O_RDWR)
    shared = mmap.mmap(fd, 10000, mmap.MAP_SHARED)
    private = mmap.mmap(fd, 10000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    equal(shared[:3], b"aaa")
    os.pwrite(fd, b"bbb", 0)
    equal(shared[:3], b"bbb", "a write shows in the mapping")
    shared[5000:5005] = b"ccccc"
    shared.flush()
    equal(os.pread(fd, 7, 4999), b"accccca", "the mapping shows in a read")
    private[100:103] = b"zzz"
    equal(os.pread(fd, 3, 100), b"aaa", "a private mapping does not")
    pid = os.fork()
    if pid == 0:
        shared[9000:9003] = b"kid"
        os._exit(0)
    os.waitpid(pid, 0)
    equal(shared[9000:9003], b"kid")
    before = os.stat(d + "/f").st_mtime_ns
    os.close(fd)
    shared[0:3] = b"end"
    shared.close()
    private.close()
    equal(read(d + "/f"), b"end" + b"a" * 4997 + b"ccccc" + b"a" * 3995 + b"kid" + b"a" * 997)
    assert os.stat(d + "/f").st_mtime_ns >= before


@case
def random_work_against_a_model(d):
    dice = random.Random(20260101)
    path = d + "/f"
    fd, model, limit = opened(path), bytearray(), 1500000
    for step in range(3000):
        op = dice.choice(("write", "write", "write", "append", "truncate", "punch", "zero", "read", "read",
                          "reopen", "sync", "copy"))
        at = dice.randrange(dice.choice((100, 5000, 140000, limit)))
        size = dice.choice((1, 10, 512, 4096, 4097, 20000, 131072, 150000))
        if op == "write" or op == "append":
            at = len(model) if op == "append" else at
            if at + size > limit:
                continue
            data = dice.randbytes(size)
            if len(model) < at:
                model.extend(b"\0" * (at - len(model)))
            model[at:at + size] = data
            equal(os.pwrite(fd, data, at), size)
        elif op == "truncate":
            model[at:] = b""
            model.extend(b"\0" * (at - len(model)))
            os.ftruncate(fd, at)
        elif op in ("punch", "zero"):
            end = min(at + size, len(model))
            if at < end:
                model[at:end] = b"\0" * (end - at)
            fallocate(fd, (PUNCH_HOLE if op == "punch" else ZERO_RANGE) | KEEP_SIZE, at, size)
        elif op == "copy":
            to = dice.randrange(limit)
            size = min(size, len(model) - at)
            if size <= 0 or to + size > limit or abs(to - at) < size:
                continue
            size = os.copy_file_range(fd, fd, size, at, to)
            if len(model) < to:
                model.extend(b"\0" * (to - len(model)))
            model[to:to + size] = model[at:at + size]
        elif op == "read":
            equal(os.pread(fd, size, at), bytes(model[at:at + size]), f"step {step}, {size} at {at}")
        elif op == "reopen":
            os.close(fd)
            fd = opened(path)
        elif op == "sync":
            os.fsync(fd)
        equal(os.fstat(fd).st_size, len(model), f"step {step}: size after {op}")
    os.close(fd)
    assert read(path) == bytes(model), "the content at the end"
    # Once more in a reader that never saw the pages.
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, len(model) + 1, 0) == bytes(model), "the content after dropping the pages"
    os.close(fd)


@case
def many_processes_write_to_one_file(d):
    fd = opened(d + "/f")
    children = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            mine = os.open(d + "/f", os.O_WRONLY)
            for n in range(50):
                os.pwrite(mine, bytes([65 + number]) * 5000, (n * 8 + number) * 5000)
            os._exit(0)
        children.append(pid)
    for pid in children:
        equal(os.waitpid(pid, 0)[1], 0)
    equal(os.pread(fd, 3 * MIB, 0), b"".join(bytes([65 + n % 8]) * 5000 for n in range(400)))
    os.close(fd)


@case
def other_ways_to_open(d):
    for name in ("O_SYNC", "O_DSYNC", "O_NOATIME", "O_CLOEXEC", "O_NONBLOCK"):
        fd = opened(f"{d}/{name}", os.O_RDWR | os.O_CREAT | getattr(os, name))
        os.write(fd, b"data")
        equal(os.pread(fd, 10, 0), b"data", name)
        os.close(fd)
    try:
        fd = opened(d + "/direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    except OSError as error:
        equal(error.errno, errno.EINVAL)
    else:
        page = mmap.mmap(-1, 4096)
        page[:] = b"p" * 4096
        os.write(fd, page)
        equal(read(d + "/direct"), b"p" * 4096, "O_DIRECT")
        os.close(fd)
    try:
        os.close(os.open(d, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP, "O_TMPFILE")
    fds = [opened(f"{d}/many-{n}") for n in range(500)]
    for n, fd in enumerate(fds):
        os.write(fd, str(n).encode())
    for n, fd in enumerate(fds):
        equal(read(f"{d}/many-{n}"), str(n).encode())
        os.close(fd)
        os.unlink(f"{d}/many-{n}")
    with open(d + "/synced", "w") as f:
        f.write("x")
        f.flush()
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def in_child(function):
    """The child's answer, one byte."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, b"y" if function() else b"n")
        except BaseException as error:
            os.write(writer, b"!" + repr(error).encode())
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 1000)
    os.close(reader)
    os.waitpid(pid, 0)
    assert answer[:1] != b"!", answer
    return answer == b"y"


@case
def locks_of_two_processes(d):
    path = write(d + "/f", b"x" * 1000)

    def flock(kind):
        fd = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(fd)

    def posix(kind, start, length):
        fd = os.open(path, os.O_RDWR)
        try:
            fcntl.lockf(fd, kind | fcntl.LOCK_NB, length, start)
            return True
        except (BlockingIOError, PermissionError):
            return False
        finally:
            os.close(fd)

    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert not in_child(lambda: flock(fcntl.LOCK_SH)), "flock: exclusive keeps a reader out"
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert in_child(lambda: flock(fcntl.LOCK_SH)), "flock: two may share"
    assert not in_child(lambda: flock(fcntl.LOCK_EX)), "flock: shared keeps a writer out"
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert in_child(lambda: flock(fcntl.LOCK_EX)), "flock: free again"
    fcntl.lockf(fd, fcntl.LOCK_EX, 100, 100)
    assert not in_child(lambda: posix(fcntl.LOCK_EX, 150, 10)), "fcntl: the range is taken"
    assert in_child(lambda: posix(fcntl.LOCK_EX, 200, 10)), "fcntl: behind it is free"
    assert in_child(lambda: flock(fcntl.LOCK_EX)), "flock and fcntl know nothing of each other"
    fcntl.lockf(fd, fcntl.LOCK_UN, 20, 140)
    assert in_child(lambda: posix(fcntl.LOCK_EX, 145, 10)), "fcntl: a part is free"

    def holder():
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 100, 10, 0)
        mine = os.open(path, os.O_RDWR)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(mine, fcntl.F_GETLK, query))
        return kind == fcntl.F_WRLCK and pid == os.getppid()

    assert in_child(holder), "F_GETLK names the holder"
    os.close(fd)
    assert in_child(lambda: posix(fcntl.LOCK_EX, 0, 0)), "fcntl: close gives up"

    # A holder that dies gives up; the waiter gets it.
    ready, gate = os.pipe()
    pid = os.fork()
    if pid == 0:
        mine = os.open(path, os.O_RDWR)
        fcntl.flock(mine, fcntl.LOCK_EX)
        fcntl.lockf(mine, fcntl.LOCK_EX)
        os.write(gate, b"x")
        time.sleep(1000)
    os.read(ready, 1)
    assert not in_child(lambda: flock(fcntl.LOCK_EX))
    assert not in_child(lambda: posix(fcntl.LOCK_EX, 0, 0))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    os.close(fd)


@case
def fifos_and_sockets(d):
    os.mkfifo(d + "/fifo", 0o600)
    pid = os.fork()
    if pid == 0:
        with open(d + "/fifo", "wb") as f:
            f.write(b"through the pipe")
        os._exit(0)
    equal(read(d + "/fifo"), b"through the pipe")
    os.waitpid(pid, 0)
    equal(os.stat(d + "/fifo").st_size, 0)
    # A socket's path is short; reach it through /proc.
    fd = os.open(d, os.O_RDONLY)
    path = f"/proc/self/fd/{fd}/s"
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    peer, _ = server.accept()
    client.send(b"hello")
    equal(peer.recv(10), b"hello")
    assert select.select([peer], [], [], 0)[0] == []
    for s in (peer, client, server):
        s.close()
    os.close(fd)
    if os.geteuid() == 0:
        os.mknod(d + "/zero", 0o20600, os.makedev(1, 5))
        equal(os.stat(d + "/zero").st_rdev, os.makedev(1, 5))


run(sys.argv[1], only=sys.argv[2:])
