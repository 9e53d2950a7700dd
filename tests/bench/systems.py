"""The filesystems that are compared: how each is made, mounted, unmounted, and what its daemon took.

Every daemon runs in the foreground as our child, so that its processor time can be had when it ends.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCRIBEFS = os.environ.get("SCRIBEFS", os.path.join(ROOT, "build", "scribefs"))
PASSPHRASE = "benchmark"


class Failed(Exception):
    pass


def call(*command, **kwargs):
    """Output of a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          **{"stdin": subprocess.DEVNULL, **kwargs})
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{' '.join(command)}: status {done.returncode}: {said[-1] if said else ''}")
    return done.stdout


def drop_caches():
    """Whether the kernel's caches could be emptied; without that only the mount's own are cold."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")
        return True
    except OSError:
        return False


class System:
    """One store and its mount in a folder of their own."""
    name, program = "", ""
    encrypted = True
    syncs = True  # fsync reaches the disk; else the durable rows say nothing
    large_directories = True  # 100,000 names can be made in less than half an hour

    def __init__(self, folder, tools):
        self.folder, self.tools = folder, tools
        self.store, self.mountpoint, self.key = (os.path.join(folder, n) for n in ("store", "mnt", "key"))
        self.daemon, self.status = None, 0
        self.cpu_seconds, self.peak_kib = 0.0, 0
        os.makedirs(self.mountpoint)
        self.make()

    def make(self):
        os.mkdir(self.store)

    def command(self):
        """The daemon, in the foreground."""
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def stdin(self):
        return None

    def users(self):
        """Where users' folders lie."""
        return os.path.join(self.mountpoint, "users")

    def place(self, name):
        """A folder for one kind of work, made where it is missing."""
        path = os.path.join(self.users(), "bench", name)
        os.makedirs(path, exist_ok=True)
        return path

    def mount(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.daemon = subprocess.Popen(self.command(), stdin=subprocess.PIPE if self.stdin() else subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=self.environment(), start_new_session=True)
        log.close()
        if self.stdin():
            self.daemon.stdin.write(self.stdin().encode())
            self.daemon.stdin.close()
        for _ in range(12000):
            if os.path.ismount(self.mountpoint):
                return
            if self.ended(os.WNOHANG):
                break
            time.sleep(0.005)
        raise Failed(f"{self.name} does not mount: {self.said()}")

    def said(self):
        """The last lines that the daemon has said."""
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return " / ".join(f.read().strip().splitlines()[-3:]) or "it says nothing"

    def ended(self, options=0):
        """Whether the daemon has ended; adds what it took."""
        pid, self.status, usage = os.wait4(self.daemon.pid, options)
        if pid == 0:
            return False
        self.cpu_seconds += usage.ru_utime + usage.ru_stime
        self.daemon.returncode = 0
        self.daemon = None
        return True

    def kill(self):
        """As kill -9; what is left of the mount is taken away."""
        os.kill(self.daemon.pid, signal.SIGKILL)
        self.ended()
        detach(self.mountpoint)

    def memory(self, field):
        """KiB, of /proc: VmHWM the most it had, VmRSS what it has now."""
        if not self.daemon:
            return 0
        with open(f"/proc/{self.daemon.pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        return 0

    def ticks(self):
        """Processor time of the daemon that runs now, in clock ticks."""
        if not self.daemon:
            return 0
        with open(f"/proc/{self.daemon.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def settle(self, seconds=30, quiet=0.1):
        """Until the daemon rests, or its background work would be charged to whoever is measured next."""
        for _ in range(int(seconds / quiet)):
            before = self.ticks()
            time.sleep(quiet if self.daemon else 0)
            if self.ticks() - before <= 10 * quiet:
                return

    def unmount_command(self):
        return ["umount", self.mountpoint] if os.geteuid() == 0 else ["fusermount3", "-u", self.mountpoint]

    def umount(self):
        self.peak_kib = max(self.peak_kib, self.memory("VmHWM"))
        for _ in range(100):
            done = subprocess.run(self.unmount_command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise Failed(f"cannot unmount {self.name}: {done.stderr.strip()}")
        self.ended()

    def cold(self):
        """Nothing is cached any more."""
        self.umount()
        drop_caches()
        self.mount()

    def finish(self):
        """The last unmount; what the daemon took is known then."""
        self.umount()

    def take_away(self):
        """Whatever happened: no mount, no daemon, no files."""
        if self.daemon and self.ended(os.WNOHANG):
            print(f"bench: the daemon of {self.name} had ended, with wait status {self.status}: {self.said()}",
                  file=sys.stderr)
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if self.daemon and number:
                os.kill(self.daemon.pid, number)
            for _ in range(100):  # a daemon that was still starting mounts later
                if not self.daemon or self.ended(os.WNOHANG):
                    break
                subprocess.run(self.unmount_command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
                time.sleep(0.05)
        detach(self.mountpoint)
        shutil.rmtree(self.folder, ignore_errors=True)

    def space(self):
        """KiB that its files take on the disk."""
        return int(call("du", "-sk", self.store).split()[0])

    def version(self):
        return ""


def detach(mountpoint):
    tool = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
    subprocess.run(tool + [mountpoint], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Scribefs(System):
    name, program = "scribefs", SCRIBEFS
    cipher = None

    def environment(self):  # what is seen of these stores is nobody's
        return {**os.environ, "XDG_STATE_HOME": os.path.join(self.folder, "state")}

    def make(self):
        cipher = ["--cipher", self.cipher] if self.cipher else []
        call(SCRIBEFS, "init", self.store, "--new-key-file", self.key, "--no-recovery-key", *cipher,
             env=self.environment())

    def command(self):
        return [SCRIBEFS, "mount", self.store, self.mountpoint, "--key-file", self.key, "-f"]

    def unmount_command(self):
        return [SCRIBEFS, "umount", self.mountpoint]

    def version(self):
        return call(SCRIBEFS, "--version").strip()


class ScribefsAes(Scribefs):
    name, cipher = "scribefs-aes", "aes-256-gcm"


class Gocryptfs(System):
    name = program = "gocryptfs"

    def make(self):
        super().make()
        with open(self.key, "w") as f:
            f.write(PASSPHRASE + "\n")
        call("gocryptfs", "-q", "-init", "-scryptn", "10", "-passfile", self.key, self.store)

    def command(self):
        return ["gocryptfs", "-q", "-fg", "-nosyslog", "-passfile", self.key, self.store, self.mountpoint]

    def version(self):
        return call("gocryptfs", "--version").split(";")[0].strip()


class Securefs(System):
    name = program = "securefs"

    def make(self):
        super().make()
        call("securefs", "create", "--pass", PASSPHRASE, "-r", "1", self.store)

    def command(self):
        return ["securefs", "mount", "--pass", PASSPHRASE, "--log", os.path.join(self.folder, "securefs.log"),
                self.store, self.mountpoint]

    def version(self):
        return "securefs " + (package_version("securefs") or "")


class Cryfs(System):
    name = program = "cryfs"
    syncs = False
    large_directories = False

    def environment(self):
        return {**os.environ, "CRYFS_FRONTEND": "noninteractive", "CRYFS_NO_UPDATE_CHECK": "true",
                "CRYFS_LOCAL_STATE_DIR": os.path.join(self.folder, "state")}

    def stdin(self):
        return PASSPHRASE + "\n"

    def command(self):
        return ["cryfs", "-f", self.store, self.mountpoint]

    def version(self):
        return "cryfs " + (package_version("cryfs") or "")


class Encfs(System):
    name = program = "encfs"

    def stdin(self):
        return PASSPHRASE + "\n"

    def command(self):
        return ["encfs", "-f", "--standard", "--stdinpass", self.store, self.mountpoint]

    def version(self):
        return "encfs " + (package_version("encfs") or "")


class Floor(System):
    name, encrypted = "floor", False

    def command(self):
        return [self.tools["floor"], self.mountpoint]

    def mount(self):  # in memory: what the kernel has is forgotten, the daemon stays
        if not self.daemon:
            super().mount()

    def umount(self):
        self.peak_kib = max(self.peak_kib, self.memory("VmHWM"))

    def finish(self):
        self.umount()
        super().umount()

    def space(self):
        return None

    def version(self):
        return "libfuse " + call("pkg-config", "--modversion", "fuse3").strip()


class Bindfs(System):
    name = program = "bindfs"
    encrypted = False

    def command(self):
        return ["bindfs", "-f", self.store, self.mountpoint]

    def version(self):
        return call("bindfs", "--version").strip()


class Disk(System):
    """The disk's own filesystem: no daemon, no mount."""
    name, encrypted = "disk", False

    def make(self):
        self.store = self.mountpoint

    def mount(self):
        pass

    def umount(self):
        pass

    def version(self):
        try:
            return call("findmnt", "-n", "-o", "FSTYPE", "--target", self.folder).strip()
        except Failed: # in a chroot
            return call("stat", "-f", "-c", "%T", self.folder).strip()


PEERS = {kind.name: kind for kind in (Gocryptfs, Securefs, Cryfs, Encfs, Bindfs)}


def package_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def install():
    """Asks apt-get for what is missing, one by one; what there is not is told and left out."""
    with open(os.path.join(HERE, "packages")) as f:
        wanted = [line.strip() for line in f if line.strip() and not line.startswith("#")]
    missing = [p for p in wanted if not package_version(p)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"bench: not installed: {' '.join(missing)}; as root, tests/bench/run installs them", file=sys.stderr)
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", "update"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    for package in missing:
        done = subprocess.run(["apt-get", "-q", "-y", "install", "--no-install-recommends", package], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"bench: apt-get has no {package}; left out", file=sys.stderr)
