"""rules_messages.py USER: names of messages, next.md, front matter, and a message's derived attributes."""
import datetime
import errno
import os
import sys

from checks import case, equal, exists, fails, read, run, write
from rules import attribute, following, info, make, say, sh


@case
def next_md_hands_out_numbers(w):
    s = make(w + "/s")
    equal([following(s, f"text {n}\n") for n in range(3)], ["001.md", "002.md", "003.md"])
    equal(read(s + "/messages/002.md"), b"text 1\n")
    assert not exists(s + "/messages/next.md")
    equal(sorted(os.listdir(s + "/messages")), ["001.md", "002.md", "003.md"])
    fails(errno.ENOENT, os.open, s + "/messages/next.md", os.O_RDONLY)
    fails(errno.ENOENT, os.open, s + "/messages/next.md", os.O_WRONLY)
    fails(errno.ENOENT, os.unlink, s + "/messages/next.md")
    os.unlink(s + "/messages/003.md")
    equal(following(s), "004.md", "the highest ever plus one")
    say(s, "010.md", "ten\n")
    equal(following(s), "011.md")
    os.rename(s + "/messages/011.md", s + "/messages/eleven.txt")
    equal(following(s), "012.md")
    os.rename(s + "/messages/eleven.txt", s + "/messages/020.md")
    equal(following(s), "021.md", "after a file became 020.md")
    sh("sh", "-c", 'echo hello > "$1/next.md"; echo hello >> "$1/next.md"', "sh", s + "/messages")
    equal(read(s + "/messages/023.md"), b"hello\n")
    fd = os.open(s + "/messages/next.md", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    equal(os.getxattr(fd, "user.scribefs.name"), b"024.md")
    os.close(fd)
    equal(info(s)["message_count"], len(os.listdir(s + "/messages")))
    say(s, "999.md", "x")
    equal(following(s), "1000.md")
    equal(following(s), "1001.md")


@case
def nothing_else_may_be_called_next_md(w):
    s = make(w + "/s")
    m = s + "/messages"
    fails(errno.EPERM, os.mkdir, m + "/next.md")
    fails(errno.EPERM, os.symlink, "x", m + "/next.md")
    fails(errno.EPERM, os.mkfifo, m + "/next.md")
    write(m + "/draft", b"drafted\n")
    fails(errno.EXDEV, os.rename, m + "/draft", m + "/next.md")
    fails(errno.EXDEV, os.link, m + "/draft", m + "/next.md")
    sh("cp", m + "/draft", m + "/next.md")
    sh("mv", m + "/draft", m + "/next.md")
    equal(sorted(os.listdir(m)), ["001.md", "002.md"])
    equal((read(m + "/001.md"), read(m + "/002.md")), (b"drafted\n", b"drafted\n"))
    write(s + "/next.md", b"plain out here")
    equal(read(s + "/next.md"), b"plain out here")
    os.mkdir(m + "/folder")
    write(m + "/folder/next.md", b"and here")
    equal(read(m + "/folder/next.md"), b"and here")


@case
def which_names_are_messages(w):
    s = make(w + "/s")
    messages = ["001.md", "007.md", "042.md", "999.md", "1000.md", "123456.md"]
    plain = ["0007.md", "7.md", "07.md", "0999.md", "1234567890.md", "abc.md", "007.MD", "007.md~", ".007.md", "007",
             "-07.md", "+07.md", " 07.md", "٠٠٧.md", "007.md.tmp"]
    for name in plain:
        say(s, name, "plain\n")
        fails(errno.ENODATA, attribute, f"{s}/messages/{name}", "role")
    equal(info(s)["message_count"], 0)
    for name in messages:
        say(s, name, "a message\n")
        equal(attribute(f"{s}/messages/{name}", "role"), "user", name)
        equal(attribute(f"{s}/messages/{name}", "name"), name)
    equal(info(s)["message_count"], len(messages))
    equal(following(s), "123457.md")
    write(s + "/001.md", b"not in messages/")
    fails(errno.ENODATA, attribute, s + "/001.md", "role")
    os.mkdir(s + "/messages/folder")
    write(s + "/messages/folder/001.md", b"deeper")
    fails(errno.ENODATA, attribute, s + "/messages/folder/001.md", "role")
    equal(info(s)["message_count"], len(messages) + 1)


@case
def the_last_number_is_the_last(w):
    s = make(w + "/s")
    say(s, "999999999.md", "the end\n")
    try:
        name = following(s)
    except OSError:
        pass
    else:
        raise AssertionError(f"next.md after 999999999.md became {name}")
    equal(read(s + "/messages/999999999.md"), b"the end\n")
    say(s, "005.md", "still writable\n")
    equal(info(s)["message_count"], 2)


@case
def renames_make_and_unmake_messages(w):
    s = make(w + "/s")
    m = s + "/messages"
    say(s, ".001.md.tmp", "---\nrole: assistant\nid: a\n---\nanswer\n")
    equal(info(s)["message_count"], 0)
    os.rename(m + "/.001.md.tmp", m + "/001.md")
    equal((attribute(m + "/001.md", "role"), attribute(m + "/001.md", "id")), ("assistant", "a"))
    equal(info(s)["message_count"], 1)
    say(s, "tmp", "---\nrole: system\nid: b\n---\nreplaced\n")
    os.rename(m + "/tmp", m + "/001.md")
    equal((attribute(m + "/001.md", "role"), info(s)["message_count"]), ("system", 1))
    os.rename(m + "/001.md", m + "/003.md")
    equal((attribute(m + "/003.md", "name"), info(s)["message_count"]), ("003.md", 1))
    os.rename(m + "/003.md", m + "/old.txt")
    equal(info(s)["message_count"], 0)
    fails(errno.ENODATA, attribute, m + "/old.txt", "role")
    os.link(m + "/old.txt", m + "/004.md")
    equal((attribute(m + "/004.md", "role"), info(s)["message_count"]), ("system", 1))
    os.unlink(m + "/004.md")
    equal(info(s)["message_count"], 0)
    os.rename(m + "/old.txt", s + "/out.txt")
    os.rename(s + "/out.txt", m + "/006.md")
    equal((attribute(m + "/006.md", "role"), info(s)["message_count"]), ("system", 1))
    equal(following(s), "007.md")


@case
def front_matter_is_read_and_kept(w):
    s = make(w + "/s")
    text = ("---\nid: msg-1\nrole: assistant\ntimestamp: 2025-06-07T08:09:10.250Z\nagent: claude\nmodel: large-1\n"
            "tokens: 321\nmood: \"fine: really\"\nnested:\n  - a\n  - {b: c}\n---\nAn answer.\n")
    path = say(s, "001.md", text)
    equal(read(path), text.encode(), "not a byte is rewritten")
    equal((attribute(path, "id"), attribute(path, "role"), attribute(path, "name")), ("msg-1", "assistant", "001.md"))
    when = datetime.datetime(2025, 6, 7, 8, 9, 10, 250000, datetime.timezone.utc).timestamp()
    equal(os.stat(path).st_mtime_ns, int(when * 1000) * 10**6, "the message's time is its mtime")
    equal(info(s)["metadata"]["total_tokens"], 321)
    equal(info(s)["metadata"]["last_activity"], "2025-06-07T08:09:10.250Z")
    say(s, "002.md", "---\nrole: user\ntokens: 9\ntimestamp: 2025-06-07T10:00:00+02:00\n---\nThanks.\n")
    equal(info(s)["metadata"]["total_tokens"], 330)
    equal(info(s)["metadata"]["last_activity"], "2025-06-07T08:09:10.250Z", "an offset from UTC")
    say(s, "001.md", text.replace("321", "21").replace("assistant", "tool"))
    equal((info(s)["metadata"]["total_tokens"], attribute(path, "role")), (30, "tool"))
    os.unlink(path)
    equal(info(s)["metadata"]["total_tokens"], 9)
    equal(os.listxattr(s + "/messages/002.md"), [], "derived values are not listed")
    path = say(s, "003.md", "---\r\nrole: assistant\r\n---\r\nwith CRLF\r\n")
    equal((attribute(path, "role"), read(path)), ("assistant", b"---\r\nrole: assistant\r\n---\r\nwith CRLF\r\n"))


@case
def a_time_that_the_caller_set_stays(w):
    s = make(w + "/s")
    text = "---\ntimestamp: 2025-06-07T08:09:10Z\n---\nx\n"
    path = say(s, "001.md", text)
    os.utime(path, ns=(10**18, 10**18))
    equal(os.stat(path).st_mtime_ns, 10**18)
    fd = os.open(s + "/messages/002.md", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, text.encode())
    os.utime(fd, ns=(10**18 + 7, 10**18 + 7))
    os.close(fd)
    equal(os.stat(s + "/messages/002.md").st_mtime_ns, 10**18 + 7, "set before close")
    path = say(s, "003.md", "no front matter\n")
    os.utime(path, ns=(1600000000 * 10**9, 1600000000 * 10**9))
    os.unlink(s + "/messages/001.md")
    os.unlink(s + "/messages/002.md")
    equal(info(s)["metadata"]["last_activity"], "2020-09-13T12:26:40.000Z",
          "without front matter the earlier of birth and mtime")


@case
def broken_front_matter_is_content(w):
    s = make(w + "/s")
    broken = [
        b"", b"-", b"---", b"---\n", b"---\nrole: assistant\n", b"---\nrole: assistant\n--\ntext\n",
        b"---\nrole: [unclosed\n---\ntext\n", b"---\n\t- tabs\n---\n", b"---\n{{{{\n---\n", b"---\n\xff\xfe: \x80\n---\nx",
        b"---\nrole: \0assistant\n---\n", b"\0" * 5000, bytes(range(256)) * 20, b"--- \nrole assistant\n---\n",
        b"---\n- a\n- list\n---\n", b"---\njust a string\n---\n", b"---\na: &a [*a]\n---\n",
        b"---\n" + b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n" + b"---\n",
        b"---\n" + b"[" * 20000 + b"\n---\n", b"---\n" + b"k: v\n" * 100000 + b"role: [\n---\n", b"---\nrole: " + b"x" * 300000 + b"\n",
    ]
    for number, data in enumerate(broken, 1):
        name = f"{number:03d}.md"
        path = say(s, name, data)
        equal(read(path), data, name)
        equal(attribute(path, "role"), "user", f"{name} {data[:40]!r}")
    equal(info(s)["message_count"], len(broken))
    odd = [b"---\nrole: 5\ntimestamp: never\ntokens: -3\nid: [1]\n---\nx\n", b"---\ntokens: 99999999999999999999\n---\nx\n",
           b"---\ntimestamp: 9999-99-99T99:99:99Z\n---\n", b"---\nrole: emperor\n---\nx\n", b"---\nid: \"" + b"i" * 5000 + b"\"\n---\nx\n"]
    for number, data in enumerate(odd, 101):
        path = say(s, f"{number:03d}.md", data)
        equal(read(path), data)
        attribute(path, "role")
    got = info(s)
    equal(got["message_count"], len(broken) + len(odd))
    assert got["metadata"]["total_tokens"] >= 0, got


@case
def readers_see_what_is_still_being_written(w):
    s = make(w + "/s")
    fd = os.open(s + "/messages/001.md", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    size = 0
    for n in range(50):
        text = f"token {n} of a streamed answer\n".encode() * 20
        os.write(fd, text)
        size += len(text)
        equal(int(sh("stat", "-c", "%s", s + "/messages/001.md")), size)
        equal(len(read(s + "/messages/001.md")), size)
    os.close(fd)
    equal(info(s)["message_count"], 1)


run(sys.argv[1], only=sys.argv[2:])
