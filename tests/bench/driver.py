"""Runs the rows: each round gives every system a fresh store, and goes through the rows with all of them in turn."""
import os
import sys
import tempfile
import time

import rows
import systems
from systems import Failed, call


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(base):
    """The two programs in C."""
    cc, here = os.environ.get("CC", "cc"), systems.HERE
    flags = ["-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"]
    programs = {name: os.path.join(base, name) for name in ("work", "floor")}
    sources = sorted(f for f in os.listdir(here) if f.startswith("work") and f.endswith(".c"))
    call(cc, *flags, "-o", programs["work"], *(os.path.join(here, f) for f in sources), "-lm", "-lpthread")
    fuse = call("pkg-config", "--cflags", "--libs", "fuse3").split()
    call(cc, *flags, "-o", programs["floor"], *(os.path.join(here, f) for f in ("floor.c", "floor_tree.c")), *fuse,
         "-lpthread")
    return programs


def samples_script():
    shared = os.environ.get("SCRIBEFS_SHARED", os.path.join(systems.ROOT, "..", "shared"))
    path = os.path.join(shared, "samples", "split-aider.py")
    return os.path.realpath(path) if os.access(path, os.X_OK) else None


def wanted(kind, row):
    if row.group == "daemon" or (row.only and kind.name not in row.only):
        return False
    if row.group == "list" and not kind.large_directories:
        return False
    return kind is not systems.ScribefsAes or row.group == "big"


class Measurement:
    """All figures of a run: results[row][system] is a list, one a round."""

    def __init__(self, opt, base, shared, kinds):
        self.opt, self.base, self.shared, self.kinds = opt, base, shared, kinds
        self.chosen = rows.chosen(opt.rows)
        self.results = {row.name: {} for row in rows.ROWS}
        self.versions, self.failures, self.notes, self.took = {}, {}, {}, {}
        self.flush, self.peak, self.cpu, self.daemon_cpu = [], {}, {}, {}
        self.dropped = systems.drop_caches()

    def note(self, row, kind, value):
        if value is not None:
            self.results[row].setdefault(kind.name, []).append(value)

    def run(self):
        for number in range(self.opt.rounds):
            self.one_round(number)

    def one_round(self, number):
        self.measure_flush()
        for group in rows.GROUPS:
            if group in rows.ONCE and number > 0:
                continue
            start = time.monotonic()
            self.run_group(group, number)
            self.took.setdefault(group, []).append(time.monotonic() - start)
        for kind in self.kinds:
            if kind in (systems.Disk, systems.ScribefsAes) or kind.name in self.failures:
                continue
            for row, figures in (("peak", self.peak), ("cpu", self.cpu)):
                if any(r.name == row for r in self.chosen) and kind.name in figures:
                    self.note(row, kind, figures.pop(kind.name))

    def run_group(self, group, number):
        """All systems are mounted, and each row is run on one after the other."""
        mine = [r for r in self.chosen if r.group == group]
        kinds = [k for k in self.kinds if k.name not in self.failures and any(wanted(k, r) for r in mine)]
        kinds = kinds[number % len(kinds):] + kinds[:number % len(kinds)] if kinds else []
        benches = {}
        try:
            for kind in kinds:
                self.guarded(kind, benches, lambda: self.start(kind, benches))
            for row in mine:
                say(f"round {number + 1} of {self.opt.rounds}: {row.name}")
                for kind in kinds:
                    if kind in benches and wanted(kind, row):
                        self.guarded(kind, benches, lambda: self.repeat_row(kind, benches[kind], row, mine))
            for kind in list(benches):
                self.guarded(kind, benches, lambda: self.finish(kind, benches[kind], group))
        finally:
            for bench in benches.values():
                bench.system.take_away()

    def guarded(self, kind, benches, action):
        """A peer that fails is told and left out; scribefs that fails ends the run."""
        try:
            action()
        except Failed as error:
            if issubclass(kind, systems.Scribefs):
                raise
            say(f"bench: {kind.name} is left out from here: {error}")
            self.failures[kind.name] = str(error)
            if kind in benches:
                benches.pop(kind).system.take_away()

    def start(self, kind, benches):
        system = kind(tempfile.mkdtemp(prefix=kind.name + "-", dir=self.base), self.shared)
        benches[kind] = rows.Bench(system, self.shared, self.opt)
        self.versions.setdefault(kind.name, system.version())
        system.mount()

    def finish(self, kind, bench, group):
        system = bench.system
        self.notes.update({f"{kind.name}, {name}": counts for name, counts in bench.notes.items()})
        system.finish()
        self.peak[kind.name] = max(self.peak.get(kind.name, 0), system.peak_kib)
        if group in rows.COUNTED:
            self.cpu[kind.name] = self.cpu.get(kind.name, 0.0) + system.cpu_seconds

    def repeat_row(self, kind, bench, row, mine):
        for _ in range(self.opt.rounds if row.group in rows.ONCE and row.cold else 1):
            self.run_row(kind, bench, row, mine)

    def run_row(self, kind, bench, row, mine):
        says_nothing = row.sync and not kind.syncs
        if says_nothing and not any(row.name in r.needs for r in mine):
            return
        if row.cold:
            bench.system.cold()
        os.sync()
        before = bench.system.ticks()
        value = row.run(bench)
        took = bench.system.ticks() - before
        bench.system.settle()
        if not (says_nothing or row.hidden):
            self.note(row.name, kind, value)
            self.daemon_cpu.setdefault(row.name, {}).setdefault(kind.name, []).append(took / os.sysconf("SC_CLK_TCK"))

    def measure_flush(self):
        path, count = os.path.join(self.base, "flush"), self.opt.sizes.flushes
        self.flush.append(float(call(self.shared["work"], "flush", path, str(count))) / count)
        os.unlink(path)
