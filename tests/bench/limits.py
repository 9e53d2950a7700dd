"""The limits that a store of sessions is asked to keep; the aim is a hundredth of each."""
import os
import random
import statistics
import time

import systems
from systems import Failed, call

MESSAGE = b"---\nrole: user\n---\nA question of some length, as people ask it, in one line or two.\n"


def clock(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


class Store:
    def __init__(self, system, sizes, work):
        self.system, self.sizes, self.work = system, sizes, work
        self.workflow = system.place("chat")
        self.results = []

    def session(self, n):
        return os.path.join(self.workflow, f"session-{n:03d}")

    def note(self, text, limit, seconds):
        self.results.append({"what": text, "limit": limit, "median": statistics.median(seconds), "worst": max(seconds),
                             "times": len(seconds)})

    def create_sessions(self):
        self.note("create a session", 0.1, [clock(lambda: os.mkdir(os.path.join(self.workflow, f"made-{n}")))
                                            for n in range(self.sizes.saves)])
        self.note("create a session, `scribefs new` and its start", 0.1,
                  [clock(lambda: call(systems.SCRIBEFS, "new", self.workflow)) for _ in range(20)])

    def add_messages(self):
        folder = os.path.join(self.workflow, "made-0", "messages")
        os.mkdir(folder)  # whoever made the session sees none before
        path = os.path.join(folder, "next.md")

        def add():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, MESSAGE)
            os.close(fd)
        self.note("add a message", 0.05, [clock(add) for _ in range(self.sizes.durable)])

        def add_durably():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, MESSAGE)
            os.fsync(fd)
            os.close(fd)
        self.note("add a message, fsync", 0.05, [clock(add_durably) for _ in range(self.sizes.durable)])

    def load(self, session):
        with open(os.path.join(session, "session.json"), "rb") as f:
            f.read()
        folder = os.path.join(session, "messages")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as f:
                f.read()

    def load_sessions(self):
        self.system.cold()
        order = list(range(1, self.sizes.sessions + 1))
        random.Random(1).shuffle(order)
        self.note(f"load a session of {self.sizes.messages} messages, cold", 0.2,
                  [clock(lambda: self.load(self.session(n))) for n in order])

    def read_all_states(self):
        for n in range(1, self.sizes.sessions + 1):
            with open(os.path.join(self.session(n), "session.json"), "rb") as f:
                f.read()

    def come_back(self):
        """The daemon is killed; all sessions are there again, each with its session.json."""
        def again():
            self.system.mount()
            self.read_all_states()
        seconds = []
        for _ in range(3):
            self.system.kill()
            systems.drop_caches()
            seconds.append(clock(again))
        self.note(f"all {self.sizes.sessions} sessions back after kill -9: mount, every session.json", 0.2, seconds)

    def restore(self):
        snapshot = os.path.join(self.workflow, ".snapshots", "before")
        os.mkdir(snapshot)
        for n in range(1, self.sizes.sessions + 1):
            with open(os.path.join(self.session(n), "messages", "001.md"), "wb") as f:
                f.write(b"changed\n")
            os.unlink(os.path.join(self.session(n), "messages", "002.md"))
        try:
            seconds = [clock(lambda: call(systems.SCRIBEFS, "restore", self.workflow + "@before"))]
            text = f"restore a workflow of {self.sizes.sessions} changed sessions"
        except Failed:  # only sessions can be
            seconds = [clock(lambda: [call(systems.SCRIBEFS, "restore", self.session(n) + "@before")
                                      for n in range(1, self.sizes.sessions + 1)])]
            text = f"restore all {self.sizes.sessions} changed sessions, one call for each"
        if not os.path.exists(os.path.join(self.session(1), "messages", "002.md")):
            raise Failed("restore did not bring the removed message back")
        self.note(text, 0.2, seconds)

    def back_up(self):
        backups = os.path.join(self.system.mountpoint, "backups")
        self.note("back up all, the first time", 0.5, [clock(lambda: os.mkdir(os.path.join(backups, "first")))])

        def again(n):
            self.work("create", self.system.place(f"more-{n}"), 1, 20)
            return clock(lambda: os.mkdir(os.path.join(backups, f"again-{n}")))
        self.note("back up all again, 20 messages later", 0.5, [again(n) for n in range(5)])

    def many_users(self):
        seconds, made, added, loaded = self.work("users", self.system.users(), 100, 20)
        self.note("100 users at once: the slowest creates its session", 0.1, [made])
        self.note("100 users at once: the slowest message of 2,000 added", 0.05, [added])
        self.note("100 users at once: the slowest loads its session", 0.2, [loaded])


def show(results):
    lines = [["", "median ms", "worst ms", "limit ms", "kept", "a hundredth"]]
    for r in results:
        lines.append([r["what"], f"{1000 * r['median']:.2f}", f"{1000 * r['worst']:.2f}", f"{1000 * r['limit']:.0f}",
                      "yes" if r["worst"] < r["limit"] else "NO",
                      "yes" if r["median"] <= r["limit"] / 100 else "no"])
    return lines


def run(opt, base, programs):
    import table
    system = systems.Scribefs(os.path.join(base, "limits"), programs)
    try:
        system.mount()

        def work(verb, path, *numbers):
            return [float(w) for w in call(programs["work"], verb, path, *map(str, numbers)).split()]
        store = Store(system, opt.sizes, work)
        work("create", store.workflow, opt.sizes.sessions, opt.sizes.messages)
        for step in (store.create_sessions, store.add_messages, store.load_sessions, store.come_back, store.restore,
                     store.back_up, store.many_users):
            step()
        form = table.markdown if opt.markdown else table.padded
        print("\n".join(form(show(store.results))))
        print("\na hundredth: whether the median is at most a hundredth of the limit")
        return {"version": system.version(), "limits": store.results}
    finally:
        system.take_away()
