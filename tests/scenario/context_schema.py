#!/usr/bin/env python3
"""context_schema.py SCHEMA FILE SEED N: a validator that is not ours, and the mount, agree on N documents.

Each is a good one with a few random changes, saved as FILE, a context.json in a mount. What it reads as must be what was
saved, and user.scribefs.reason must be there just where the validator of SCHEMA finds an error. Prints how many were good.
"""
import copy
import json
import os
import random
import sys

import jsonschema

GOOD = {
    "agent": {"type": "coder", "capabilities": ["c", "shell"], "specialization": "filesystems"},
    "context": {
        "currentTask": {"id": "T-7", "title": "Port the parser", "status": "in progress", "dependencies": ["src/a.c", 3]},
        "currentPhase": "implementation",
        "workingDirectory": "/home/ann/parser",
        "activeFiles": ["src/a.c", {"path": "src/b.c", "size": 120, "mtime": "2026-11-21T10:30:00.25+01:00",
                                    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                        {"path": "c", "mtime": 1795257000.5}],
        "conversationSummary": "We chose a hand-written parser.\nThe lexer is done.",
        "keyDecisions": [{"decision": "recursive descent", "rationale": "readable"}, "no generator"],
    },
    "state": {"completedSteps": ["lexer", 2], "currentStep": {"step": "grammar", "status": "open"},
              "nextSteps": [{"title": "tests", "dependsOn": "grammar"}, "docs"], "blockers": [], "progress": "40 %"},
    "projectState": {"currentPhase": "beta", "activeTasks": [{"id": 7, "name": "Port", "reason": "old one is slow"}],
                     "recentCompletions": ["lexer"], "projectHealth": {"score": 0.8}, "criticalIssues": None},
    "conversationContext": {"topic": "parsers", "subTopic": "errors", "technicalFocus": ["C", "UTF-8"],
                            "recentDiscussions": [{"topic": "recovery", "summary": "later"}]},
    "codeContext": {"lastModifiedFiles": ["src/a.c"], "workingBranch": "main", "pendingChanges": ["a.c"],
                    "buildStatus": "ok"},
    "aiAgentState": {"mood": ["calm"]},
    "own": {"anything": [1, {"deep": None}]},
}
VALUES = [None, True, False, 0, 1, -1, 2.0, 2.5, 1e20, "", "text", "é\n\"", [], ["a"], [1, None], [{}], [[1]], {}, {"a": 1},
          {"path": ""}, {"path": "x"}, {"path": "x", "size": -1}, {"path": "x", "size": 1.5}, {"path": "x", "size": 3.0},
          {"path": "x", "mtime": -1}, {"path": "x", "mtime": "2026-11-21"}, {"path": "x", "mtime": "2026-11-21T10:30:00Z"},
          {"path": "x", "mtime": "9999-99-99t99:99:99+99:99"}, {"path": "x", "sha256": "0" * 63},
          {"path": "x", "sha256": "A" * 64}, {"title": 1}, {"status": None}, {"id": 1}, {"id": "x"}, {"id": []},
          {"dependencies": "x"}, {"dependencies": ["x", 1]}, {"dependencies": [None]}, {"dependsOn": {}}]


def places(value, parent=None, key=None):
    """All (parent, key) in the document."""
    if parent is not None:
        yield parent, key
    if isinstance(value, dict):
        for k in list(value):
            yield from places(value[k], value, k)
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from places(value[i], value, i)


def change(document, rng):
    parent, key = rng.choice(list(places(document)))
    how = rng.random()
    if how < 0.7:
        parent[key] = copy.deepcopy(rng.choice(VALUES))
    elif how < 0.85:
        del parent[key]
    elif isinstance(parent, list):
        parent.append(copy.deepcopy(rng.choice(VALUES)))
    else:
        parent[rng.choice(["id", "title", "status", "dependencies", "path", "size", "x"])] = copy.deepcopy(
            rng.choice(VALUES))


def reason(path):
    try:
        return os.getxattr(path, "user.scribefs.reason").decode()
    except OSError:
        return None


def main():
    schema = json.load(open(sys.argv[1], encoding="utf-8"))
    path, rng, n = sys.argv[2], random.Random(sys.argv[3]), int(sys.argv[4])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = 0
    for i in range(n):
        document = copy.deepcopy(GOOD)
        for _ in range(0 if i == 0 else rng.choice([1, 1, 1, 2, 3])):
            change(document, rng)
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        if open(path, encoding="utf-8").read() != text:
            sys.exit(f"it reads otherwise: {text}")
        error = jsonschema.exceptions.best_match(validator.iter_errors(document))
        ours = reason(path)
        if (error is None) != (ours is None):
            sys.exit(f"ours: {ours}; validator: {error and error.message}\n{text}")
        good += error is None
    print(f"{good} of {n} documents are good")


main()
