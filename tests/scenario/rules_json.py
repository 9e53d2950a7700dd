"""rules_json.py USER: session.json: what it says, what a save changes, titles, agents, copies."""
import datetime
import json
import os
import sys
import time

from checks import case, equal, exists, read, run, write
from rules import attribute, following, info, make, say, sh


def save(session, value, way="write"):
    data = json.dumps(value, indent=4).encode() if not isinstance(value, bytes) else value
    if way == "write":
        write(session + "/session.json", data)
    else:
        write(session + "/.session.json.tmp", data)
        os.rename(session + "/.session.json.tmp", session + "/session.json")


@case
def it_follows_the_messages(w):
    s = make(w + "/s")
    version = info(s)["version"]
    for n in range(1, 6):
        following(s, f"message {n}\n")
        got = info(s)
        equal(got["message_count"], n)
        assert got["version"] > version, "the version grows"
        version = got["version"]
    data = read(s + "/session.json")
    equal(os.stat(s + "/session.json").st_size, len(data))
    when = datetime.datetime.fromisoformat(got["updated_at"].replace("Z", "+00:00")).timestamp()
    equal(round(os.stat(s + "/session.json").st_mtime, 3), round(when, 3), "mtime is updated_at")
    equal(read(s + "/session.json"), data, "reading changes nothing")
    os.unlink(s + "/messages/002.md")
    equal(info(s)["message_count"], 4)
    fd = os.open(s + "/session.json", os.O_RDONLY)
    following(s)
    old = json.loads(os.read(fd, 100000))
    os.close(fd)
    equal(old["message_count"] in (4, 5), True, "an open file is whole")
    equal(info(s)["message_count"], 5)


@case
def titles(w):
    s = make(w + "/s")
    chat = "Chat " + info(s)["session_id"][:8]
    say(s, "001.md", "---\nrole: assistant\n---\nHow can I help?\n")
    equal(info(s)["title"], chat, "before a user's message")
    say(s, "002.md", "---\nrole: user\n---\nTie a bowline\n")
    equal(info(s)["title"], "Tie a bowline")
    say(s, "003.md", "Another question\n")
    equal(info(s)["title"], "Tie a bowline", "the first counts")
    say(s, "002.md", "Splice a rope\n")
    equal(info(s)["title"], "Splice a rope", "it follows an edit")
    os.unlink(s + "/messages/002.md")
    equal(info(s)["title"], "Another question", "and a deletion")
    os.unlink(s + "/messages/003.md")
    equal(info(s)["title"], chat)
    long = "äöü雪🙂 und so weiter, immer weiter und weiter, bis weit über die Grenze hinaus"
    say(s, "004.md", long + "\n")
    title = info(s)["title"]
    assert title.endswith("...") and long.startswith(title[:-3].rstrip()), title
    assert len(title) in range(48, 54), f"{len(title)} code points: {title}"
    got = info(s)
    got["title"] = "Mine"
    save(s, got)
    equal(info(s)["title"], "Mine")
    say(s, "004.md", "something else\n")
    say(s, "001.md", "first of all\n")
    equal(info(s)["title"], "Mine", "the user's stays")
    for text in ("", "\n\n\n", "   \n", "\0\1\2", "\"quoted\\\"\t\n", "{\"json\": 1}"):
        t = make(w + "/odd")
        say(t, "001.md", text)
        assert isinstance(info(t)["title"], str)
        sh("rm", "-r", t)
    t = make(w + "/binary")
    say(t, "001.md", b"\xff\xfe\x80 not UTF-8 \xc3")
    info(t)


@case
def a_save_takes_what_differs(w):
    for way in ("write", "rename"):
        s = make(f"{w}/{way}")
        say(s, "001.md", "question\n")
        got = info(s)
        got["title"] = "Mine"
        got["metadata"]["project"] = {"name": "x", "tags": ["a", "b", 1.5, None, True]}
        save(s, got, way)
        after = info(s)
        equal((after["title"], after["metadata"]["project"], after["message_count"], after["session_id"]),
              ("Mine", got["metadata"]["project"], 1, got["session_id"]), way)
        assert not exists(s + "/session.json.rejected")
        following(s)
        equal((info(s)["message_count"], info(s)["metadata"]["project"]["name"]), (2, "x"))
        got = info(s)
        del got["metadata"]["project"]
        save(s, got, way)
        assert "project" not in info(s)["metadata"], "a key that the user took out"


@case
def a_stale_editor_reverts_nothing(w):
    for way in ("write", "rename"):
        s = make(f"{w}/{way}")
        say(s, "001.md", "question\n")
        write(s + "/agent", b"claude\n")
        stale = info(s)
        fresh = info(s)
        fresh["state"] = "archived"
        fresh["metadata"]["colour"] = "green"
        save(s, fresh, way)
        equal(info(s)["state"], "archived", way)
        write(s + "/agent", b"codex\n")
        say(s, "002.md", "---\ntokens: 5\n---\nmore\n")
        before = info(s)
        stale["title"] = "From the stale editor"
        save(s, stale, way)
        after = info(s)
        equal(after["title"], "From the stale editor", way)
        equal(after["metadata"], before["metadata"], f"{way}: metadata")
        for key in ("state", "message_count", "agent", "session_id", "created_at"):
            equal(after[key], before[key], f"{way}: {key}")
        equal(after["metadata"]["colour"], "green", way)
        assert after["version"] > before["version"]


