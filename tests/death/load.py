"""The load of tests/death/run: that of tests/power (work.py), and what it does not do: links, exchanges, sessions
that move, saves of session.json, files that are open and have no name, and all numbers that are given out.

Workers write what they begin (T), what was answered (D), and each number that they were given (G, what, number)
to one file, each in one write at its end: so its lines are in the order of the answers.
"""
import ctypes
import errno
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "power"))
import work
from serve import PROGRAM

LIBC = ctypes.CDLL(None, use_errno=True)
EXCHANGE = 2
# What an operation under way gets from a mount that dies.
DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV)


class Ledger(work.Ledger):
    def __init__(self, path, pause):
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.numbers, self.pause = {}, 0.002

    def put(self, letter, thing, number, state=None):
        os.write(self.fd, (json.dumps([time.monotonic(), letter, thing, number, state]) + "\n").encode())


def read_ledger(path, start=0):
    """[(position, time, [letter, object, number, state])] from byte start."""
    with open(path, "rb") as f:
        f.seek(start)
        return [(start + i, line[0], line[1:]) for i, line in enumerate(map(json.loads, f))]


def stall(acks):
    """The longest time in which nothing at all went on: so slow this machine is just now."""
    return max((b[1] - a[1] for a, b in zip(acks, acks[1:])), default=0)


def survives(acks, seconds):
    """Death takes only what was written and neither closed nor synced within the last second."""
    last = acks[-1][1] if acks else 0
    return [a for a in acks if a[2][0] != "G" and
            not (a[2][0] == "D" and a[2][1] == "log" and last - a[1] < seconds)]


def exchange(a, b):
    if LIBC.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2")


