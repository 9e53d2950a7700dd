"""The load of tests/power/run, and what must be left of it.

An *object* is something whose states follow each other: a message, a file, a name, a block. Before each
change the worker writes down, in the journal of the disk below, which state it is about to make (T), after
it that it was done (D), and after an fsync that it is durable (S): [letter, object, number, state]. At a cut
the object must be found in a state that was begun before the cut and is no older than the last durable one.
All of it is read back through the mount.
"""
import json
import os
import random
import time

BLOCK = 8192
RECORD = 64


def content(key, size):
    """Bytes that do not compress, by key; of a context.json a document that holds as many."""
    data = random.Random(key).randbytes(size)
    if not key.endswith(" context"):
        return data
    document = {"context": {"currentStep": key}, "state": {"keyDecisions": [data.hex()]}}
    return json.dumps(document, indent=1).encode()



def make_folder(path):
    """With its parents. os.makedirs() takes a mount that dies after its EEXIST for a file in the way."""
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        make_folder(path)


class Ledger:
    def __init__(self, ack, pause):
        self.fd = os.open(ack, os.O_WRONLY)
        self.numbers, self.pause = {}, pause

    def put(self, letter, thing, number, state=None):
        os.write(self.fd, json.dumps([letter, thing, number, state]).encode())

    def begin(self, thing, state):
        time.sleep(self.pause)
        number = self.numbers[thing] = self.numbers.get(thing, 0) + 1
        self.put("T", thing, number, state)
        return number


# Some files are synced; none is; the mount has the option sync, so that close is as good as fsync.
KINDS = ("eager", "quiet", "sync")


def cannot(error):
    """For os.walk, which else takes what cannot be listed to be empty."""
    raise error


