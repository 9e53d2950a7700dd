"""crash_work.py load USERS LEDGER ROUND: works until the mount dies; verify USERS LEDGER: what must be there.

Each worker writes down, outside the mount, what it is about to do ("try") and that it was done ("did").
After a crash everything "did" must hold; an operation that was only tried is whole or absent. What was
written but not yet closed may be there up to any byte.
"""
import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import time

verb, users, ledger_dir = sys.argv[1:4]
base = os.path.join(users, "ann", "chat", "load")
# What an operation under way gets from a mount that dies.
DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV)


def content(key, size):
    block = hashlib.sha256(key.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Ledger:
    def __init__(self, name):
        self.path = os.path.join(ledger_dir, name)
        self.file = None

    def put(self, *record):
        if self.file is None:
            self.file = open(self.path, "a", encoding="utf-8")
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def records(self):
        try:
            with open(self.path, encoding="utf-8") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []


def put_file(path, data, dice, flags=os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    try:
        at = 0
        while at < len(data):
            at += os.write(fd, data[at:at + dice.choice((100, 4096, 70000))])
    finally:
        os.close(fd)


def messages(dice, ledger, round_):
    """Through next.md: the number, too."""
    folder = os.path.join(base, "messages")
    for n in range(10**9):
        key = f"message {round_} {n} {dice.random()}"
        size = dice.choice((10, 500, 5000, 30000))
        fd = os.open(os.path.join(folder, "next.md"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        name = os.getxattr(fd, "user.scribefs.name").decode()
        ledger.put("try", name, key, size)
        try:
            os.write(fd, content(key, size))
        finally:
            os.close(fd)
        ledger.put("did", name, key, size)


def files(dice, ledger, round_):
    """New files, files written over, files replaced by a rename, files deleted."""
    folder = os.path.join(base, "files")
    os.makedirs(folder, exist_ok=True)
    for n in range(10**9):
        name = f"f{dice.randrange(60)}"
        key, size = f"file {round_} {n}", dice.choice((0, 1, 4000, 4097, 50000, 300000))
        way = dice.choice(("replace", "replace", "fresh", "unlink"))
        if way == "unlink":
            ledger.put("try", name, None, 0)
            try:
                os.unlink(os.path.join(folder, name))
            except FileNotFoundError:
                pass
            ledger.put("did", name, None, 0)
        elif way == "replace":
            temp = os.path.join(folder, f".tmp-{name}")
            put_file(temp, content(key, size), dice)
            ledger.put("try", name, key, size)
            os.rename(temp, os.path.join(folder, name))
            ledger.put("did", name, key, size)
        else:
            name = f"n{round_}-{n}"
            put_file(os.path.join(folder, name), content(key, size), dice, os.O_EXCL)
            ledger.put("did", name, key, size)


def appends(dice, ledger, round_):
    """Records at the end of one file; a sync now and then."""
    path = os.path.join(base, "log")
    record = 64
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        n = os.fstat(fd).st_size // record
        if os.fstat(fd).st_size % record:
            os.ftruncate(fd, n * record)
        while True:
            os.write(fd, content(f"record {n}", record))
            n += 1
            if dice.random() < 0.05:
                os.fsync(fd)
                ledger.put("did", n)
    finally:
        os.close(fd)


def inplace(dice, ledger, round_):
    """Blocks of a large file written over, each whole, then closed."""
    path = os.path.join(base, "blocks")
    block, count = 8192, 200
    for n in range(10**9):
        which = dice.randrange(count)
        key = f"block {round_} {n}"
        ledger.put("try", which, key)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(fd, content(key, block), which * block)
        finally:
            os.close(fd)
        ledger.put("did", which, key)


def names(dice, ledger, round_):
    """Folders that move; one name at a time is there, with what lies in it."""
    for side in "ab":
        os.makedirs(os.path.join(base, "tree", side), exist_ok=True)
    for n in range(10**9):
        which = dice.randrange(8)
        here = [s for s in "ab" if os.path.exists(os.path.join(base, "tree", s, f"d{which}"))]
        if not here:
            side = dice.choice("ab")
            os.mkdir(os.path.join(base, "tree", side, f"d{which}"))
            put_file(os.path.join(base, "tree", side, f"d{which}", "inside"), content(f"d{which}", 200), dice)
            ledger.put("did", which, side)
            continue
        other = "b" if here[0] == "a" else "a"
        ledger.put("try", which, other)
        os.rename(os.path.join(base, "tree", here[0], f"d{which}"), os.path.join(base, "tree", other, f"d{which}"))
        ledger.put("did", which, other)


def sessions(dice, ledger, round_):
    """New sessions, their modes, attributes and titles."""
    for n in range(10**9):
        name = f"s-{round_}-{n}"
        path = os.path.join(users, "ann", "made", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path)
        # Another process asks: the one that made a session does not see what was made for it.
        told = subprocess.run(["cat", os.path.join(path, "session.json")], capture_output=True)
        if told.returncode != 0:
            raise OSError(errno.ENOTCONN if b"onnect" in told.stderr else errno.EINVAL, told.stderr.decode())
        identity = json.loads(told.stdout)["session_id"]
        ledger.put("made", name, identity)
        os.chmod(path, 0o750)
        ledger.put("mode", name, 0o750)
        os.setxattr(path, "user.note", name.encode())
        ledger.put("note", name, name)
        os.mkdir(os.path.join(path, "messages"))
        with open(os.path.join(path, "messages", "001.md"), "w", encoding="utf-8") as f:
            f.write(f"first of {name}\n")
        ledger.put("title", name, f"first of {name}")
        if n % 3 == 2:
            os.rename(path, path + "-moved")
            ledger.put("moved", name, name + "-moved")
        time.sleep(0.01)


WORKERS = {f.__name__: f for f in (messages, files, appends, inplace, names, sessions)}


def load(round_):
    children = {}
    for number, (name, function) in enumerate(WORKERS.items()):
        pid = os.fork()
        if pid == 0:
            status = 2
            try:
                function(random.Random(int(round_) * 100 + number), Ledger(name), round_)
            except OSError as error:
                status = 0 if error.errno in DEAD else 1
                if status:
                    print(f"{name}: {error!r} {error.filename}", flush=True)
            except BaseException as error:
                print(f"{name}: {error!r}", flush=True)
            os._exit(status)
        children[pid] = name
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))


def slurp(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def settle(records):
    """{name: states that are allowed}: the last that was done, or what was tried after it."""
    allowed = {}
    for kind, name, *state in records:
        if kind == "did":
            allowed[name] = [state]
        else:
            allowed.setdefault(name, [None]).append(state)
    return allowed


def verify():
    bad = []

    done, started = {}, []
    for kind, name, key, size in Ledger("messages").records():
        started.append(name)
        if kind == "did":
            done[name] = content(key, size)
    folder = os.path.join(base, "messages")
    for name, data in done.items():
        if slurp(os.path.join(folder, name)) != data:
            bad.append(f"message {name} is not what was closed")
    tried = [int(name[:-3]) for name in dict.fromkeys(started)]
    if tried != sorted(tried) or len(set(tried)) != len(tried):
        bad.append("the numbers of messages went back")
    names_made = {}
    for kind, name, key, size in Ledger("messages").records():
        if kind == "try" and names_made.setdefault(name, key) != key:
            bad.append(f"the number of {name} was given out twice")

    folder = os.path.join(base, "files")
    for name, states in settle(Ledger("files").records()).items():
        data = slurp(os.path.join(folder, name))
        if not any(data == (content(s[0], s[1]) if s and s[0] else None) for s in states):
            bad.append(f"file {name}: {None if data is None else len(data)} bytes, allowed {states}")

    log = slurp(os.path.join(base, "log")) or b""
    synced = max([n for _, n in Ledger("appends").records()], default=0)
    if len(log) // 64 < synced:
        bad.append(f"{synced} records were synced, {len(log) // 64} are there")
    for n in range(len(log) // 64):
        if log[n * 64:n * 64 + 64] != content(f"record {n}", 64):
            bad.append(f"record {n} of the log is damaged")
            break
    if log[len(log) // 64 * 64:] != content(f"record {len(log) // 64}", 64)[:len(log) % 64]:
        bad.append("the last record of the log is damaged")

    data = slurp(os.path.join(base, "blocks")) or b""
    for which, states in settle(Ledger("inplace").records()).items():
        got = data[which * 8192:which * 8192 + 8192]
        if not any(got == (content(s[0], 8192) if s else got) and (s or not got.strip(b"\0")) for s in states):
            bad.append(f"block {which} of the large file")

    for which, states in settle(Ledger("names").records()).items():
        here = [s for s in "ab" if os.path.lexists(os.path.join(base, "tree", s, f"d{which}"))]
        if len(here) != 1 or not any(s and s[0] == here[0] for s in states):
            bad.append(f"folder d{which} is in {here}, allowed {states}")
        elif slurp(os.path.join(base, "tree", here[0], f"d{which}", "inside")) != content(f"d{which}", 200):
            bad.append(f"folder d{which} lost what lay in it")

    place, identities = {}, {}
    records = Ledger("sessions").records()
    for kind, name, value in records:
        if kind == "moved":
            place[name] = value
    for kind, name, value in records:
        path = os.path.join(users, "ann", "made", place.get(name, name))
        if kind == "made" and not os.path.exists(path) and os.path.exists(path + "-moved"):
            place[name] = name + "-moved"  # tried, and done, but not written down
            path += "-moved"
        try:
            with open(os.path.join(path, "session.json"), encoding="utf-8") as f:
                info = json.load(f)
            if kind == "made" and (info["session_id"] != value or identities.setdefault(value, name) != name):
                bad.append(f"session {name}: session_id {info['session_id']}, it was {value}")
            elif kind == "mode" and os.stat(path).st_mode & 0o7777 != value:
                bad.append(f"session {name}: mode {os.stat(path).st_mode:o}")
            elif kind == "note" and os.getxattr(path, "user.note") != value.encode():
                bad.append(f"session {name}: attribute")
            elif kind == "title" and (info["title"] != value or info["message_count"] != 1):
                bad.append(f"session {name}: title {info['title']!r}, count {info['message_count']}, {value!r} expected")
        except OSError as error:
            bad.append(f"session {name}, {kind}: {error!r}")

    with open(os.path.join(base, "session.json"), encoding="utf-8") as f:
        count = json.load(f)["message_count"]
    there = [n for n in os.listdir(os.path.join(base, "messages")) if n.endswith(".md")]
    if count != len(there):
        bad.append(f"message_count {count}, {len(there)} messages are there")

    for line in bad[:20]:
        print(line)
    print(f"{len(bad)} problems")
    sys.exit(1 if bad else 0)


if verb == "load":
    load(sys.argv[4])
else:
    verify()
