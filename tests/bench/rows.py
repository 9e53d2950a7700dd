"""The rows: what is timed, of how much, and what must have been done before.

A row's figure is what one operation costs (microseconds), or seconds, or KiB: less is better everywhere. What
stands between the timed parts (mounts, syncs, preparations) is not counted.
"""
import dataclasses
import os
import shutil
import subprocess
import time

import fuse_requests
from systems import Failed, call


@dataclasses.dataclass
class Sizes:
    sessions: int = 50
    messages: int = 100
    durable: int = 500
    writers: int = 100
    each: int = 20
    stream: int = 20000
    echo: int = 2000
    saves: int = 200
    names: int = 100000
    repository: int = 5000
    megabytes: int = 256
    random: int = 2000
    flushes: int = 200
    memory: int = 100

    @property
    def entries(self):
        return self.sessions * (self.messages + 2)


QUICK = Sizes(sessions=5, messages=20, durable=30, writers=20, each=3, stream=1000, echo=100, saves=20, names=2000,
              repository=200, megabytes=16, random=100, flushes=20, memory=10)


class Bench:
    """What a row has at hand: the system, the program that does the work, sizes, a scratch folder of the disk."""

    def __init__(self, system, shared, opt):
        self.system, self.shared, self.sizes = system, shared, opt.sizes
        self.scratch = os.path.join(system.folder, "scratch")
        os.makedirs(self.scratch, exist_ok=True)
        self.notes, self.empty_kib = {}, 0

    def work(self, verb, path, *numbers):
        return float(call(self.shared["work"], verb, path, *map(str, numbers)).split()[0])

    def timed(self, *command, status=(0,)):
        start = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"})
        seconds = time.monotonic() - start
        if done.returncode not in status:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Failed(f"{' '.join(command)}: status {done.returncode}: {said[-1] if said else ''}")
        return seconds

    @property
    def tree(self):
        return self.system.place("chat")

    @property
    def large(self):
        folder = os.path.join(self.system.place("files"), "session-001")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, "large.bin")


def create(b):
    return b.work("create", b.tree, b.sizes.sessions, b.sizes.messages) / (b.sizes.sessions * b.sizes.messages)


def durable(b):
    return b.work("durable", b.tree, b.sizes.durable, b.sizes.sessions, b.sizes.messages) / b.sizes.durable


def writers(b):
    count = b.sizes.writers * b.sizes.each
    return b.work("writers", b.tree, b.sizes.writers, b.sizes.each, b.sizes.sessions, b.sizes.messages) / count


def stream(b):
    return b.work("stream", b.tree, b.sizes.stream) / b.sizes.stream


def echo(b):
    return b.work("echo", b.tree, b.sizes.echo) / b.sizes.echo


def save(b):
    return b.work("save", b.tree, b.sizes.saves, b.sizes.sessions, b.sizes.messages) / b.sizes.saves


def walk_stat(b):
    return b.work("stat", b.tree, b.sizes.entries) / b.sizes.entries


def walk_read(b):
    return b.work("read", b.tree, b.sizes.entries) / (b.sizes.sessions * b.sizes.messages)


def count_requests(b, verb, row):
    """Once more, untimed, under strace: what the daemon is asked for in a warm walk."""
    if b.system.name != "scribefs":
        return
    tree = b.tree
    with fuse_requests.Watch(b.system.daemon.pid, b.scratch) as watch:
        b.work(verb, tree, b.sizes.entries)
    b.notes[row] = watch.counts


def warm_stat(b):
    walk_stat(b)
    seconds = walk_stat(b)
    count_requests(b, "stat", "warm stat")
    return seconds


def warm_read(b):
    walk_read(b)
    seconds = walk_read(b)
    count_requests(b, "read", "warm read")
    return seconds


def tar_out(b):
    # Into a pipe: tar does not read what it is to write to /dev/null.
    return b.timed("bash", "-o", "pipefail", "-c", 'tar -cf - -C "$1" . | cat >/dev/null', "tar", b.tree)


def untar(b):
    return b.timed("tar", "-xf", b.shared["tar"], "-C", b.system.place("untar"))


def rsync(b):
    return b.timed("rsync", "-a", b.tree + "/", os.path.join(b.scratch, "copy"))


def grep(b):
    return b.timed("grep", "-rF", "no such words in it", b.tree, status=(1,))


def clone(b):
    target = os.path.join(b.system.place("code"), "session-001")
    os.makedirs(target, exist_ok=True)
    return b.timed("git", "clone", "-q", "--no-local", b.shared["repository"], os.path.join(target, "repository"))


def git_status(b):
    return b.timed("git", "-C", os.path.join(b.system.place("code"), "session-001", "repository"), "status", "-s")


def delete(b):
    return b.work("delete", b.tree, b.sizes.entries) / b.sizes.entries


def big_write(b):
    return b.work("bigwrite", b.large, b.sizes.megabytes) / b.sizes.megabytes


def big_read(b):
    return b.work("bigread", b.large, b.sizes.megabytes) / b.sizes.megabytes


def random_read(b):
    return b.work("randread", b.large, b.sizes.random) / b.sizes.random


def random_write(b):
    return b.work("randwrite", b.large, b.sizes.random) / b.sizes.random


def names_folder(b):
    folder = os.path.join(b.system.place("list"), "session-001", "names")
    os.makedirs(folder, exist_ok=True)
    return folder


def make_names(b):
    b.work("names", names_folder(b), b.sizes.names)


def list_names(b):
    return b.work("list", names_folder(b), b.sizes.names)


