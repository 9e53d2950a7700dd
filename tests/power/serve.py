"""The program under test, as the harnesses serve a store with it (tests/power/run, tests/death/run)."""
import hashlib
import os
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SCRIBEFS", os.path.join(TOP, "build", "scribefs"))
HANG = 120  # seconds; only ends a test that hangs


def built(name):
    """Where the programs of tests/NAME are: beside the program under test, or where that is installed, in build/."""
    beside = os.path.join(os.path.dirname(PROGRAM), "tests", name)
    return beside if os.path.isdir(beside) else os.path.join(TOP, "build", "tests", name)


class Wrong(Exception):
    """What must hold does not."""


def wait_until(what, condition):
    for _ in range(HANG * 20):
        if condition():
            return
        time.sleep(0.05)
    raise Wrong(f"{what}: waited for {HANG} seconds")


class Mount:
    def __init__(self, store, point, key, log, *more, env=None, wait=True):
        """@env: more of the environment; not @wait: it may die before it serves."""
        self.point, self.log = point, log
        os.makedirs(point, exist_ok=True)
        # On the same disk, and cut with it: what was seen of the store must never be ahead of it.
        state = {"XDG_STATE_HOME": os.path.join(os.path.dirname(store), "state")}
        with open(log, "wb") as out:
            self.process = subprocess.Popen([PROGRAM, "mount", "-f", store, point, "--key-file", key, *more],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**os.environ, **state, **(env or {})})
        if wait:
            self.serves()

    def served(self):
        return os.path.ismount(self.point) or self.process.poll() is not None

    def serves(self):
        wait_until("the mount", self.served)
        if self.process.poll() is not None:
            raise Wrong(f"the store does not open: {self.text()}")

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read().strip()

    def umount(self):
        done = subprocess.run([PROGRAM, "umount", self.point], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode or self.process.wait():
            raise Wrong(f"umount: {done.stdout.strip()} {self.text()}")

    def die(self):
        """
        Kills it. A thread of it that tells the kernel of a changed name waits there, beyond any signal, for the
        directory's lock; where who holds that lock waits for an answer of the daemon, neither ends until the
        connection is aborted. Returns whether that was needed.
        """
        if self.process.poll() is None:
            self.process.kill()
        try:
            self.process.wait(10)
            return False
        except subprocess.TimeoutExpired:
            subprocess.run(["umount", "-f", self.point], check=False, stderr=subprocess.DEVNULL)
            self.process.wait(HANG)
            return True

    def kill(self):
        self.die()
        subprocess.run(["fusermount3", "-uzq", self.point], check=False, stderr=subprocess.DEVNULL)


def digests(users):
    """{path: digest} of all files below; session.json is the filesystem's own."""
    found = {}
    for folder, _, names in os.walk(users):
        for name in names:
            if name not in ("session.json", "next.md"):
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, users)] = hashlib.sha256(f.read()).hexdigest()
    return found
