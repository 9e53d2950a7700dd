"""rules_levels.py USER: what may stand where, what mkdir of a session makes, and what moves where."""
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from checks import EXCHANGE, case, equal, exists, fails, read, rename2, run, write
from rules import attribute, following, info, is_session, make, say, sh, told


@case
def the_mounts_root_and_users_hold_nothing_else(w):
    users = os.path.dirname(os.path.dirname(w))
    root = os.path.dirname(users)
    assert {"README.md", "users"} <= set(os.listdir(root)), os.listdir(root)
    assert len(read(root + "/README.md")) > 100
    fails((errno.EPERM, errno.EACCES, errno.EROFS), write, root + "/README.md", b"x")
    fails(errno.EPERM, os.unlink, root + "/README.md")
    fails(errno.EPERM, os.mkdir, root + "/folder")
    fails(errno.EPERM, write, root + "/file")
    fails(errno.EPERM, os.symlink, "x", root + "/link")
    fails((errno.EPERM, errno.EXDEV), os.rename, root + "/README.md", root + "/other")
    fails((errno.EPERM, errno.EXDEV), os.rename, users, root + "/other")
    fails((errno.EPERM, errno.EBUSY), os.rmdir, users)
    fails(errno.EPERM, write, users + "/file")
    fails(errno.EPERM, os.symlink, "x", users + "/link")
    fails(errno.EPERM, os.mkfifo, users + "/fifo")
    fails((errno.EPERM, errno.EXDEV), os.rename, write(w + "/f"), users + "/f")
    fails((errno.EPERM, errno.EXDEV), os.link, w + "/f", users + "/f")
    make(users + "/carl")
    equal(os.listdir(users + "/carl"), [])
    os.rmdir(users + "/carl")


@case
def plain_things_stand_beside_workflows_and_sessions(w):
    ann = os.path.dirname(w)
    for place in (ann, w):
        write(place + "/notes.txt", b"x")
        os.symlink("notes.txt", place + "/link")
        os.mkfifo(place + "/fifo")
        make(place + "/.git/objects/ab")
        make(place + "/.stfolder")
        equal(sh("ls", place + "/.git/objects/ab", place + "/.stfolder").count("session.json"), 0)
        equal(read(place + "/link"), b"x")
        for name in ("notes.txt", "link", "fifo"):
            os.unlink(f"{place}/{name}")
    make(ann + "/.trash/chat/s")
    assert is_session(ann + "/.trash/chat/s"), "sessions lie in .trash, too"
    assert is_session(make(w + "/s"))
    assert is_session(make(w + "/a name with spaces, ümläuts\nand a newline"))


@case
def a_session_is_born_with_messages_and_session_json(w):
    s = make(w + "/s")
    assert is_session(s)
    got = info(s)
    for key in ("session_id", "user_id", "workflow_type", "title", "state", "created_at", "updated_at", "version",
                "message_count", "metadata", "agent"):
        assert key in got, f"{key} is missing in {sorted(got)}"
    assert {"total_tokens", "last_activity"} <= set(got["metadata"]), got["metadata"]
    assert {"current", "history", "switch_count"} <= set(got["agent"]), got["agent"]
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", got["session_id"]), got["session_id"]
    equal((got["user_id"], got["workflow_type"]), ("ann", os.path.basename(w)))
    equal((got["title"], got["state"], got["message_count"]), ("Chat " + got["session_id"][:8], "active", 0))
    for key in ("created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", got[key]), got[key]
    equal(got["agent"]["history"], [])


@case
def the_maker_sees_an_empty_folder(w):
    s = w + "/s"
    os.mkdir(s)
    equal(os.listdir(s), [], "the maker lists nothing")
    assert not exists(s + "/messages") and not exists(s + "/session.json")
    assert is_session(s), "another process sees both"
    s = w + "/s1"
    os.mkdir(s)
    os.mkdir(s + "/messages")
    equal(os.listdir(s + "/messages"), [])
    say(s, "001.md", "hello\n")
    assert "messages" in os.listdir(s)
    equal(told(s)["message_count"], 1)
    os.mkdir(w + "/s2")
    write(w + "/s2/session.json", sh("cat", s + "/session.json").encode())
    assert exists(w + "/s2/session.json")


