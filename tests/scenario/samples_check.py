"""samples_check.py USERS WORKFLOW: session.json and the messages' attributes against a recomputation."""
import json
import os
import re
import sys
from datetime import datetime, timezone

users, workflow = sys.argv[1:]
problems, seen = [], set()
MILLIS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def stamp(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def squash(text):
    return " ".join(text.split())


def wrong(session, text):
    problems.append(f"{session}: {text}")


def title_fits(title, content):
    """50 code points of the first user message, `...` where cut."""
    whole, first = squash(content), squash(content.strip().splitlines()[0])
    if title in (whole, first) and len(title) <= 50:
        return True
    base = title[:-3] if title.endswith("...") else None
    return base is not None and len(base) <= 50 and len(base) >= 40 and whole.startswith(squash(base))


for name in sorted(os.listdir(workflow)):
    folder = os.path.join(workflow, name)
    messages = []
    for entry in sorted(os.listdir(os.path.join(folder, "messages"))):
        path = os.path.join(folder, "messages", entry)
        with open(path, encoding="utf-8") as f:
            _, front, content = f.read().split("---\n", 2)
        fields = dict(line.split(": ", 1) for line in front.splitlines())
        messages.append((entry, path, fields, content))
    info = json.load(open(os.path.join(folder, "session.json"), encoding="utf-8"))
    meta = info["metadata"]
    if info["message_count"] != len(messages):
        wrong(name, f"message_count {info['message_count']}, {len(messages)} files")
    if info["user_id"] != "paul" or info["workflow_type"] != "aider":
        wrong(name, f"user_id {info['user_id']}, workflow_type {info['workflow_type']}")
    if not UUID.match(info["session_id"]) or info["session_id"] in seen:
        wrong(name, f"session_id {info['session_id']} is no UUID of its own")
    seen.add(info["session_id"])
    for key, value in (("created_at", info["created_at"]), ("updated_at", info["updated_at"]),
                       ("last_activity", meta["last_activity"])):
        if not MILLIS.match(value):
            wrong(name, f"{key} is {value!r}, RFC 3339 in UTC with milliseconds expected")
    newest = max(stamp(fields["timestamp"]) for _, _, fields, _ in messages)
    if stamp(meta["last_activity"]) != newest:
        wrong(name, f"last_activity {meta['last_activity']}, newest message {newest.isoformat()}")
    if not isinstance(meta["total_tokens"], int) or not isinstance(info["version"], int):
        wrong(name, "total_tokens or version is no integer")
    if sorted(info["agent"]) != ["current", "history", "switch_count"]:
        wrong(name, f"agent has {sorted(info['agent'])}")
    st = os.stat(os.path.join(folder, "session.json"))
    if abs(st.st_mtime - stamp(info["updated_at"]).timestamp()) > 0.0011:
        wrong(name, f"mtime of session.json {st.st_mtime}, updated_at {info['updated_at']}")
    first = next((content for _, _, fields, content in messages if fields["role"] == "user"), None)
    if first is None:
        if info["title"] != "Chat " + info["session_id"][:8]:
            wrong(name, f"title {info['title']!r} without a user message")
    elif not title_fits(info["title"], first):
        wrong(name, f"title {info['title']!r} of {first[:80]!r}")
    for entry, path, fields, _ in messages:
        role = os.getxattr(path, "user.scribefs.role").decode()
        if role != fields["role"]:
            wrong(name, f"{entry}: role {role!r}, {fields['role']!r} expected")
        if os.getxattr(path, "user.scribefs.name").decode() != entry:
            wrong(name, f"{entry}: user.scribefs.name is another")
        when = stamp(fields["timestamp"]).replace(tzinfo=timezone.utc).timestamp()
        if os.stat(path).st_mtime != when:
            wrong(name, f"{entry}: mtime {os.stat(path).st_mtime}, its timestamp is {when}")

for line in problems[:20]:
    print(line)
print(f"{len(problems)} problems in {len(seen)} sessions")
sys.exit(1 if problems or len(seen) != 983 else 0)
