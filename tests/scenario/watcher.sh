#!/bin/bash
# A watcher whose daemon takes long to end leaves the mount alone that has come in the place of the dead one, which has
# the same number of a device, source and mountpoint.
. "$(dirname "$0")/lib.sh"
need_mount
need_root # others need the control filesystem of fuse
setup
S=$(session one)
echo kept >"$S/note"

# stand_in AGAIN: is to the watcher the daemon of the mount. When AGAIN is 1 the store is mounted anew; then its main
# thread ends, as at a kill, and another one goes on for a while.
stand_in() {
	python3 - "$SCRIBEFS" "$MNT" "$STORE" "$KEY" "$1" <<-'PY'
		import ctypes, os, signal, subprocess, sys, threading, time
		program, mnt, store, key, again = sys.argv[1:]
		daemon = str(os.getpid())
		signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # which it waits for
		watcher = subprocess.Popen(["scribefs-watch", daemon, mnt], executable=program)
		time.sleep(1)
		before = os.stat(mnt).st_dev
		if again == "1":
		    subprocess.check_call([program, "umount", mnt])
		    subprocess.check_call([program, "mount", store, mnt, "--key-file", key], stdin=subprocess.DEVNULL)
		    print("the same device" if os.stat(mnt).st_dev == before else "another device", flush=True)
		def outlive():
		    watcher.wait()
		    os._exit(0)
		threading.Thread(target=outlive).start()
		ctypes.CDLL(None).syscall(60, 0)  # exit, of this thread alone
	PY
}

case $(uname -r) in
[1-5].* | 6.[0-7].*) skip "mounts have no numbers of their own before Linux 6.8" ;;
esac
[ "$(uname -m)" = x86_64 ] || skip "needs the number of a system call"
stand_in 1 >"$W/said"
same "the new mount could be taken for the old one" "the same device" "$(cat "$W/said")"
same "the new mount is left alone" kept "$(cat "$S/note" 2>&1)"
stand_in 0
check_not "the mount that it was started for is ended" cat "$S/note"
kill9_daemon
detach_mount
