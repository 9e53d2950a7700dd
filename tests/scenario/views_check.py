#!/usr/bin/env python3
"""views_check.py MNT [--bulk]: recomputes what views/ and status/ say from the files in users/ alone, and compares. --bulk:
names and targets only, without a stat of each link."""
import json
import os
import re
import sys
import time
from datetime import datetime

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exports_check import FAULTS, ROLES, folders, line, load, messages_of, same, stamp, xattr

NAME_MAX = 236


class Session:
    def __init__(self, users, user, workflow, name):
        self.path = os.path.join(users, user, workflow, name)
        self.below = f"{user}/{workflow}/{name}"
        self.workflow = workflow
        document = json.load(open(os.path.join(self.path, "session.json")))
        self.number = os.stat(self.path).st_ino >> 8
        self.id, self.title, self.state = document["session_id"], document["title"], document["state"]
        self.activity = document["metadata"]["last_activity"]
        self.tokens = document["metadata"]["total_tokens"]
        self.agent = document["agent"]["current"]
        self.interrupted = bool(document.get("interrupted"))
        self.quiet = time.time() - datetime.fromisoformat(document["updated_at"].replace("Z", "+00:00")).timestamp()
        last = messages_of(self.path)[-1:]
        self.unfinished = bool(last) and last[0].role in ("user", "tool") and self.state in ("active", "idle")


def sessions_of(users):
    return [Session(users, user, workflow, name) for user in folders(users)
            for workflow in folders(f"{users}/{user}") for name in folders(f"{users}/{user}/{workflow}")
            if os.path.exists(f"{users}/{user}/{workflow}/{name}/session.json")]


def link(title):
    """A title as a name."""
    name = re.sub(" +", " ", line(title)).lstrip(" ").replace("/", "-")
    name = re.sub("^[.-]", "_", name)
    cut = name.encode("utf-8", "surrogateescape")[:NAME_MAX]
    name = re.sub("[\udc80-\udcff]+$", "", cut.decode("utf-8", "surrogateescape"))
    return name.rstrip(" ") or "untitled"


def named(sessions, base):
    """The names in one directory: all but the first of those that are called alike have their numbers behind."""
    names, taken = {}, set()
    for s in sorted(sessions, key=lambda s: s.number):
        name = base(s)
        if name in taken or re.search(" ~[1-9][0-9]*$", name):
            names[f"{name} ~{s.number}"] = s
        else:
            names[name] = s
        taken.add(name)
    return names


def latest(sessions):
    chosen = sorted(sessions, key=lambda s: s.number)
    chosen = sorted(chosen, key=lambda s: s.activity, reverse=True)[:100]
    digits = 2 if len(chosen) < 100 else 3
    return {f"{i:0{digits}d} {link(s.title)}": s for i, s in enumerate(chosen, 1)}


def check_directory(path, expected, up, bulk):
    same(f"{path} names", sorted(expected), sorted(os.listdir(path)))
    for name, s in expected.items():
        one = os.path.join(path, name)
        if not os.path.islink(one):
            FAULTS.append(f"{one} is no link")
            continue
        same(f"{one} target", f"{up}users/{s.below}", os.readlink(one))
        if bulk:
            continue
        if not os.path.exists(one):
            FAULTS.append(f"{one} leads nowhere")
            continue
        st = os.lstat(one)
        same(f"{one} time", s.activity, stamp(st.st_mtime_ns))
        same(f"{one} size", len(os.fsencode(os.readlink(one))), st.st_size)
        same(f"{one} is the session", os.stat(s.path).st_ino, os.stat(one).st_ino)


def check_interrupted(path, sessions):
    """Sessions in which somebody was writing when the daemon died, and those that wait for five minutes."""
    must = {s.below for s in sessions if s.interrupted or (s.unfinished and s.quiet > 330)}
    may = {s.below for s in sessions if s.interrupted or (s.unfinished and s.quiet > 270)}
    targets = {os.readlink(os.path.join(path, name))[len("../../users/"):] for name in os.listdir(path)}
    same(f"{path} lacks", set(), must - targets)
    same(f"{path} has too many", set(), targets - may)


def check_groups(path, sessions, key, fixed, bulk):
    groups = {name: [] for name in fixed}
    for s in sessions:
        if key(s):
            groups.setdefault(key(s), []).append(s)
    same(f"{path} names", sorted(groups), sorted(os.listdir(path)))
    for name, members in groups.items():
        check_directory(os.path.join(path, name), named(members, lambda s: link(s.title)), "../../../", bulk)


