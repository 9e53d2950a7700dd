"""A heavy user's year in fast motion: 365 days of 20 sessions of 60 messages, with edits, snapshots, retention and a
backup a day, and a night in which the daemon does what it has left for it. It should end with the latencies with which
it began."""
import os
import statistics
import sys
import time

import systems
from systems import call

SESSIONS, MESSAGES, EDITS = 20, 60, 40
SNAPSHOTS_KEPT, BACKUPS_KEPT, DAYS_KEPT = 30, 7, 90
STEPS = ("create", "edit", "read", "list", "remove", "snapshot", "backup", "night")
TEXT = {"create": "create a message, µs", "edit": "an editor's save, µs", "read": "read a message of the last weeks, µs",
        "list": "stat an entry of yesterday, µs", "remove": "remove an entry of 90 days ago, µs",
        "snapshot": "a snapshot of the user, µs", "backup": "the day's backup, µs", "night": "until the daemon rests after the day, µs"}


def clock(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


class Year:
    def __init__(self, system, work, sessions):
        self.system, self.work, self.sessions = system, work, sessions
        self.user = os.path.join(system.users(), "heavy")

    def day_folder(self, day):
        return os.path.join(self.user, f"day-{day:03d}")

    def run(self, verb, path, *numbers):
        return float(call(self.work, verb, path, *map(str, numbers)).split()[0])

    def day(self, day):
        """Seconds an operation of each step."""
        took, entries = {}, self.sessions * (MESSAGES + 2)
        folder = self.day_folder(day)
        os.makedirs(folder)
        took["create"] = self.run("create", folder, self.sessions, MESSAGES) / (self.sessions * MESSAGES)
        took["edit"] = self.run("save", folder, EDITS, self.sessions, MESSAGES) / EDITS
        before = self.day_folder(day - 1)
        if os.path.isdir(before):
            took["list"] = self.run("stat", before, entries) / entries
        weeks = self.day_folder(max(0, day - 21))
        took["read"] = self.run("read", weeks, entries) / (self.sessions * MESSAGES)
        took["snapshot"] = self.roll(os.path.join(self.user, ".snapshots"), day, SNAPSHOTS_KEPT)
        old = self.day_folder(day - DAYS_KEPT)
        if day >= DAYS_KEPT and os.path.isdir(old):
            took["remove"] = self.run("delete", old, entries) / entries
        took["backup"] = self.roll(os.path.join(self.system.mountpoint, "backups"), day, BACKUPS_KEPT)
        took["night"] = clock(lambda: self.system.settle(60))
        return took

    @staticmethod
    def roll(folder, day, kept):
        """Takes one, drops the one that is too old; the seconds of the taking."""
        seconds = clock(lambda: os.mkdir(os.path.join(folder, f"day-{day:03d}")))
        if day >= kept:
            os.rmdir(os.path.join(folder, f"day-{day - kept:03d}"))
        return seconds


def ends(days, step):
    """Medians of the first and of the last tenth of the days that have the step."""
    values = [d[step] for d in days if step in d]
    if not values:
        return None, None
    part = max(1, len(values) // 10)
    return statistics.median(values[:part]), statistics.median(values[-part:])


def show(days, facts):
    lines = [["", "in the beginning", "in the end", "ratio"]]
    for step in STEPS:
        first, last = ends(days, step)
        if first:
            lines.append([TEXT[step], f"{first * 1e6:,.1f}", f"{last * 1e6:,.1f}", f"{last / first:.2f}"])
    return lines + [[text, value, "", ""] for text, value in facts]


def run(opt, base, programs):
    import table
    sessions = max(1, round(SESSIONS * opt.year))
    system, days = systems.Scribefs(os.path.join(base, "year"), programs), []
    try:
        system.mount()
        year = Year(system, programs["work"], sessions)
        os.makedirs(year.user)
        for day in range(opt.days):
            if day % 30 == 0:
                print(f"day {day}", file=sys.stderr, flush=True)
            days.append(year.day(day))
        rss, umount = system.memory("VmRSS"), clock(system.umount)
        mount = clock(system.mount)
        facts = [("memory after it, MB", f"{rss / 1024:.0f}"), ("its peak, MB", f"{system.peak_kib / 1024:.0f}"),
                 ("unmount, s", f"{umount:.2f}"), ("mount, s", f"{mount:.2f}"),
                 ("space of the store, MB", f"{system.space() / 1024:.0f}")]
        print(f"{opt.days} days of {sessions} sessions of {MESSAGES} messages")
        print("\n".join((table.markdown if opt.markdown else table.padded)(show(days, facts))))
        return {"version": system.version(), "days": days, "facts": dict(facts)}
    finally:
        system.take_away()
