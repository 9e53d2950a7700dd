"""terminal.py COMMAND... -- LINE...: runs a command on a terminal of its own and types a line at each prompt."""
import os
import pty
import sys

split = sys.argv.index("--")
command, lines = sys.argv[1:split], sys.argv[split + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
answered = 0
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if shown[answered:].endswith(b": ") and lines:
        answered = len(shown)
        # The prompt comes before the echo is off; a line typed too early would be flushed.
        import termios
        import time
        while termios.tcgetattr(fd)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(fd, lines.pop(0).encode() + b"\n")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