class Worker(work.Worker):
    ledger_of = Ledger

    def users(self):
        return self.base[:self.base.index("/users/") + 7]

    def links(self):
        """A second name that comes and goes, and takes another's place."""
        folder = self.path("links")
        work.make_folder(folder)
        two = {}
        while True:
            which = self.dice.randrange(12)
            thing, one = f"link/{which}", os.path.join(folder, str(which))
            if which not in two:
                self.put_file(one, None, 0, thing.encode())
                two[which] = False
            number = self.ledger.begin(thing, 1 if two[which] else 2)
            if two[which]:
                os.unlink(one + ".too")
            elif self.dice.random() < 0.5:
                os.link(one, one + ".too")
            else:
                os.link(one, one + ".new")
                os.rename(one + ".new", one + ".too")
            two[which] = not two[which]
            self.ledger.put("D", thing, number)

    def pairs(self):
        """Two files in two folders that change places."""
        for side in "ab":
            work.make_folder(self.path("pairs", side))
        state = {}
        while True:
            which = self.dice.randrange(6)
            thing, a, b = f"pair/{which}", self.path("pairs", "a", str(which)), self.path("pairs", "b", str(which))
            if which not in state:
                self.put_file(a, None, 0, b"first")
                self.put_file(b, None, 0, b"second" * 1000)
                state[which] = 1
                self.ledger.put("T", thing, 0, "first")
            number = self.ledger.begin(thing, ("first", "second")[state[which]])
            exchange(a, b)
            state[which] = 1 - state[which]
            self.ledger.put("D", thing, number)

    def moves(self):
        """Sessions that go from one workflow to another, with what they hold."""
        name = os.path.basename(self.base)
        places = [os.path.join(self.users(), "ann", f"{place}-{name}") for place in ("here", "there")]
        for place in places:
            work.make_folder(place)
        at = {}
        while True:
            which = self.dice.randrange(5)
            thing = f"session/{which}"
            if which not in at:
                path = os.path.join(places[0], str(which))
                os.makedirs(os.path.join(path, "messages"))
                with open(os.path.join(path, "messages", "001.md"), "w", encoding="utf-8") as f:
                    f.write(f"{thing} of {name}\n")
                at[which] = 0
                number = self.ledger.begin(thing, 0)
                self.ledger.put("D", thing, number)
                continue
            number = self.ledger.begin(thing, 1 - at[which])
            os.rename(os.path.join(places[at[which]], str(which)), os.path.join(places[1 - at[which]], str(which)))
            at[which] = 1 - at[which]
            self.ledger.put("D", thing, number)
            time.sleep(0.01)

    def edits(self):
        """Saves of session.json, by rename and in place."""
        path = self.path("session.json")
        for n in range(1, 10**9):
            with open(path, encoding="utf-8") as f:
                facts = json.load(f)
            facts["title"], facts["metadata"]["save"] = f"title {n}", n
            text = json.dumps(facts, indent=2).encode()
            number = self.ledger.begin("edit", n)
            if self.dice.random() < 0.6:
                self.put_file(path + ".tmp", None, 0, text)
                os.rename(path + ".tmp", path)
            else:
                self.put_file(path, None, 0, text)
            self.ledger.put("D", "edit", number)
            time.sleep(0.02)

    def nameless(self):
        """Files that are open and have no name: what lies in them is nobody's after the death."""
        held = []
        for n in range(10**9):
            path = self.path(f"nameless{n}")
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self.ledger.put("G", "inode", os.fstat(fd).st_ino)
            self.write(fd, work.content(path, self.dice.choice((100, 70000, 1 << 20))))
            os.setxattr(fd, "user.some", bytes(self.dice.choice((1, 3000))))
            os.unlink(path)
            self.write(fd, work.content(path, self.dice.choice((100, 200000))))
            held.append(fd)
            if len(held) > 6:
                os.close(held.pop(self.dice.randrange(7)))
            time.sleep(0.01)

    def numbers(self):
        """New files and new sessions, for the numbers that they get; folders that go with all that is in them."""
        flow = os.path.join(self.users(), "ann", "numbered")
        work.make_folder(flow)
        for n in range(10**9):
            folder = self.path(f"some{n}")
            os.mkdir(folder)
            for i in range(self.dice.randrange(1, 30)):
                fd = os.open(os.path.join(folder, str(i)), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self.ledger.put("G", "inode", os.fstat(fd).st_ino)
                os.close(fd)
            told = subprocess.run([PROGRAM, "new", flow], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if told.returncode:
                # A look at the path would not do: the kernel answers from its caches on a mount that is dead.
                died = [e for e in DEAD if told.stderr.rstrip().endswith(os.strerror(e))]
                raise OSError(died[0], told.stderr) if died else RuntimeError(told.stderr)
            path = told.stdout.strip()
            self.ledger.put("G", "session", os.path.basename(path))
            if self.dice.random() < 0.7:
                subprocess.run(["rm", "-rf", path, folder], stderr=subprocess.DEVNULL, check=False)


# Those that work in a session of their own for many rounds, and those that begin anew in each.
STEADY = ("messages",)
WORKERS = work.WORKERS + ("links", "pairs", "moves", "edits", "nameless", "numbers")


class Verifier(work.Verifier):
    ORDERED = work.Verifier.ORDERED + ("link", "pair", "session", "edit")

    def link(self, name, thing):
        one = self.path("links", name)
        if os.path.exists(one + ".new"):
            # Between the link and the rename; each of them is whole.
            return [(n, True) for n, s in thing.states.items() if s != 2], "three names"
        names = [p for p in (one, one + ".too") if os.path.exists(p)]
        inodes = {(os.stat(p).st_ino, os.stat(p).st_nlink) for p in names}
        if len(inodes) > 1 or any(n != len(names) for _, n in inodes) or any(
                work.slurp(p) != f"link/{name}".encode() for p in names):
            return [], f"{len(names)} names, {inodes}"
        return [(n, False) for n, s in thing.states.items() if (s or 1) == len(names)], f"{len(names)} names"

    def pair(self, name, thing):
        a, b = work.slurp(self.path("pairs", "a", name)), work.slurp(self.path("pairs", "b", name))
        if {a, b} != {b"first", b"second" * 1000}:
            return [], "not the two"
        state = "first" if a == b"first" else "second"
        return [(n, False) for n, s in thing.states.items() if s == state], state

    def session(self, name, thing):
        of = os.path.basename(self.base)
        places = [os.path.join(self.users, "ann", f"{place}-{of}", name) for place in ("here", "there")]
        here = [i for i, path in enumerate(places) if os.path.exists(path)]
        if len(here) != 1:
            return [], here
        text = f"session/{name} of {of}\n"
        facts = json.loads(work.slurp(os.path.join(places[here[0]], "session.json")))
        message = work.slurp(os.path.join(places[here[0]], "messages", "001.md"))
        if message != text.encode() or facts["title"] != text.strip() or facts["message_count"] != 1:
            return [], f"{message} {facts}"
        return [(n, False) for n, s in thing.states.items() if s == here[0]], here

    def edit_thing(self, thing):
        facts = json.loads(work.slurp(self.path("session.json")))
        save = facts["metadata"].get("save")
        if (save is None) != (facts["title"][:6] != "title ") or save and facts["title"] != f"title {save}":
            return [], facts
        return [(n, False) for n, s in thing.states.items() if s == save], save

    def look(self, name, thing):
        return self.edit_thing(thing) if name == "edit" else super().look(name, thing)
