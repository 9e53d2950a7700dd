"""What the Python halves of the scenario tests share: cases that each get a fresh folder.

A case is a function marked with @case; its docstring or name is what it says. run(DIR) calls all of them
and exits 1 if one failed. An assert or an unexpected OSError fails a case and the rest goes on.
"""
import ctypes
import errno
import os
import sys
import traceback

CASES = []
libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    pass


def case(function):
    CASES.append(function)
    return function


def run(base, *args, only=None):
    failed = 0
    for function in CASES:
        if only and function.__name__ not in only:
            continue
        text = (function.__doc__ or function.__name__.replace("_", " ")).strip().splitlines()[0]
        folder = os.path.join(base, function.__name__)
        try:
            os.mkdir(folder)
            function(folder, *args)
            print(f"ok: {text}")
        except Skip as reason:
            print(f"skip: {text}: {reason}")
        except Exception as error:
            failed += 1
            frames = [f for f in traceback.extract_tb(sys.exc_info()[2]) if f.filename != __file__]
            where = frames[-1] if frames else None
            print(f"FAIL: {text}: {type(error).__name__}: {error}")
            for frame in frames:
                print(f"    {os.path.basename(frame.filename)}:{frame.lineno} {frame.name}: {frame.line}")
            del where
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


def fails(number, function, *args, **kwargs):
    """The call must fail with this errno, or one of them."""
    numbers = number if isinstance(number, tuple) else (number,)
    names = "/".join(errno.errorcode[n] for n in numbers)
    try:
        result = function(*args, **kwargs)
    except OSError as error:
        got = errno.errorcode.get(error.errno, error.errno)
        assert error.errno in numbers, f"{names} expected, got {got} ({getattr(function, '__name__', function)}{args[:3]})"
        return
    raise AssertionError(f"{names} expected, but it worked: {getattr(function, '__name__', function)}{args[:3]} -> {result}")


def equal(actual, expected, what=""):
    assert actual == expected, f"{what}: expected {expected!r:.300}, got {actual!r:.300}"


def call(name, *args):
    """A function of libc that returns -1 and sets errno."""
    result = getattr(libc, name)(*args)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


NOREPLACE, EXCHANGE = 1, 2


def rename2(old, new, flags):
    return call("renameat2", -100, os.fsencode(old), -100, os.fsencode(new), ctypes.c_uint(flags))


KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT = 1, 2, 8, 16, 32


def fallocate(fd, mode, offset, length):
    return call("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def write(path, data=b"", flags=0, mode=0o666):
    if isinstance(data, str):
        data = data.encode()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flags, mode)
    try:
        while data:
            data = data[os.write(fd, data):]
    finally:
        os.close(fd)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def exists(path):
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False


def as_user(uid, function, gid=None, groups=()):
    """Calls it in a process of another user and passes its failure on."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(list(groups))
            os.setresgid(*[uid if gid is None else gid] * 3)
            os.setresuid(uid, uid, uid)
            os.umask(0o022)
            function()
            text = b""
        except BaseException:
            text = traceback.format_exc(limit=-2).encode()
        os.write(writer, text)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as f:
        text = f.read().decode()
    os.waitpid(pid, 0)
    assert not text, f"as user {uid}: {text}"


def open_to_all(folder):
    """Makes a folder one that every user may enter and write to."""
    os.chmod(folder, 0o777)
    return folder
