"""sqlite_work.py DB make MODE | write NAME COUNT | watch PID PID | count | stall FLAG"""
import os
import sqlite3
import sys
import time

path, verb, *rest = sys.argv[1:]
db = sqlite3.connect(path, timeout=120, isolation_level=None)


def alive(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"


if verb == "make":
    got = db.execute(f"pragma journal_mode={rest[0]}").fetchone()[0]
    assert got == rest[0], f"journal_mode is {got}"
    db.execute("create table t (id integer primary key, who text, n integer, filler blob, unique (who, n))")
elif verb == "write":
    for n in range(int(rest[1])):
        db.execute("begin immediate")
        db.execute("insert into t (who, n, filler) values (?, ?, randomblob(900))", (rest[0], n))
        db.execute("update t set filler = randomblob(1100) where id = (select min(id) from t where n % 7 = ?)", (n % 7,))
        db.execute("commit")
elif verb == "watch":
    last = 0
    while True:
        running = any(os.path.exists(f"/proc/{p}") and alive(p) for p in rest)
        count, = db.execute("select count(*) from t").fetchone()
        assert count >= last, f"rows went from {last} to {count}"
        last = count
        found = db.execute("pragma quick_check").fetchall()
        assert found == [("ok",)], found
        if not running:
            break
        time.sleep(0.05)
elif verb == "count":
    print(*db.execute("select count(*) from t").fetchone(), *db.execute("pragma integrity_check").fetchone())
elif verb == "stall":
    db.execute("pragma cache_size=5")
    db.execute("begin immediate")
    db.execute("update t set filler = randomblob(3000)")
    open(rest[0], "w").close()
    time.sleep(1000)
