#!/usr/bin/env python3
"""views_check.py MNT [--bulk]: recomputes what views/ says from the files in users/ alone, and compares. --bulk:
names and targets only, without a stat of each link."""
import json
import os
import re
import sys
import time
from datetime import datetime

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exports_check import FAULTS, folders, line, messages_of, same, stamp

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
        self.created = document["created_at"]
        self.agent = document["agent"]["current"]
        self.interrupted = bool(document.get("interrupted"))
        self.quiet = time.time() - datetime.fromisoformat(document["updated_at"].replace("Z", "+00:00")).timestamp()
        last = messages_of(self.path)[-1:]
        self.unfinished = bool(last) and last[0].role in ("user", "tool")


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


def main():
    mount, bulk = sys.argv[1], "--bulk" in sys.argv
    sessions = sessions_of(f"{mount}/users")
    check_views(f"{mount}/views", sessions, bulk)
    for fault in FAULTS[:30]:
        print(fault)
    print(f"{len(sessions)} sessions, {len(FAULTS)} faults")
    sys.exit(bool(FAULTS))


if __name__ == "__main__":
    main()
