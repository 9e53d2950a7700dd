"""day.py USERS COPIES SEED STEPS: a day of work in a mount. After each step a place is copied with rsync, and its
snapshot taken, while nobody writes. Prints a line for each: PLACE NAME."""
import os
import random
import shutil
import subprocess
import sys

users, copies, seed, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)


def sessions():
    found = []
    for user in sorted(os.listdir(users)):
        for workflow in sorted(os.listdir(os.path.join(users, user))):
            top = os.path.join(users, user, workflow)
            if os.path.isdir(top) and not workflow.startswith("."):
                found += [os.path.join(top, s) for s in sorted(os.listdir(top)) if not s.startswith(".")]
    return found


def messages(session):
    top = os.path.join(session, "messages")
    return [os.path.join(top, m) for m in sorted(os.listdir(top)) if m.endswith(".md")]


def files(session):
    return sorted(os.path.join(base, f) for base, _, names in os.walk(session) for f in names
                  if f != "session.json" and not os.path.islink(os.path.join(base, f)))


def text():
    return "".join(rng.choice("abcdefgh \n") for _ in range(rng.randrange(1, 20000)))


def add(s):
    with open(os.path.join(s, "messages", "next.md"), "w") as f:
        f.write(text())


def append(s):
    with open(rng.choice(files(s)), "a") as f:
        f.write(text())


def overwrite(s):
    with open(rng.choice(files(s)), "r+b") as f:
        f.seek(rng.randrange(0, 50000))
        f.write(os.urandom(rng.randrange(1, 70000)))


def truncate(s):
    os.truncate(rng.choice(files(s)), rng.randrange(0, 100000))


def remove(s):
    os.unlink(rng.choice(files(s)))


def attach(s):
    top = os.path.join(s, rng.choice("abc"), rng.choice("xyz"))
    os.makedirs(top, exist_ok=True)
    with open(os.path.join(top, f"f{rng.randrange(9)}"), "wb") as f:
        f.write(os.urandom(rng.randrange(0, 200000)))


def link(s):
    target = os.path.join(s, f"l{rng.randrange(1000000)}")
    os.link(rng.choice(files(s)), target)


def symlink(s):
    os.symlink("messages/001.md", os.path.join(s, f"s{rng.randrange(1000000)}"))


def rename(s):
    """Across directories of one session."""
    top = os.path.join(s, "moved", str(rng.randrange(3)))
    os.makedirs(top, exist_ok=True)
    plain = [f for f in files(s) if "/messages/" not in f]
    if plain:
        os.rename(rng.choice(plain), os.path.join(top, f"r{rng.randrange(5)}"))


def save(s):
    """As editors do it."""
    path = rng.choice(messages(s) or files(s))
    with open(path + "~", "w") as f:
        f.write(text())
    os.rename(path + "~", path)


def chmod(s):
    path = rng.choice(files(s) + [s])
    os.chmod(path, 0o700 if os.path.isdir(path) else rng.choice([0o600, 0o640, 0o444]) | 0o600)


def attribute(s):
    os.setxattr(rng.choice(files(s)), f"user.k{rng.randrange(3)}", os.urandom(rng.randrange(1, 200)))


def touch(s):
    os.utime(rng.choice(files(s)), ns=(rng.randrange(10 ** 18), rng.randrange(10 ** 18)))


def move(s):
    """A session to another workflow, or under another name."""
    user = os.path.dirname(os.path.dirname(s))
    workflow = os.path.join(user, rng.choice(["chat", "jobs", "ideas"]))
    os.makedirs(workflow, exist_ok=True)
    os.rename(s, os.path.join(workflow, f"m{rng.randrange(10 ** 9)}"))


def trash(s):
    user, workflow = os.path.dirname(os.path.dirname(s)), os.path.basename(os.path.dirname(s))
    top = os.path.join(user, ".trash", workflow)
    os.makedirs(top, exist_ok=True)
    os.rename(s, os.path.join(top, f"t{rng.randrange(10 ** 9)}"))


def delete(s):
    shutil.rmtree(s)


def rename_workflow(s):
    os.rename(os.path.dirname(s), os.path.join(os.path.dirname(os.path.dirname(s)), f"w{rng.randrange(10 ** 9)}"))


def start(s):
    top = os.path.join(os.path.dirname(s), f"n{rng.randrange(10 ** 9)}")
    subprocess.run(["mkdir", top], check=True)
    add(top)


WORK = [add] * 6 + [append] * 4 + [overwrite] * 3 + [truncate, remove, attach, attach, link, symlink, rename, rename,
        save, save, chmod, attribute, touch, move, trash, delete, rename_workflow, start, start]


def work():
    for _ in range(rng.randrange(5, 25)):
        all_of_them = sessions()
        s = rng.choice(all_of_them)
        what = rng.choice(WORK)
        if what in (delete, trash) and len(all_of_them) < 4:
            continue
        try:
            what(s)
        except IndexError:
            add(s)  # it has no files


def keep(step):
    s = rng.choice(sessions())
    place = [s, os.path.dirname(s), os.path.dirname(os.path.dirname(s)), users][rng.randrange(4)]
    name = f"{seed}-{step:03}"
    for s in sessions():
        os.stat(os.path.join(s, "session.json"))
        with open(os.path.join(s, "session.json")) as f:
            f.read()
    subprocess.run(["rsync", "-aHAX", "--modify-window=-1", place + "/", os.path.join(copies, name) + "/"], check=True)
    os.mkdir(os.path.join(place, ".snapshots", name))
    print(os.stat(os.path.join(place, ".snapshots", name)).st_ino, name, place, flush=True)


for step in range(steps):
    work()
    keep(step)
