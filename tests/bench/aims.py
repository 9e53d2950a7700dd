"""What is aimed at, row by row; every figure is a cost: less is better.

An aim is a function of the row's medians by system and of the disk's flush; it returns what scribefs may cost at
most and why, or None where what it is compared with was not measured.
"""
from fuse_requests import WALKS, show

CIPHERS = ("gocryptfs", "securefs", "cryfs", "encfs")


def fastest_peer(median):
    """The name of the fastest encrypted peer, or None."""
    peers = [name for name in CIPHERS if name in median]
    return min(peers, key=lambda name: median[name]) if peers else None


def by_floor(factor):
    def aim(median, _):
        if "floor" not in median:
            return None
        return factor * median["floor"], f"at most {factor:g} × the floor"
    return aim


def by_best(median, _):
    peer = fastest_peer(median)
    best = [median[name] for name in (peer, "floor") if name in median]
    return (1.3 * min(best), "at most 1.3 × the better of floor and fastest peer") if best else None


def by_flush(median, flush):
    if "floor" not in median or flush is None:
        return None
    return median["floor"] + 1.5 * flush, "at most the floor and 1.5 × an fdatasync of the disk"


def by_system(name, factor, text):
    def aim(median, _):
        return (median[name] / factor, text) if name in median else None
    return aim


def by_peer(factor, text):
    def aim(median, _):
        peer = fastest_peer(median)
        return (median[peer] / factor, text) if peer else None
    return aim


def general(median, _):
    peer = fastest_peer(median)
    if not peer:
        return None
    if "floor" in median and median["floor"] <= median[peer] / 2:
        return median[peer] / 2.5, "2.5 × as fast as the fastest peer (the floor is at most half of it)"
    return median[peer], "faster than every encrypted peer"


def at_most(limit, text):
    return lambda median, _: (limit, text)


TWICE = by_peer(2, "2 × as fast as the fastest peer")
PEER = by_peer(1, "not slower than the fastest peer")
AIMS = {
    "create": by_floor(1.3), "delete": by_floor(1.3), "untar": by_floor(1.3),
    "stream": by_best, "echo": by_best,
    "durable": by_flush, "save": by_flush,
    "writers": by_system("gocryptfs", 6, "6 × as fast as gocryptfs"),
    "stat": by_system("disk", 1 / 1.5, "at most 1.5 × the disk's own filesystem"),
    "rsync-none": by_system("disk", 1 / 1.5, "at most 1.5 × the disk's own filesystem"),
    "read": TWICE, "grep": TWICE, "tar": TWICE,
    "big-read": PEER, "random-read": PEER, "random-write": PEER,
    "big-write": by_peer(0.6, "0.6 × as fast as the fastest peer"),
    "space": by_system("gocryptfs", 2, "at most half of gocryptfs'"),
    "peak": at_most(200 * 1024, "at most 200 MB"),
    "memory": at_most(50 * 1024, "under 50 MB"),
}


def judge(row, median, flush, notes):
    """(met, text) of scribefs in a row; met is None where nothing can be said."""
    if row in ("warm-stat", "warm-read"):
        return judge_requests(notes.get("scribefs, " + row.replace("-", " ")))
    if "scribefs" not in median:
        return None, "not measured"
    if row == "cpu":
        aim = by_peer(1, "less than every encrypted peer")(median, flush)
    else:
        aim = AIMS.get(row, general)(median, flush)
    if aim is None:
        return None, "not measured: what it is compared with is missing"
    return median["scribefs"] <= aim[0], aim[1]


def judge_requests(counts):
    text = "no LOOKUP, GETATTR or READ reaches the daemon"
    if counts is None:
        return None, text + " (not counted: no strace)"
    wrong = {name: n for name, n in counts.items() if name in WALKS}
    return not wrong, f"{text} ({show(wrong)} of them; all requests: {show(counts)})"