@case
def the_makers_view_ends(w):
    s = w + "/asked"
    os.mkdir(s)
    fails(errno.ENOENT, lambda: open(s + "/messages/next.md", "x"))
    time.sleep(1.2)
    say(s, "next.md", "Hello\n")
    equal(told(s)["title"], "Hello")
    assert "session.json" in os.listdir(s)
    s = w + "/waited"
    os.mkdir(s)
    large = open(s + "/large", "wb", buffering=0)
    large.write(b"x")
    time.sleep(5.5)
    large.write(b"y")
    large.close()
    os.mkdir(s + "/messages")  # it was copying all the time
    fails(errno.EEXIST, lambda: os.mkdir(s + "/messages"))
    time.sleep(5.5)
    equal(sorted(os.listdir(s)), ["large", "messages", "session.json"])


@case
def copytree_and_cp_and_rsync_bring_sessions_in(w):
    with tempfile.TemporaryDirectory() as source:
        os.makedirs(source + "/s/messages")
        os.makedirs(source + "/s/files")
        for n in (1, 2):
            write(f"{source}/s/messages/00{n}.md", f"message {n}\n")
        write(source + "/s/files/attachment", b"attached")
        shutil.copytree(source + "/s", w + "/copytree")
        sh("cp", "-a", source + "/s", w + "/cp")
        sh("rsync", "-a", source + "/s/", w + "/rsync/")
        shutil.copytree(source, w + "/../copied-workflow")
        os.rename(w + "/../copied-workflow", w + "/../copied-workflow-2")
        for place in (w + "/copytree", w + "/cp", w + "/rsync", w + "/../copied-workflow-2/s"):
            equal(sorted(sh("ls", place).split()), ["files", "messages", "session.json"], place)
            equal(read(place + "/messages/002.md"), b"message 2\n")
            got = told(place)
            equal((got["message_count"], got["title"]), (2, "message 1"), place)
            equal(attribute(place + "/messages/001.md", "role"), "user")
        shutil.copytree(w + "/cp", source + "/back")
        sh("cp", "-a", source + "/back", w + "/twice")
        equal(info(w + "/twice")["message_count"], 2)


@case
def an_untouched_session_can_be_removed(w):
    s = make(w + "/s")
    os.rmdir(s)
    assert not exists(s)
    os.mkdir(s)
    os.rmdir(s)
    assert not exists(s)
    os.mkdir(s)
    sh("rmdir", s)
    assert not exists(s)
    make(s)
    say(s, "001.md", "x")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, s)
    sh("rm", "-r", s)
    assert not exists(s)
    make(s)
    write(s + "/note", b"x")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, s)
    shutil.rmtree(s)
    assert not exists(s)
    make(s)
    os.rename(s, w + "/t")
    os.rmdir(w + "/t")


@case
def what_would_change_its_meaning_is_copied(w):
    s = make(w + "/s")
    make(s + "/folder/messages")
    write(s + "/folder/messages/001.md", b"I was plain\n")
    fails(errno.EXDEV, os.rename, s + "/folder", w + "/taken-in")
    sh("mv", s + "/folder", w + "/taken-in")
    assert is_session(w + "/taken-in") and not exists(s + "/folder")
    equal((info(w + "/taken-in")["message_count"], info(w + "/taken-in")["title"]), (1, "I was plain"))
    fails(errno.EXDEV, os.rename, w + "/taken-in", s + "/inner")
    fails(errno.EXDEV, os.rename, w + "/taken-in", w + "/.hidden")
    fails(errno.EXDEV, os.rename, make(w + "/.plain"), w + "/visible")
    fails(errno.EXDEV, os.rename, w, make(w + "/../other-workflow") + "/session")
    fails(errno.EXDEV, os.rename, s, w + "/../as-a-workflow")
    fails(errno.EXDEV, rename2, s + "/messages", w + "/taken-in", EXCHANGE)


@case
def files_do_not_move_between_sessions_at_once(w):
    a, b = make(w + "/a"), make(w + "/b")
    write(a + "/f", b"content")
    os.mkdir(a + "/dir")
    write(a + "/dir/g", b"deep")
    for old, new in ((a + "/f", b + "/f"), (a + "/dir", b + "/dir"), (say(a, "001.md", "hello\n"), b + "/messages/001.md")):
        fails(errno.EXDEV, os.rename, old, new)
    fails(errno.EXDEV, os.link, a + "/f", b + "/f")
    fails(errno.EXDEV, rename2, a + "/f", write(b + "/other", b"o"), EXCHANGE)
    sh("mv", a + "/f", a + "/dir", b)
    equal((read(b + "/f"), read(b + "/dir/g"), exists(a + "/f"), exists(a + "/dir")), (b"content", b"deep", False, False))
    sh("mv", a + "/messages/001.md", b + "/messages/005.md")
    equal((info(a)["message_count"], info(b)["message_count"], info(b)["title"]), (0, 1, "hello"))
    os.mkdir(b + "/dir2")
    os.rename(b + "/f", b + "/dir2/f")
    os.link(b + "/dir2/f", b + "/g")
    equal(os.stat(b + "/g").st_nlink, 2)


