#!/usr/bin/env python3
"""exports_check.py MNT [--only SESSION] [--memory-size N] [--memory-tokens N]: recomputes what the documents of
exports/ say from the files in users/ alone, and compares."""
import argparse
import base64
import json
import os
import re
import sys
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frontmatter as front

ROLES = ("user", "assistant", "system", "tool")
FAULTS = []


def same(what, expected, actual):
    if expected != actual:
        FAULTS.append(f"{what}: expected {expected!r:.300}, got {actual!r:.300}")


def stamp(seconds_ns):
    seconds, ns = divmod(seconds_ns, 10**9)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns // 10**6:03d}Z"


def xattr(path, name):
    try:
        return os.getxattr(path, f"user.scribefs.{name}").decode("utf-8", "surrogateescape")
    except OSError:
        return None


class Message:
    def __init__(self, path, number, archived):
        self.path, self.number, self.archived = path, number, archived
        self.bytes = open(path, "rb").read()
        self.header, fields = front.split(self.bytes)
        self.content = self.bytes[self.header:]
        self.role = fields.get("role") if fields.get("role") in ROLES else "user"
        self.agent, self.model, self.id = (fields.get(k) or None for k in ("agent", "model", "id"))
        self.name, self.call = fields.get("name"), fields.get("tool_call_id") or None
        tokens = fields.get("tokens", "")
        self.estimated = not (tokens.isdigit() and len(tokens) <= 15)
        self.tokens = (len(self.content) + 3) // 4 if self.estimated else int(tokens)
        self.text = decode(self.content)

    def expect(self, where, got, counts=False, archive=False):
        same(f"{where} role", self.role, got["role"])
        same(f"{where} content", self.text, got["content"])
        same(f"{where} number", self.number, got["number"])
        same(f"{where} tokens", (self.tokens, self.estimated), (got["tokens"], got["tokens_estimated"]))
        same(f"{where} agent and model", (self.agent, self.model), (got["agent"], got["model"]))
        if self.id:
            same(f"{where} id", self.id, got["id"])
        names = [n for n in (self.name, self.agent) if n and re.fullmatch("[a-zA-Z0-9_-]{1,64}", n)]
        same(f"{where} name", names[0] if names else None, got.get("name"))
        same(f"{where} tool_call_id", self.call if self.role == "tool" else None, got.get("tool_call_id"))
        if not self.archived:
            for key in ("id", "timestamp", "role") + (("size", "links", "code_blocks") if counts else ()):
                value = None if got[key] is None else str(got[key])
                same(f"{where} {key} as the file has it", xattr(self.path, key), value)
        if counts:
            same(f"{where} size", len(self.bytes), got["size"])
            fences = re.findall(r"^(```|~~~)", self.text, re.M)
            if got["code_blocks"] is not None and "`" not in self.text.replace("```", "") and fences and \
                    len(fences) % 2 == 0 and not re.search(r"^( {4}|\t|[->*<])", self.text, re.M):
                same(f"{where} code blocks", len(fences) // 2, got["code_blocks"])


def decode(data):
    """UTF-8 where what is none is U+FFFD, byte by byte, as the documents have it."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return re.sub("[\udc80-\udcff]", "\ufffd", data.decode("utf-8", "surrogateescape"))


def messages_of(session):
    found = []
    for folder, archived in (("messages/archive", True), ("messages", False)):
        path = os.path.join(session, folder)
        for name in os.listdir(path) if os.path.isdir(path) else ():
            m = re.fullmatch(r"(\d{3}|[1-9]\d{3,8})\.md", name)
            if m and int(m[1]) and os.path.isfile(os.path.join(path, name)):
                found.append(Message(os.path.join(path, name), int(m[1]), archived))
    return sorted(found, key=lambda m: (m.number, not m.archived))


def load(path):
    data = open(path, "rb").read()
    same(f"{path} st_size", os.stat(path).st_size, len(data))
    return json.loads(data)


def check_list(where, expected, got, **kind):
    same(f"{where} length", len(expected), len(got))
    for m, g in zip(expected, got):
        m.expect(f"{where} {m.number}", g, **kind)


def remembered(messages, size, budget):
    first, tokens = len(messages), 0
    while first and len(messages) - first < size and tokens + messages[first - 1].tokens <= budget:
        first -= 1
        tokens += messages[first].tokens
    while first < len(messages) and messages[first].role in ("assistant", "tool"):
        first += 1
    return messages[first:]


def check_transcript(document, messages, session):
    check_list("transcript.json", messages, document["messages"], counts=True)
    same("transcript.json session", session, document["session"])
    for m, got in zip(messages, document["messages"]):
        whole = got.get("header", "").encode() + got["content"].encode()
        if "base64" in got:
            whole = base64.b64decode(got["base64"], validate=True)
        same(f"transcript.json {m.number} is lossless", m.bytes, whole)
        same(f"transcript.json {m.number} file", os.path.relpath(m.path, m.path.split("/messages/")[0]), got["file"])


def check_files(document, path):
    """What is no message stands in files: all names, and the bytes of regular files."""
    expected = {"."}
    for root, dirs, names in os.walk(path):
        expected |= {os.path.relpath(os.path.join(root, name), path) for name in dirs + names}
    in_messages = {m["file"] for m in document["messages"]}
    got = {f["path"] if "path" in f else os.fsdecode(base64.b64decode(f["path_base64"])): f for f in document["files"]}
    same("transcript.json files", sorted(expected - in_messages), sorted(got.keys() - in_messages))
    for name, f in got.items():
        full = os.path.join(path, name)
        if f["type"] != "file" or name == "session.json" or "same_as" in f:
            continue
        held = f["text"].encode() if "text" in f else base64.b64decode(f["base64"], validate=True)
        same(f"transcript.json {name}", open(full, "rb").read(), held)
        same(f"transcript.json {name} size and mode", (os.stat(full).st_size, f"{os.stat(full).st_mode & 0o7777:04o}"),
             (f["size"], f["mode"]))


def plain(text):
    """What a terminal may get."""
    text = text.replace("\r", "")
    text = re.sub("[\x00-\x08\x0b-\x1f]", lambda c: chr(0x2400 + ord(c[0])), text)
    return re.sub("[\x80-\x9f]", "\ufffd", text.replace("\x7f", "\u2421"))


def line(text):
    text = re.sub("[\n\t\r]", " ", text)
    return plain(re.sub("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", "", text))


INVISIBLE = "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
SEPARATOR = re.compile("(^|[\n\u2028\u2029])(" + "".join(INVISIBLE + c for c in "--- ") + r"(?:\\|%s)*)(?=[0-9])" % INVISIBLE[:-1])


def no_separator(text):
    """The lines of a message: none begins as a message does."""
    return SEPARATOR.sub(r"\1\2\\", text)


def check_txt(text, messages, session):
    expected = f"{line(session['title'])}\n{session['session_id']}, {session['created_at']}\n"
    for m in messages:
        facts = [str(m.number), m.role, m.shown] + [line(f) for f in (m.agent, m.model) if f]
        tail = m.content
        for cut in (1, 2, 3):  # an unfinished character at the end
            try:
                if len(tail) >= cut:
                    tail[-cut:].decode()
            except UnicodeDecodeError as e:
                if e.reason == "unexpected end of data":
                    tail = tail[:-cut]
                    break
        expected += ("\n" if expected.endswith("\n") else "\n\n") + f"--- {', '.join(facts)}\n\n"
        expected += no_separator(plain(decode(tail)))
    same("transcript.txt", expected, text)


def indented(body):
    """As code by indentation: a line with a heading of ours in it may not pass for one."""
    return "".join("    " + part for part in re.split(r"(?<=\n)|(?<=\r)(?!\n)", body) if part)


def check_md(text, messages):
    headings = re.findall(r"(?:^|[\r\n])## (\d+) · (user|assistant|system|tool|unreadable)", text)
    same("transcript.md lines that are headings", [(str(m.number), m.role) for m in messages], headings)
    at = 0
    for m in messages:
        heading = f"\n## {m.number} · {m.role} · {m.shown}"
        found = text.find(heading, at)
        if found < 0:
            FAULTS.append(f"transcript.md has no {heading!r}")
            return
        at = found + len(heading)
        body = m.text if len(m.content) <= 1 << 20 else None
        place = text[at:at + 4 * len(body or "") + 5000]
        if body and "\ufffd" not in body and body not in place and indented(body) not in place:
            FAULTS.append(f"transcript.md {m.number}: content is not as it was written")


def check_session(path, export, args):
    session = json.load(open(f"{path}/session.json"))
    messages = messages_of(path)
    total = len(messages)
    jsonl = [json.loads(text) for text in open(f"{export}/messages.jsonl", encoding="utf-8", newline="\n")]
    check_list("messages.jsonl", messages, jsonl, counts=True)
    for m, got in zip(messages, jsonl):
        m.shown = got["timestamp"]
    document = load(f"{export}/transcript.json")
    check_transcript(document, messages, session)
    check_files(document, path)
    check_txt(open(f"{export}/transcript.txt", "rb").read().decode("utf-8"), messages, session)
    check_md(open(f"{export}/transcript.md", "rb").read().decode("utf-8", "replace"), messages)
    page = open(f"{export}/transcript.html", "rb").read()
    same("transcript.html st_size", os.stat(f"{export}/transcript.html").st_size, len(page))
    same("transcript.html articles", total, page.count(b"\n<article id="))
    same("transcript.html rows", total, page.count(b"<tr><td><a href=\"#m"))
    agent = session["agent"]
    history = load(f"{export}/history.json")
    check_list("history.json", messages, history["messages"])
    same("history.json facts",
         (session["session_id"], session["message_count"], total, session["metadata"]["last_activity"], agent["current"],
          agent["history"]),
         tuple(history[k] for k in ("session_id", "message_count", "total", "last_activity", "current_agent", "agent_history")))
    switches = agent["history"]
    same("agent.json", {
        "session_id": session["session_id"], "current_agent": agent["current"], "agent_history": switches,
        "switch_count": agent["switch_count"], "created_at": session["created_at"],
        "last_switch_at": switches[-1]["timestamp"] if switches else None,
        "context_metadata": {k: v for k, v in session["metadata"].items() if k not in ("total_tokens", "last_activity", "compressed")},
    }, load(f"{export}/agent.json"))
    names = [f"{at:05d}-{at + 49:05d}.json" for at in range(0, total, 50)]
    same("history/", names, sorted(os.listdir(f"{export}/history")))
    for i, name in enumerate(names):
        part = load(f"{export}/history/{name}")
        check_list(f"history/{name}", messages[i * 50:i * 50 + 50], part["messages"])
        same(f"history/{name}", (i * 50, 50, total, i * 50 + 50 < total),
             tuple(part[k] for k in ("offset", "limit", "total", "has_more")))
    kept = remembered(messages, args.memory_size, args.memory_tokens)
    memory = load(f"{export}/memory.json")
    check_list("memory.json", kept, memory["last_messages"])
    same("memory.json facts", (session["session_id"], len(kept), args.memory_size, args.memory_tokens),
         (memory["session_id"], memory["memory_size"], memory["memory_metadata"]["max_messages"],
          memory["memory_metadata"]["token_limit"]))
    store = load(f"{export}/chat_store.json")
    same("chat_store.json key", [session["session_id"]], list(store["store"]))
    same("chat_store.json", [(m.role, m.text, m.text) for m in kept],
         [(g["role"], g["content"], g["blocks"][0]["text"]) for g in store["store"][session["session_id"]]])
    return session


def check_folder(export, sessions, prefix):
    chosen = sorted((s for s in sessions if s["path"].startswith(prefix)),
                    key=lambda s: (s["last_activity"], [-c for c in os.fsencode(s["path"])]), reverse=True)
    got = load(f"{export}/sessions.json")
    same(f"{export}/sessions.json", sorted(chosen, key=lambda s: s["path"]),
         sorted(got["sessions"], key=lambda s: s["path"]))
    times = [s["last_activity"] for s in got["sessions"]]
    same(f"{export}/sessions.json order", sorted(times, reverse=True), times)
    same(f"{export}/sessions.json total", len(chosen), got["total"])
    pages = max(1, -(-len(chosen) // 20))
    same(f"{export}/pages", [f"{n:03d}.json" for n in range(1, pages + 1)], sorted(os.listdir(f"{export}/pages")))
    paged = []
    for n in range(1, pages + 1):
        page = load(f"{export}/pages/{n:03d}.json")
        paged += page["sessions"]
        same(f"{export}/pages/{n:03d}", (len(chosen), n, 20, pages),
             tuple(page[k] for k in ("total", "page", "page_size", "total_pages")))
    same(f"{export}/pages together", got["sessions"], paged)
    index = open(f"{export}/index.html", "rb").read()
    same(f"{export}/index.html st_size", os.stat(f"{export}/index.html").st_size, len(index))
    same(f"{export}/index.html items", len(chosen), index.count(b"<li data-state="))


def folders(path):
    return sorted(e.name for e in os.scandir(path) if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mount")
    parser.add_argument("--only")
    parser.add_argument("--memory-size", type=int, default=50)
    parser.add_argument("--memory-tokens", type=int, default=8000)
    args = parser.parse_args()
    users, exports, listed = f"{args.mount}/users", f"{args.mount}/exports", []
    for user in folders(users):
        for workflow in folders(f"{users}/{user}"):
            for name in folders(f"{users}/{user}/{workflow}"):
                if args.only and name != args.only:
                    continue
                path = f"{user}/{workflow}/{name}"
                before = len(FAULTS)
                s = check_session(f"{users}/{path}", f"{exports}/{path}", args)
                FAULTS[before:] = [f"{path}: {fault}" for fault in FAULTS[before:]]
                listed.append({"session_id": s["session_id"], "title": s["title"], "state": s["state"],
                               "message_count": s["message_count"], "created_at": s["created_at"],
                               "last_activity": s["metadata"]["last_activity"],
                               "current_agent": s["agent"]["current"], "path": path})
            if not args.only:
                check_folder(f"{exports}/{user}/{workflow}", listed, f"{user}/{workflow}/")
        if not args.only:
            check_folder(f"{exports}/{user}", listed, f"{user}/")
    if not args.only:
        check_folder(exports, listed, "")
    for fault in FAULTS[:30]:
        print(fault)
    print(f"{len(listed)} sessions, {len(FAULTS)} faults")
    sys.exit(bool(FAULTS))


if __name__ == "__main__":
    main()
