"""next_names.py MESSAGES WRITERS COUNT: processes that make messages and check the names that they are told."""
import os
import sys

messages, writers, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def writer(number):
    for n in range(count):
        text = f"named writer {number} message {n}\n".encode()
        fd = os.open(os.path.join(messages, "next.md"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        name = os.getxattr(fd, "user.scribefs.name").decode()
        os.write(fd, text)
        os.close(fd)
        with open(os.path.join(messages, name), "rb") as f:
            got = f.read()
        assert got == text, f"{name} holds {got!r}, not {text!r}"


children = []
for number in range(writers):
    pid = os.fork()
    if pid == 0:
        try:
            writer(number)
        except BaseException as error:
            print(f"writer {number}: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
sys.exit(max(os.waitpid(pid, 0)[1] != 0 for pid in children))
