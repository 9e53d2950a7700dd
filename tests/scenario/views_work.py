#!/usr/bin/env python3
"""views_work.py USERS SEED STEPS: random changes of sessions: messages, titles, states, agents, renames, the trash and
back, removals, new ones."""
import json
import os
import random
import shutil
import sys

users, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
TITLES = ["Same title", "a/b\nc", "..", "-rf *", "\u202eright to left", "Same title ~7", "x" * 300, "é" * 200, " ", "\x1b[31m",
          "", "Ends with ~12", "日本語のタイトル", "\u2066x\u2069", ".hidden", "tab\there"]


def folders(path):
    return [e.path for e in os.scandir(path) if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]


def workflows():
    return [w for user in folders(users) for w in folders(user)]


def sessions():
    return [s for w in workflows() for s in folders(w) if os.path.exists(f"{s}/session.json")]


def save(session, change):
    path = f"{session}/session.json"
    document = json.load(open(path))
    change(document)
    with open(path, "w") as out:
        json.dump(document, out)


def user_of(path):
    return path[: path.index("/", len(users) + 1)]


def step(n):
    here = sessions()
    s = dice.choice(here)
    what = dice.randrange(11)
    if what <= 1:
        day = dice.randrange(1, 29)
        with open(f"{s}/messages/next.md", "w") as out:
            out.write(f"---\nrole: {dice.choice(['user', 'assistant', 'tool'])}\n"
                      f"timestamp: 2026-{dice.randrange(1, 12):02d}-{day:02d}T{dice.randrange(24):02d}:00:00Z\n---\n"
                      f"{'word ' * dice.randrange(500)}\n")
    elif what == 2:
        save(s, lambda d: d.update(title=dice.choice(TITLES)))
    elif what == 3:
        save(s, lambda d: d.update(state=dice.choice(["active", "idle", "archived"])))
    elif what == 4:
        open(f"{s}/agent", "w").write(dice.choice(["coder", "re/viewer", "..", "tester # tests"]) + "\n")
    elif what == 5:
        to = f"{dice.choice([w for w in workflows() if user_of(w) == user_of(s)])}/moved {seed} {n}"
        os.rename(s, to)
    elif what == 6:
        trash = f"{user_of(s)}/.trash/{os.path.basename(os.path.dirname(s))}"
        os.makedirs(trash, exist_ok=True)
        os.rename(s, f"{trash}/{seed} {n}")
        if dice.random() < 0.5:
            os.rename(f"{trash}/{seed} {n}", s)
    elif what == 7 and len(here) > 20:
        if "REMOVING" in os.environ:
            with open(os.environ["REMOVING"], "w") as f:
                f.write(s)
        shutil.rmtree(s)
    elif what == 8:
        new = f"{dice.choice(workflows())}/new {seed} {n}"
        os.mkdir(new)
        os.makedirs(f"{new}/messages", exist_ok=True)
        open(f"{new}/messages/next.md", "w").write(f"New number {n}\n")
    elif what == 9:
        w = dice.choice(workflows())
        to = f"{os.path.dirname(w)}/w {n % 5}"
        if not os.path.exists(to):
            os.rename(w, to)
    elif what == 10:
        names = sorted(os.listdir(f"{s}/messages"))
        if names:
            os.unlink(f"{s}/messages/{dice.choice(names)}")


for n in range(steps):
    step(n)