@case
def sessions_and_workflows_move_within_a_user_at_once(w):
    s, ann = make(w + "/s"), os.path.dirname(w)
    say(s, "001.md", "travelling\n")
    before, number = info(s), os.stat(s + "/messages/001.md").st_ino
    os.rename(s, w + "/t")
    equal(info(w + "/t")["session_id"], before["session_id"], "the id after a rename")
    make(ann + "/elsewhere")
    os.rename(w + "/t", ann + "/elsewhere/t")
    after = info(ann + "/elsewhere/t")
    equal((after["session_id"], after["title"], after["message_count"], after["created_at"], after["workflow_type"]),
          (before["session_id"], "travelling", 1, before["created_at"], "elsewhere"))
    equal(os.stat(ann + "/elsewhere/t/messages/001.md").st_ino, number, "the inode number after a move")
    os.rename(ann + "/elsewhere", ann + "/renamed")
    after = info(ann + "/renamed/t")
    equal((after["session_id"], after["workflow_type"]), (before["session_id"], "renamed"))
    equal(following(ann + "/renamed/t"), "002.md")
    make(w + "/u")
    say(w + "/u", "001.md", "other\n")
    rename2(w + "/u", ann + "/renamed/t", EXCHANGE)
    equal((info(w + "/u")["title"], info(ann + "/renamed/t")["title"]), ("travelling", "other"))
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, w + "/u", ann + "/renamed/t")
    make(ann + "/.trash")
    make(ann + "/.trash/" + os.path.basename(w))
    os.rename(w + "/u", f"{ann}/.trash/{os.path.basename(w)}/u")
    equal(info(f"{ann}/.trash/{os.path.basename(w)}/u")["session_id"], before["session_id"])


@case
def nothing_moves_between_users_at_once(w):
    s, bob = make(w + "/s"), os.path.join(os.path.dirname(os.path.dirname(w)), "bob")
    say(s, "001.md", "for bob\n")
    write(w + "/loose", b"x")
    make(bob + "/chat")
    fails(errno.EXDEV, os.rename, s, bob + "/chat/s")
    fails(errno.EXDEV, os.rename, w, bob + "/workflow")
    fails(errno.EXDEV, os.rename, w + "/loose", bob + "/loose")
    fails(errno.EXDEV, os.link, w + "/loose", bob + "/loose")
    before = info(s)
    sh("mv", s, bob + "/chat/s")
    got = info(bob + "/chat/s")
    equal((got["session_id"], got["user_id"], got["title"], got["message_count"]),
          (before["session_id"], "bob", "for bob", 1))


@case
def a_user_can_be_renamed(w):
    users = os.path.dirname(os.path.dirname(w))
    s = make(users + "/dora/chat/s")
    say(s, "001.md", "hello\n")
    before = info(s)
    os.rename(users + "/dora", users + "/eva")
    got = info(users + "/eva/chat/s")
    equal((got["session_id"], got["user_id"], got["title"]), (before["session_id"], "eva", "hello"))


@case
def scribefs_new_makes_named_sessions(w):
    program = os.environ["SCRIBEFS"]
    day = time.strftime("%y%m%d", time.gmtime())
    first = sh(program, "new", w).strip()
    if day != time.strftime("%y%m%d", time.gmtime()):
        return
    number = int(re.fullmatch(rf"SESSION-{day}-(\d{{3,}})", os.path.basename(first)).group(1))
    assert is_session(first)
    second = sh(program, "new", w, "--title", "A title of mine").strip()
    equal(os.path.basename(second), f"SESSION-{day}-{number + 1:03d}")
    equal(info(second)["title"], "A title of mine")
    say(second, "001.md", "something else\n")
    equal(info(second)["title"], "A title of mine")
    sh("rm", "-r", second)
    third = sh(program, "new", w).strip()
    equal(os.path.basename(third), f"SESSION-{day}-{number + 2:03d}", "the highest ever plus one")
    make(f"{w}/SESSION-{day}-040")
    other = make(os.path.dirname(w) + "/other-new")
    equal(os.path.basename(sh(program, "new", other).strip()), f"SESSION-{day}-041", "of that user, in any workflow")
    for place in (os.path.dirname(w), w + "/missing", first, "/tmp"):
        done = subprocess.run([program, "new", place], capture_output=True, text=True, timeout=60)
        equal((done.returncode, done.stderr.count("\n")), (1, 1), f"new in {place}")


run(sys.argv[1], only=sys.argv[2:])
