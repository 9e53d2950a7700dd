"""Looks for what must not be there. Prints what it finds, a line each; exit status 0 found, 1 nothing.

words LIST PATH…     words of the file LIST (a line each), and plain hashes of them, in all files below PATH…
keys KEYS PATH…      keys (lines of hexadecimal and a name) in all files below PATH…
memory KEYS PID      keys in the process's memory, outside of what is locked and kept from core dumps
"""
import base64
import hashlib
import os
import re
import sys

M = 0xFFFFFFFFFFFFFFFF


def siphash(data, wide):
    """SipHash-2-4 under a key of zeros: 8 bytes, or 16."""
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]
    rot = lambda x, n: (x << n | x >> (64 - n)) & M

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M
            v[1] = rot(v[1], 13) ^ v[0]
            v[0] = rot(v[0], 32)
            v[2] = (v[2] + v[3]) & M
            v[3] = rot(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M
            v[3] = rot(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M
            v[1] = rot(v[1], 17) ^ v[2]
            v[2] = rot(v[2], 32)

    if wide:
        v[1] ^= 0xEE
    tail = data[len(data) // 8 * 8:]
    blocks = [data[i:i + 8] for i in range(0, len(data) // 8 * 8, 8)]
    blocks.append(tail + bytes(7 - len(tail)) + bytes([len(data) & 0xFF]))
    for block in blocks:
        m = int.from_bytes(block, "little")
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xEE if wide else 0xFF
    rounds(4)
    out = (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    if wide:
        v[1] ^= 0xDD
        rounds(4)
        out += (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    return out


HASHES = {
    "sha256": lambda d: hashlib.sha256(d).digest(),
    "sha1": lambda d: hashlib.sha1(d).digest(),
    "md5": lambda d: hashlib.md5(d).digest(),
    "blake2b-512": lambda d: hashlib.blake2b(d).digest(),
    "blake2b-256": lambda d: hashlib.blake2b(d, digest_size=32).digest(),
    "blake2b-128": lambda d: hashlib.blake2b(d, digest_size=16).digest(),
    "siphash": lambda d: siphash(d, False),
    "siphash-128": lambda d: siphash(d, True),
}


def self_test():
    """As libsodium has them under the same key."""
    assert siphash(b"", False).hex() == "d70077739d4b921e"
    assert siphash(b"abc", True).hex() == "6c95dec302962fa8ca5e69c1d5d15478"


def needles_of_words(words):
    needles = {}
    for word in words:
        for text in {word, word.lower(), word + "\n"}:
            data = text.encode()
            for name, function in HASHES.items():
                digest = function(data)
                first = digest[:8]
                number = int.from_bytes(first, "big")
                forms = {first, first[::-1], first.hex().encode(), first.hex().upper().encode(),
                         base64.b64encode(digest)[:10]}
                # A directory entry's key has 55 bits of a name's hash in this place (kv/FORMAT.md).
                forms.add((1 << 62 | number >> 9 << 7).to_bytes(8, "big"))
                for form in forms:
                    needles[form] = f"{name} of {text!r}"
    return needles


def files_below(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for folder, _, names in os.walk(path):
            for name in names:
                if os.path.isfile(os.path.join(folder, name)):
                    yield os.path.join(folder, name)


def scan_files(paths, needles, words=()):
    found = False
    pattern = re.compile(b"|".join(re.escape(w.encode()) for w in words), re.I) if words else None
    for path in files_below(paths):
        with open(path, "rb") as f:
            data = f.read()
        for place in (data, os.fsencode(path)):
            hit = pattern.search(place) if pattern else None
            if hit:
                print(f"{path}: {hit.group()!r}")
                found = True
            for needle, what in needles.items():
                if needle in place:
                    print(f"{path}: {what}")
                    found = True
    return found


def read_keys(path):
    """Any sixteen bytes of a key in a row that begin at a multiple of eight."""
    needles = {}
    with open(path) as f:
        for line in f:
            text, name = line.split()
            key = bytes.fromhex(text)
            for at in range(0, len(key) - 15, 8):
                needles[key[at:at + 16]] = f"bytes {at}–{at + 15} of a key: {name}"
    return needles


def mappings(pid):
    """(start, end, path, flags) of what can be read."""
    start = None
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+ *(.*)", line)
            if head:
                start, end = int(head[1], 16), int(head[2], 16)
                readable, path = head[3][0] == "r", head[4]
            elif line.startswith("VmFlags:") and readable:
                yield start, end, path, line.split()[1:]


def scan_memory(pid, needles):
    found, kept = False, 0
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end, path, flags in mappings(pid):
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError):
                continue  # [vvar] and its like
            safe = "lo" in flags and "dd" in flags
            for needle, what in needles.items():
                at = data.find(needle)
                if at < 0:
                    continue
                kept += safe
                if not safe:
                    print(f"{start + at:x} {path or 'anonymous'} ({' '.join(flags)}): {what}")
                    found = True
    if kept == 0:
        print("no key is in the locked pages either: the search does not work")
        return True
    return found


def main():
    self_test()
    verb, first, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if verb == "words":
        with open(first) as f:
            words = f.read().split("\n")[:-1]
        found = scan_files(rest, needles_of_words(words), words)
    elif verb == "keys":
        needles = read_keys(first)
        needles.update({n.hex().encode(): what for n, what in needles.items()})
        found = scan_files(rest, needles)
    else:
        found = scan_memory(int(rest[0]), read_keys(first))
    return 0 if found else 1


sys.exit(main())