def check_views(views, sessions, bulk=False):
    same("views/", ["agent", "day", "id", "interrupted", "recent", "state", "workflow"], sorted(os.listdir(views)))
    check_directory(f"{views}/recent", latest(sessions), "../../", bulk)
    check_directory(f"{views}/id", named(sessions, lambda s: s.id), "../../", bulk)
    check_interrupted(f"{views}/interrupted", sessions)
    check_groups(f"{views}/state", sessions, lambda s: s.state, ("active", "idle", "archived"), bulk)
    check_groups(f"{views}/day", sessions, lambda s: s.activity[:10], (), bulk)
    check_groups(f"{views}/workflow", sessions, lambda s: s.workflow, (), bulk)
    check_groups(f"{views}/agent", sessions, lambda s: s.agent and link(s.agent), (), bulk)


LENGTHS = (100, 300, 1000, 3000, 10000, 100000, 1000000)
WAITS = (1, 5, 15, 60, 300, 3600, 86400)


def counts(values):
    found = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def classes(values, bounds):
    found = [0] * (len(bounds) + 1)
    for value in values:
        found[sum(value >= bound for bound in bounds)] += 1
    return [{"below": bound, "count": n} for bound, n in zip(bounds + (None,), found)]


def average(values):
    return int(sum(values) * 100 // len(values)) / 100 if values else 0


def check_stats(mount, sessions):
    stats = load(f"{mount}/status/stats.json")
    messages, waits, active = [], [], {}
    for s in sessions:
        own = messages_of(s.path)
        for m in own:
            m.time = datetime.fromisoformat(xattr(m.path, "timestamp").replace("Z", "+00:00"))
        for question, answer in zip(own, own[1:]):
            wait = (answer.time - question.time).total_seconds()
            if (question.role, answer.role) == ("user", "assistant") and wait >= 0:
                waits.append(round(wait, 3))
        active[s.workflow] = active.get(s.workflow, 0) + len(own)
        messages += own
    lengths, roles = [len(m.content) for m in messages], counts(m.role for m in messages)
    hours = counts(m.time.hour for m in messages)
    same("stats session_count", len(sessions), stats["session_count"])
    for key, of in (("state", lambda s: s.state), ("workflow", lambda s: s.workflow), ("day", lambda s: s.activity[:10])):
        same(f"stats by {key}", counts(of(s) for s in sessions), stats[f"sessions_by_{key}"])
    same("stats messages", {"total": len(messages), **{role: roles.get(role, 0) for role in ROLES},
                            "average_per_session": int(len(messages) * 100 / max(1, len(sessions))) / 100}, stats["messages"])
    same("stats lengths", {"total": sum(lengths), "average": average(lengths),
                           "distribution": classes(lengths, LENGTHS)}, stats["message_length"])
    same("stats tokens", sum(s.tokens for s in sessions), stats["tokens"]["total"])
    same("stats answers", len(waits), stats["response_time"]["count"])
    if abs(stats["response_time"]["average_seconds"] - (sum(waits) / len(waits) if waits else 0)) > 0.011:
        FAULTS.append(f"stats average of answers: {sum(waits) / len(waits)}, {stats['response_time']['average_seconds']}")
    same("stats waits", classes(waits, WAITS), stats["response_time"]["distribution"])
    most = max(active.values(), default=0)
    same("stats most active", min((w for w in active if active[w] == most), default=None) if most else None,
         stats["most_active_workflow"])
    same("stats hours", [hours.get(h, 0) for h in range(24)], stats["messages_by_hour"])
    same("stats peaks", sorted(hours, key=lambda h: (-hours[h], h))[:3], stats["peak_hours"])
    same("stats interrupted", len(os.listdir(f"{mount}/views/interrupted")), stats["interrupted"])
    same("stats backup_count", len(os.listdir(f"{mount}/backups")), stats["backup_count"])
    sizes = sum(int(os.getxattr(f"{mount}/backups/{name}", "user.scribefs.bytes")) for name in os.listdir(f"{mount}/backups"))
    same("stats backup_size", sizes, stats["backup_size"])
    listed = load(f"{mount}/status/sessions.json")
    same("status/sessions.json", sorted(s.below for s in sessions), sorted(s["path"] for s in listed["sessions"]))
    same("status/sessions.json is that of exports/", listed, load(f"{mount}/exports/sessions.json"))


def main():
    mount, bulk = sys.argv[1], "--bulk" in sys.argv
    sessions = sessions_of(f"{mount}/users")
    check_views(f"{mount}/views", sessions, bulk)
    check_stats(mount, sessions)
    for fault in FAULTS[:30]:
        print(fault)
    print(f"{len(sessions)} sessions, {len(FAULTS)} faults")
    sys.exit(bool(FAULTS))


if __name__ == "__main__":
    main()