@case
def a_broken_save_is_kept_aside(w):
    for number, bad in enumerate((b"{ not json", b"", b"{\"title\": \"cut", b"\xff\xfe\0", b"{} trailing", b"[" * 5000)):
        s = make(f"{w}/s{number}")
        say(s, "001.md", "question\n")
        got = info(s)
        got["title"] = "Mine"
        save(s, got)
        before = info(s)
        save(s, bad, "rename" if number % 2 else "write")
        after = info(s)
        equal((after["title"], after["message_count"], after["session_id"]), ("Mine", 1, before["session_id"]), repr(bad[:20]))
        equal(read(s + "/session.json.rejected"), bad, "what was saved stays readable")
        names = os.listxattr(s + "/session.json.rejected")
        reasons = [os.getxattr(s + "/session.json.rejected", n) for n in names]
        if not reasons:
            reasons = [attribute(s + "/session.json.rejected", "reason").encode()]
        assert any(reasons), "the reason is in an attribute"
        following(s)
        equal(info(s)["message_count"], 2)
        got = info(s)
        got["title"] = "And again"
        save(s, got)
        equal(info(s)["title"], "And again", "the next good save counts")


@case
def odd_but_valid_saves_do_no_harm(w):
    s = make(w + "/s")
    say(s, "001.md", "question\n")
    base = info(s)
    for value in ([], 5, "text", None, {}, {"title": 5}, {**base, "version": -1}, {**base, "version": "x"}, {**base, "metadata": []},
                  {**base, "agent": "x"}, {**base, "state": "sleepy"}, {**base, "title": "t" * 100000},
                  {**base, "session_id": "not a uuid"}, {**base, "created_at": "yesterday"}, {**base, "message_count": 99},
                  {**base, "metadata": {"deep": eval("[" * 60 + "]" * 60)}}):
        save(s, value)
        got = info(s)
        equal(got["message_count"], 1, repr(value)[:60])
        assert isinstance(got["title"], str) and isinstance(got["version"], int) and isinstance(got["metadata"], dict)
        assert isinstance(got["agent"], dict) and len(got["session_id"]) == 36, got
    following(s)
    equal(info(s)["message_count"], 2)


@case
def agents_switch(w):
    s = make(w + "/s")
    write(s + "/agent", b"claude\n")
    equal(info(s)["agent"]["current"], "claude")
    start = info(s)["agent"]["switch_count"]
    write(s + "/agent", b"codex\n")
    agent = info(s)["agent"]
    equal((agent["current"], agent["switch_count"]), ("codex", start + 1))
    last = agent["history"][-1]
    equal((last["from"], last["to"]), ("claude", "codex"))
    assert {"from", "to", "reason", "timestamp"} <= set(last), last
    write(s + "/agent", b"codex\n")
    equal(info(s)["agent"]["switch_count"], start + 1, "the same name is no switch")


@case
def copies_get_ids_of_their_own(w):
    s = make(w + "/s")
    say(s, "001.md", "question\n")
    got = info(s)
    got["title"] = "The original"
    save(s, got)
    sh("cp", "-a", s, w + "/copy")
    a, b = info(s), info(w + "/copy")
    assert a["session_id"] != b["session_id"], "two sessions of one user with one id"
    equal(a["session_id"], got["session_id"])
    assert a["session_id"] in json.dumps(b) and "copied_from" in json.dumps(b), b
    equal((b["title"], b["message_count"], b["created_at"]), ("The original", 1, a["created_at"]))
    # Once the first is gone, its id is free for a restore.
    keep = read(s + "/session.json")
    sh("rm", "-r", s)
    make(s)
    say(s, "001.md", "question\n")
    save(s, keep)
    equal(info(s)["session_id"], got["session_id"], "a restore takes the id")
    equal(info(s)["created_at"], got["created_at"])


@case
def a_restore_is_byte_for_byte(w):
    s = make(w + "/s")
    for n in range(30):
        following(s, f"---\ntokens: {n}\n---\nmessage {n}\n")
    data, stat = read(s + "/session.json"), os.stat(s + "/session.json")
    sh("cp", "-a", s, "/var/tmp/" + os.path.basename(w) + str(os.getpid()))
    outside = "/var/tmp/" + os.path.basename(w) + str(os.getpid())
    try:
        sh("rm", "-r", s)
        time.sleep(0.01)
        sh("cp", "-a", outside, s)
        equal(read(s + "/session.json"), data)
        equal(os.stat(s + "/session.json").st_mtime_ns, stat.st_mtime_ns)
        sh("rm", "-r", s)
        sh("rsync", "-a", outside + "/", s + "/")
        equal(read(s + "/session.json"), data, "by rsync")
        equal(sh("rsync", "-a", "--itemize-changes", outside + "/", s + "/"), "", "a second rsync sends nothing")
    finally:
        sh("rm", "-r", outside)
    equal(following(s), "031.md")


run(sys.argv[1], only=sys.argv[2:])
