"""A store that grows through its mount to ten million messages: what an operation costs at each size."""
import os
import shutil
import sys
import time

import systems
from systems import call

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
SESSION = 100  # messages, as in work_scale.c
PICKS, LISTS = 2000, 50
OPERATIONS = ("pick-create", "pick-read", "pick-stat", "pick-list", "pick-delete")
LABELS = {"pick-create": "create a message, µs", "pick-read": "cold read, µs", "pick-stat": "cold stat, µs",
          "pick-list": "list a session's messages, cold, µs", "pick-delete": "delete a message, cold, µs",
          "load": "load, µs a message", "longest": "longest time of one message, ms", "stalls": "messages over 200 ms",
          "mount": "mount with a key file, s", "umount": "clean unmount, s", "rss": "memory after it, MB",
          "peak": "peak memory, MB", "space": "space of the store, MB", "amplification": "space amplification"}
FACTORS = {"pick-create": 1e6, "pick-read": 1e6, "pick-stat": 1e6, "pick-list": 1e6, "pick-delete": 1e6, "load": 1e6,
           "longest": 1e3, "rss": 1 / 1024, "peak": 1 / 1024, "space": 1 / 1024}
GROWTH = 1.5
BOUNDS = {"mount": 0.3, "umount": 1.0, "peak": 200 * 1024, "amplification": 1.3, "stalls": 0}


def number(text):
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    value = int(float(text.rstrip("kKmM")) * factor)
    if value < SESSION:
        raise ValueError("too few")
    return value


def amplification(store, base):
    """The database's size by that of a copy in which nothing dead is left; None without ldb."""
    if not shutil.which("ldb"):
        return None
    copy = os.path.join(base, "compacted")
    os.mkdir(copy)
    try:
        source = os.path.join(store, "db")
        for name in os.listdir(source):  # tables are never changed in place, and so may be links
            (os.link if name.endswith(".sst") else shutil.copy)(os.path.join(source, name), os.path.join(copy, name))
        before = tables(copy)
        families = call("ldb", f"--db={copy}", "list_column_families").split("{")[1].split("}")[0]
        for family in families.split(","):
            call("ldb", f"--db={copy}", f"--column_family={family.strip()}", "compact")
        return before / tables(copy)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def tables(folder):
    return sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder) if n.endswith(".sst"))


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


class Growth:
    def __init__(self, opt, base, programs):
        self.base, self.work = base, programs["work"]
        self.system = systems.Scribefs(os.path.join(base, "scale"), programs)
        self.sessions = 0

    def call(self, verb, *numbers):
        return [float(w) for w in call(self.work, verb, self.system.users(), *map(str, numbers)).split()]

    def mount(self):
        self.system.mount()
        os.listdir(self.system.users())

    def grow(self, messages):
        """To that many messages, and what there is to tell of it then."""
        sessions, result = messages // SESSION, {"messages": messages}
        new = (sessions - self.sessions) * SESSION
        seconds, result["longest"], result["stalls"] = self.call("load", self.sessions, sessions, 2)
        result["load"] = seconds / new
        self.sessions = sessions
        self.system.settle(300, 2)
        result["rss"] = self.system.memory("VmRSS")
        result["umount"] = timed(self.system.umount)
        result["space"] = self.system.space()
        result["amplification"] = amplification(self.system.store, self.base)
        systems.drop_caches()
        result["mount"] = timed(self.mount)
        for operation in OPERATIONS:
            if operation != "pick-create":
                self.system.cold()
            count = LISTS if operation == "pick-list" else PICKS
            result[operation] = self.call(operation, count, sessions)[0] / count
        self.system.settle(300, 2)
        self.system.umount()
        result["peak"] = self.system.peak_kib
        self.system.mount()
        return result


def verdict(key, results):
    values = [r[key] for r in results if r.get(key) is not None]
    if not values:
        return "not measured"
    if key in OPERATIONS:
        growth = values[-1] / values[0]
        return f"grows {growth:.2f} ×, aim {GROWTH}: {'met' if growth <= GROWTH else 'NOT MET'}"
    if key in BOUNDS:
        return f"aim {BOUNDS[key] * FACTORS.get(key, 1):g}: {'met' if max(values) <= BOUNDS[key] else 'NOT MET'}"
    return ""


def show(results):
    lines = [["messages", *(f"{r['messages']:,}" for r in results), ""]]
    for key, label in LABELS.items():
        cells = ["–" if r.get(key) is None else f"{r[key] * FACTORS.get(key, 1):,.3g}" if r[key] * FACTORS.get(key, 1) < 1000
                 else f"{r[key] * FACTORS.get(key, 1):,.0f}" for r in results]
        lines.append([label, *cells, verdict(key, results)])
    return lines


def run(opt, base, programs):
    import table
    growth, results = Growth(opt, base, programs), []
    try:
        growth.mount()
        for size in [s for s in SIZES if s < opt.scale] + [opt.scale]:
            print(f"{size:,} messages", file=sys.stderr, flush=True)
            results.append(growth.grow(size))
        return {"version": growth.system.version(), "sizes": results}
    finally:
        if results:  # what there is, also when a size failed after hours
            form = table.markdown if opt.markdown else table.padded
            print("\n".join(form(show(results))), flush=True)
        growth.system.take_away()