def load_samples(b):
    b.system.umount()
    b.empty_kib = b.system.space()
    b.system.mount()
    if b.shared["split"]:
        return b.timed(b.shared["split"], b.system.users())
    return b.work("create", b.tree, b.sizes.sessions, b.sizes.messages)


def space(b):
    """What the empty store has grown by (scribefs has set 64 MB aside for a full disk), unmounted, its log empty."""
    b.system.umount()
    kib = b.system.space()
    b.system.mount()
    return kib and kib - b.empty_kib


def load_memory(b):
    b.work("create", b.tree, b.sizes.memory, b.sizes.messages)
    walk_read(b)


def memory(b):
    return b.system.memory("VmHWM")


@dataclasses.dataclass
class Row:
    name: str
    text: str
    unit: str  # us: per operation; s: seconds; mbs: seconds per MB, shown as MB/s; kib
    run: object
    group: str = "main"  # rows of a group share one store
    cold: bool = False
    needs: tuple = ()
    sync: bool = False  # left out where fsync does not reach the disk
    only: tuple = ()  # systems
    hidden: bool = False  # a preparation


ROWS = [
    Row("create", "create a message", "us", create),
    Row("durable", "append to a message, fsync", "us", durable, needs=("create",), sync=True),
    Row("writers", "the same, {writers} at once", "us", writers, needs=("create",), sync=True),
    Row("stream", "append 40 bytes to an open file", "us", stream, needs=("create",)),
    Row("echo", "`echo >>` of 40 bytes", "us", echo, needs=("create",)),
    Row("save", "an editor's save: temporary file, fsync, rename", "us", save, needs=("create",), sync=True),
    Row("stat", "cold stat walk, an entry", "us", walk_stat, cold=True, needs=("create",)),
    Row("read", "cold read walk, a file", "us", walk_read, cold=True, needs=("create",)),
    Row("warm-stat", "warm stat walk, an entry", "us", warm_stat, needs=("create",)),
    Row("warm-read", "warm read walk, a file", "us", warm_read, needs=("create",)),
    Row("tar", "tar, cold", "s", tar_out, cold=True, needs=("create",)),
    Row("rsync", "rsync of everything to the disk, cold", "s", rsync, cold=True, needs=("create",)),
    Row("rsync-none", "rsync without changes, cold", "s", rsync, cold=True, needs=("rsync",)),
    Row("grep", "grep -r, cold", "s", grep, cold=True, needs=("create",)),
    Row("untar", "untar", "s", untar),
    Row("clone", "git clone, {repository} files", "s", clone),
    Row("status", "git status, cold", "s", git_status, cold=True, needs=("clone",)),
    Row("delete", "delete everything, cold, an entry", "us", delete, cold=True, needs=("create",)),
    Row("big-write", "write {megabytes} MB, fsync", "mbs", big_write, group="big", sync=True),
    Row("big-read", "read {megabytes} MB, cold", "mbs", big_read, group="big", cold=True, needs=("big-write",)),
    Row("random-read", "read 4 KiB anywhere in it, cold", "us", random_read, group="big", cold=True,
        needs=("big-write",)),
    Row("random-write", "write 4 KiB anywhere in it, fsync at the end", "us", random_write, group="big", cold=True,
        needs=("big-write",), sync=True),
    Row("names", "", "s", make_names, group="list", hidden=True),
    Row("list", "list a directory of {names}, cold", "s", list_names, group="list", cold=True, needs=("names",)),
    Row("samples", "{samples} written", "s", load_samples, group="samples"),
    Row("space", "disk space of {samples}, unmounted", "kib", space, group="samples", needs=("samples",)),
    Row("cpu", "the daemon's processor time, one round", "s", None, group="daemon"),
    Row("peak", "the daemon's peak memory, the whole run", "kib", None, group="daemon"),
    Row("memory-load", "", "s", load_memory, group="memory", only=("scribefs",), hidden=True),
    Row("memory", "its peak memory, {memory} sessions of {messages} messages written and read", "kib", memory,
        group="memory", only=("scribefs",), needs=("memory-load",)),
]
GROUPS = ("main", "big", "samples", "list", "memory")
ONCE = ("list", "memory")  # groups of the first round only: their preparation takes long; list is timed thrice there
COUNTED = ("main", "big")  # whose processor time counts


def chosen(names):
    """The rows that are wanted, with those that they need, in order."""
    wanted = {r.name for r in ROWS if not names or r.name in names}
    while True:
        more = {n for r in ROWS if r.name in wanted for n in r.needs} - wanted
        if not more:
            return [r for r in ROWS if r.name in wanted]
        wanted |= more


def make_shared(base, programs, sizes):
    """A tar of such a tree, and a repository, both on the disk itself."""
    tree = os.path.join(base, "source")
    os.makedirs(tree)
    call(programs["work"], "create", tree, str(sizes.sessions), str(sizes.messages))
    tar = os.path.join(base, "source.tar")
    call("tar", "-cf", tar, "-C", tree, ".")
    shutil.rmtree(tree)
    return {**programs, "tar": tar, "repository": make_repository(base, sizes.repository)}


def make_repository(base, count):
    folder = os.path.join(base, "repository")
    for n in range(count):
        path = os.path.join(folder, f"module-{n // 50:03d}", f"part-{n % 50:02d}.txt")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.writelines(f"line {line} of file {n}: {line * 7919 * (n + 1) % 65521}\n" for line in range(3 + n % 60))
    git = ["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"], ["gc", "-q"]):
        call(*git, *command, env=environment)
    return folder