class Worker:
    """dice: its own; kind: one of KINDS."""

    ledger_of = Ledger

    def __init__(self, base, ack, dice, kind):
        self.base, self.dice, self.eager = base, dice, kind != "quiet"
        self.closed = "S" if kind == "sync" else "D"
        # Who never waits for a sync would drown the rest in what it does.
        self.ledger = self.ledger_of(ack, 0 if self.eager else 0.01)

    def path(self, *names):
        return os.path.join(self.base, *names)

    def syncs(self, odds):
        return self.eager and self.dice.random() < odds

    def write(self, fd, data):
        at = 0
        while at < len(data):
            at += os.write(fd, data[at:at + self.dice.choice((100, 4096, 70000, 1 << 20))])

    def sync_path(self, path, thing, number):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self.ledger.put("S", thing, number)

    def put_file(self, path, thing, number, data, flags=os.O_TRUNC):
        """Written in pieces; synced before it is closed, or not."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
        try:
            self.write(fd, data)
            if thing and self.syncs(0.4):
                os.fsync(fd)
                self.ledger.put("S", thing, number)
        finally:
            os.close(fd)
        if thing:
            self.ledger.put(self.closed, thing, number)

    def messages(self):
        """Through next.md, so that the numbers count; some deleted again."""
        folder = self.path("messages")
        mine = []
        for n in range(10**9):
            key, size = f"{self.base} message {n}", self.dice.choice((10, 500, 5000, 30000))
            fd = os.open(os.path.join(folder, "next.md"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                name = os.getxattr(fd, "user.scribefs.name").decode()
                thing = "message/" + name
                number = self.ledger.begin(thing, [key, size])
                self.write(fd, content(key, size))
                if self.syncs(0.3):
                    os.fsync(fd)
                    self.ledger.put("S", thing, number)
            finally:
                os.close(fd)
            self.ledger.put(self.closed, thing, number)
            mine.append((thing, name))
            if len(mine) > 3 and self.dice.random() < 0.1:
                thing, name = mine.pop(self.dice.choice((-1, 0)))
                number = self.ledger.begin(thing, None)
                os.unlink(os.path.join(folder, name))
                self.ledger.put("D", thing, number)
                if self.syncs(0.5):
                    self.sync_path(folder, thing, number)

    def files(self):
        """New, replaced by a rename, deleted."""
        folder = self.path("files")
        make_folder(folder)
        for n in range(10**9):
            name = f"f{self.dice.randrange(40)}"
            key, size = f"{self.base} file {n}", self.dice.choice((0, 1, 4000, 4097, 50000, 300000))
            way = self.dice.choice(("replace", "replace", "fresh", "unlink"))
            path = os.path.join(folder, name)
            if way == "fresh":
                name = f"n{n}"
                number = self.ledger.begin("file/" + name, [key, size])
                self.put_file(os.path.join(folder, name), "file/" + name, number, content(key, size), os.O_EXCL)
                continue
            if way == "unlink":
                if not os.path.exists(path):
                    continue
                number = self.ledger.begin("name/" + name, None)
                os.unlink(path)
            else:
                temporary = os.path.join(folder, ".new")
                self.put_file(temporary, None, 0, content(key, size))
                number = self.ledger.begin("name/" + name, [key, size])
                os.rename(temporary, path)
            self.ledger.put("D", "name/" + name, number)
            if self.syncs(0.3):
                self.sync_path(folder, "name/" + name, number)

    def context(self):
        """What an agent saves of its work: written over, and replaced."""
        thing, path = "context/json", self.path("context.json")
        for n in range(10**9):
            key, size = f"{self.base} {n} context", self.dice.choice((10, 1500, 9000))
            if n % 2:
                number = self.ledger.begin(thing, [key, size])
                self.put_file(path, thing, number, content(key, size))
            else:
                temporary = self.path(".context.json.new")
                self.put_file(temporary, None, 0, content(key, size))
                number = self.ledger.begin(thing, [key, size])
                os.rename(temporary, path)
                self.ledger.put("D", thing, number)
                if self.syncs(0.3):
                    self.sync_path(self.base, thing, number)
            time.sleep(0.02)

    def log(self):
        """Records at the end of one file, by write alone; a sync now and then."""
        fd = os.open(self.path("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        while True:
            for _ in range(self.dice.randrange(1, 40)):
                number = self.ledger.begin("log", None)
                os.write(fd, content(f"record {number}", RECORD))
                self.ledger.put("D", "log", number)
            if self.syncs(0.5):
                os.fsync(fd)
                self.ledger.put("S", "log", number)
            time.sleep(0.02)

    def blocks(self):
        """Blocks of a large file written over; half of them synced."""
        for n in range(10**9):
            which = self.dice.randrange(150)
            thing, key = f"block/{which}", f"{self.base} block {n}"
            number = self.ledger.begin(thing, key)
            fd = os.open(self.path("blocks"), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(fd, content(key, BLOCK), which * BLOCK)
                if self.syncs(0.3):
                    os.fsync(fd)
                    self.ledger.put("S", thing, number)
            finally:
                os.close(fd)
            self.ledger.put(self.closed, thing, number)

    def large(self):
        """Files of some MiB, so that the engine turns its logs and tables over."""
        for n in range(10**9):
            key, size = f"{self.base} large {n}", self.dice.randrange(1 << 20, 6 << 20)
            number = self.ledger.begin(f"file/large{n}", [key, size])
            make_folder(self.path("files"))
            path = self.path("files", f"large{n}")
            self.put_file(path, f"file/large{n}", number, content(key, size))
            if self.dice.random() < 0.5:
                number = self.ledger.begin(f"file/large{n}", None)
                os.unlink(path)
                self.ledger.put("D", f"file/large{n}", number)
            time.sleep(0.2)

    def names(self):
        """Folders with something in them go to and fro; attributes and modes change."""
        for side in "ab":
            make_folder(self.path("tree", side))
        sides = {}
        for n in range(10**9):
            which = self.dice.randrange(8)
            thing = f"folder/{which}"
            if which not in sides:
                number = self.ledger.begin(thing, "a")
                os.mkdir(self.path("tree", "a", str(which)))
                sides[which] = "a"
            else:
                to = "b" if sides[which] == "a" else "a"
                number = self.ledger.begin(thing, to)
                os.rename(self.path("tree", sides[which], str(which)), self.path("tree", to, str(which)))
                sides[which] = to
            self.ledger.put("D", thing, number)
            path = self.path("tree", sides[which])
            if self.syncs(0.3):
                self.sync_path(path, thing, number)
            number = self.ledger.begin("note/" + sides[which], str(n))
            os.setxattr(path, "user.note", str(n).encode())
            self.ledger.put("D", "note/" + sides[which], number)
            if self.syncs(0.3):
                self.sync_path(path, "note/" + sides[which], number)
            mode = 0o700 + n % 45  # never the 0755 that they are made with
            number = self.ledger.begin("mode/" + sides[which], mode)
            os.chmod(path, mode)
            self.ledger.put("D", "mode/" + sides[which], number)
            time.sleep(0.01)

    def sessions(self):
        """Sessions and users that are made and go: a user's key is made and destroyed with it."""
        users = self.base[:self.base.index("/users/") + 7]
        for n in range(10**9):
            user = f"u{os.path.basename(self.base)}-{n}"
            number = self.ledger.begin("user/" + user, "made")
            path = os.path.join(users, user, "chat", "s")
            os.makedirs(os.path.join(path, "messages"))
            with open(os.path.join(path, "messages", "001.md"), "w", encoding="utf-8") as f:
                f.write(f"first of {user}\n")
            self.ledger.put("D", "user/" + user, number)
            if self.dice.random() < 0.6:
                number = self.ledger.begin("user/" + user, None)
                for folder, _, names in os.walk(os.path.join(users, user), False, cannot):
                    for name in names:
                        if name != "session.json":
                            os.unlink(os.path.join(folder, name))
                    os.rmdir(folder)
                self.ledger.put("D", "user/" + user, number)
            time.sleep(0.1)


