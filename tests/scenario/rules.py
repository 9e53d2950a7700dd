"""What the rules_*.py cases share. A case's folder is a workflow of ann's; its sessions are made by mkdir."""
import json
import os
import subprocess


def sh(*command, stdin=None):
    """Another process does it: the one that makes a session does not see what was made for it."""
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}: {done.stderr.strip()}"
    return done.stdout


def make(path):
    sh("mkdir", "-p", path)
    return path


def info(session):
    with open(os.path.join(session, "session.json"), encoding="utf-8") as f:
        return json.load(f)


def told(session):
    """The same as another process sees it: the one that made the session sees no session.json but its own."""
    return json.loads(sh("cat", os.path.join(session, "session.json")))


def say(session, name, text):
    path = os.path.join(session, "messages", name)
    with open(path, "wb") as f:
        f.write(text.encode() if isinstance(text, str) else text)
    return path


def following(session, text="next\n"):
    """Through next.md; the name that it got."""
    fd = os.open(os.path.join(session, "messages", "next.md"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        name = os.getxattr(fd, "user.scribefs.name").decode()
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    return name


def attribute(path, name):
    return os.getxattr(path, "user.scribefs." + name).decode()


def is_session(path):
    return sh("ls", path).split() == ["messages", "session.json"]
