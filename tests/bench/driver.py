"""Runs the rows: each round gives every system a fresh store of its own, in turns."""
import os
import shutil
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
    if kind is systems.ScribefsAes and row.group != "big":
        return False
    return True


class Measurement:
    """All figures of a run: results[row][system] is a list, one a round."""

    def __init__(self, opt, base, shared, kinds):
        self.opt, self.base, self.shared, self.kinds = opt, base, shared, kinds
        self.chosen = rows.chosen(opt.rows)
        self.results = {row.name: {} for row in rows.ROWS}
        self.versions, self.failures, self.notes, self.took = {}, {}, {}, {}
        self.flush = []
        self.dropped = systems.drop_caches()

    def note(self, row, kind, value):
        if value is not None:
            self.results[row].setdefault(kind.name, []).append(value)

    def run(self):
        for number in range(self.opt.rounds):
            turn = self.kinds if number % 2 == 0 else list(reversed(self.kinds))
            for kind in turn:
                if kind.name not in self.failures:
                    say(f"round {number + 1} of {self.opt.rounds}: {kind.name}")
                    self.guarded(kind, number)

    def guarded(self, kind, number):
        """A peer that fails is told and left out; scribefs that fails ends the run."""
        try:
            self.one_round(kind, number)
        except Failed as error:
            if issubclass(kind, systems.Scribefs):
                raise
            say(f"bench: {kind.name} is left out from here: {error}")
            self.failures[kind.name] = str(error)

    def one_round(self, kind, number):
        if kind is systems.Disk:
            self.measure_flush()
        peak, cpu = 0, 0.0
        for group in rows.GROUPS:
            if group in rows.ONCE and number > 0:
                continue
            mine = [r for r in self.chosen if r.group == group and wanted(kind, r)]
            if mine:
                start = time.monotonic()
                system = self.run_group(kind, mine)
                self.took.setdefault(kind.name, {}).setdefault(group, []).append(time.monotonic() - start)
                peak = max(peak, system.peak_kib)
                cpu += system.cpu_seconds if group in rows.COUNTED else 0.0
        if kind not in (systems.Disk, systems.ScribefsAes):
            for row, value in (("peak", peak), ("cpu", cpu)):
                if any(r.name == row for r in self.chosen):
                    self.note(row, kind, value)

    def run_group(self, kind, mine):
        folder = tempfile.mkdtemp(prefix=kind.name + "-", dir=self.base)
        system = None
        try:
            system = kind(folder, self.shared)
            self.versions.setdefault(kind.name, system.version())
            system.mount()
            bench = rows.Bench(system, self.shared, self.opt)
            for row in mine:
                for _ in range(self.opt.rounds if row.group in rows.ONCE and row.cold else 1):
                    self.run_row(kind, bench, row, mine)
            self.notes.update({f"{kind.name}, {name}": counts for name, counts in bench.notes.items()})
            system.finish()
            return system
        finally:
            if system:
                system.take_away()
            shutil.rmtree(folder, ignore_errors=True)

    def run_row(self, kind, bench, row, mine):
        says_nothing = row.sync and not kind.syncs
        if says_nothing and not any(row.name in r.needs for r in mine):
            return
        if row.cold:
            bench.system.cold()
        else:
            os.sync()
        value = row.run(bench)
        if not (says_nothing or row.hidden):
            self.note(row.name, kind, value)

    def measure_flush(self):
        path, count = os.path.join(self.base, "flush"), self.opt.sizes.flushes
        self.flush.append(float(call(self.shared["work"], "flush", path, str(count))) / count)
        os.unlink(path)