WORKERS = ("messages", "files", "context", "log", "blocks", "large", "names", "sessions")


# ---- what is left -----------------------------------------------------------------------------


def slurp(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


class Thing:
    def __init__(self):
        self.states = {0: None}
        self.tried, self.done = {0: -1}, {}
        self.floor, self.why = 0, "the start"


def things(acks, cut_time, seconds):
    """{object: Thing}, from [(position, time, [letter, object, number, state])]."""
    found = {}
    for position, when, (letter, name, number, state) in acks:
        thing = found.setdefault(name, Thing())
        if letter == "T":
            thing.states[number] = state
            thing.tried[number] = position
            continue
        thing.done.setdefault(number, position)
        if number > thing.floor and (letter == "S" or cut_time - when > seconds):
            thing.floor = number
            thing.why = "fsync" if letter == "S" else f"{cut_time - when:.1f} s"
    return found


def file_matches(path, thing, whole):
    """The states of a file that what is there may be; of one under way, any part from its beginning."""
    data = slurp(path)
    matches = []
    for number, state in thing.states.items():
        if state is None:
            if data is None:
                matches.append((number, False))
            continue
        if data is None:
            continue
        wanted = content(*state)
        if data == wanted:
            matches.append((number, False))
        elif not whole and wanted.startswith(data):
            matches.append((number - 1, True))
    return matches, None if data is None else len(data)


class Verifier:
    # What is committed by its own operation, and so in the order of all operations; what is only written
    # (the log) waits a moment in the daemon's memory.
    ORDERED = ("message", "file", "context", "name", "folder", "note", "mode", "block", "user")

    def __init__(self, base):
        self.base = base
        self.users = base[:base.index("/users/") + 7]
        self.log = slurp(self.path("log")) or b""
        self.blocks_data = slurp(self.path("blocks")) or b""

    def path(self, *names):
        return os.path.join(self.base, *names)

    def message(self, name, thing):
        return file_matches(self.path("messages", name), thing, False)

    def file(self, name, thing):
        return file_matches(self.path("files", name), thing, False)

    def name(self, name, thing):
        return file_matches(self.path("files", name), thing, True)

    def context(self, _, thing):
        return file_matches(self.path("context.json"), thing, False)

    def folder(self, name, thing):
        here = [s for s in "ab" if os.path.lexists(self.path("tree", s, name))]
        if len(here) > 1:
            return [], here
        return [(n, False) for n, s in thing.states.items() if s == (here[0] if here else None)], here

    def attribute(self, thing, read):
        try:
            value = read()
        except OSError:
            value = None
        matches = [(n, False) for n, s in thing.states.items() if s == value]
        return matches or [(0, False)] * (thing.floor == 0 and value == self.fresh), value

    def note(self, name, thing):
        self.fresh = None
        return self.attribute(thing, lambda: os.getxattr(self.path("tree", name), "user.note").decode())

    def mode(self, name, thing):
        self.fresh = 0o755
        return self.attribute(thing, lambda: os.stat(self.path("tree", name)).st_mode & 0o7777)

    def block(self, name, thing):
        data = self.blocks_data[int(name) * BLOCK:(int(name) + 1) * BLOCK]
        return [(n, False) for n, s in thing.states.items()
                if (data == content(s, BLOCK) if s else not data.strip(b"\0"))], len(data)

    def user(self, name, thing):
        path = os.path.join(self.users, name)
        if not os.path.exists(path):
            return [(n, False) for n, s in thing.states.items() if s is None], "absent"
        text = slurp(os.path.join(path, "chat", "s", "messages", "001.md"))
        if text == f"first of {name}\n".encode():
            return [(1, False)], "there"
        # Half made, or half removed: each step is an operation of its own.
        return [(0, True)] + [(1, True)] * (2 in thing.states), "in part"

    def log_thing(self, thing):
        whole, rest = divmod(len(self.log), RECORD)
        for n in range(whole):
            if self.log[n * RECORD:(n + 1) * RECORD] != content(f"record {n + 1}", RECORD):
                return [], f"record {n + 1} of {whole} is damaged"
        if rest and not content(f"record {whole + 1}", RECORD).startswith(self.log[whole * RECORD:]):
            return [], "the last record is damaged"
        return [(whole, bool(rest))] if whole in thing.states else [], f"{whole} records"

    def look(self, name, thing):
        kind, _, rest = name.partition("/")
        return self.log_thing(thing) if kind == "log" else getattr(self, kind)(rest, thing)


def verify(base, acks, cut_time, seconds, verifier_of=Verifier):
    """A list of what is wrong."""
    bad = []
    verifier = verifier_of(base)
    newest, newest_name = -1, None
    lost, lost_name = None, None
    for name, thing in things(acks, cut_time, seconds).items():
        try:
            matches, seen = verifier.look(name, thing)
        except OSError as error:
            bad.append(f"{name}: {error!r}")
            continue
        good = [n for n, _ in matches if n >= thing.floor]
        if not good:
            last = max(thing.states)
            bad.append(f"{name}: found {seen}, states {sorted(n for n, _ in matches)}; "
                       f"{thing.floor} is durable ({thing.why}), {last} was the last begun")
            continue
        if name.partition("/")[0] not in verifier.ORDERED:
            continue
        # An operation that was answered must not be lost where one that began later is there.
        at_least, at_most = min(good), max(good)
        if thing.tried.get(at_least, -1) > newest:
            newest, newest_name = thing.tried[at_least], name
        gone = thing.done.get(at_most + 1)
        if gone is not None and (lost is None or gone < lost):
            lost, lost_name = gone, f"{name} state {at_most + 1}"
    if lost is not None and lost < newest:
        bad.append(f"a hole: {lost_name} was done at {lost} and is lost; {newest_name} began at {newest} and is there")
    bad += numbers(base, acks, cut_time, seconds)
    return bad


def numbers(base, acks, cut_time, seconds):
    """The next message's number is above all that are there or were durable, deleted ones too."""
    folder = os.path.join(base, "messages")
    if not os.path.isdir(folder):
        return []
    used = [int(n[:-3]) for n in os.listdir(folder) if n.endswith(".md")]
    for name, thing in things(acks, cut_time, seconds).items():
        if name.startswith("message/") and thing.floor > 0:
            used.append(int(name[8:-3]))
    path = os.path.join(folder, "next.md")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        got = os.getxattr(fd, "user.scribefs.name").decode()
    finally:
        os.close(fd)
    os.unlink(os.path.join(folder, got))
    return [f"the number {got} is given again, {max(used)} was used"] if used and int(got[:-3]) <= max(used) else []
