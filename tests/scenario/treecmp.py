"""treecmp.py A B [--skip NAME]… [--no-xattr] [--no-acl] [--no-times] [--no-dir-times]
[--no-top-times]: exits 1 and says where two trees differ.

Names as bytes, types, modes, owners, sizes, contents, times to the nanosecond, symlinks, devices, which
names are one file, attributes, ACLs.
treecmp.py --dump A: the same facts and inode numbers, ctimes, blocks and holes too, a line each.
"""
import argparse
import hashlib
import os
import stat
import sys

ACLS = ("system.posix_acl_access", "system.posix_acl_default")


def attributes(path, want_acl, want_xattr):
    found = {}
    if want_xattr:
        for name in os.listxattr(path, follow_symlinks=False):
            if name not in ACLS and not name.startswith("system.") and name != "security.selinux":
                found[name] = os.getxattr(path, name, follow_symlinks=False)
    if want_acl and not os.path.islink(path):
        for name in ACLS:
            try:
                found[name] = os.getxattr(path, name, follow_symlinks=False)
            except OSError:
                pass
    return found


def digest(path):
    total = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def holes(path, size):
    fd, found, at = os.open(path, os.O_RDONLY), [], 0
    try:
        while at < size:
            try:
                data = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(fd, data, os.SEEK_HOLE)
            found.append((data, at))
    finally:
        os.close(fd)
    return found


def facts(base, opt):
    """{relative name: {fact: value}}"""
    base, tree, links = os.fsencode(base), {}, {}

    def visit(path, relative):
        st = os.lstat(path)
        fact = {"type": stat.S_IFMT(st.st_mode), "mode": oct(stat.S_IMODE(st.st_mode)),
                "owner": (st.st_uid, st.st_gid)}
        is_dir = stat.S_ISDIR(st.st_mode)
        top = relative == b"." and opt.no_top_times
        if not opt.no_times and not (is_dir and opt.no_dir_times) and not top:
            fact["mtime"] = st.st_mtime_ns
        if opt.dump:
            fact.update(ino=st.st_ino, ctime=st.st_ctime_ns, blocks=st.st_blocks, nlink=st.st_nlink)
        if stat.S_ISREG(st.st_mode):
            fact["size"] = st.st_size
            fact["bytes"] = digest(path)
            if opt.dump:
                fact["data"] = holes(path, st.st_size)
        elif stat.S_ISLNK(st.st_mode):
            fact["target"] = os.readlink(path)
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            fact["device"] = st.st_rdev
        if not is_dir and st.st_nlink > 1:
            links.setdefault(st.st_ino, []).append(relative)
        for name, value in attributes(path, not opt.no_acl, not opt.no_xattr).items():
            fact["xattr " + name] = value
        tree[relative] = fact
        if is_dir:
            for name in sorted(os.listdir(path)):
                if os.fsdecode(name) not in opt.skip:
                    visit(os.path.join(path, name), os.path.join(relative, name))

    visit(base, b".")
    for names in links.values():
        for name in names:
            tree[name]["same file as"] = tuple(sorted(names))
    return tree


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", nargs="+")
    parser.add_argument("--skip", action="append", default=[])
    for flag in ("no-xattr", "no-acl", "no-times", "no-dir-times", "no-top-times", "dump"):
        parser.add_argument("--" + flag, action="store_true")
    opt = parser.parse_args()
    if opt.dump:
        for name, fact in sorted(facts(opt.tree[0], opt).items()):
            print(name, sorted(fact.items()))
        return
    a, b = (facts(tree, opt) for tree in opt.tree)
    differences = [f"only in {opt.tree[0]}: {n!r}" for n in sorted(a.keys() - b.keys())]
    differences += [f"only in {opt.tree[1]}: {n!r}" for n in sorted(b.keys() - a.keys())]
    for name in sorted(a.keys() & b.keys()):
        for fact in sorted(a[name].keys() | b[name].keys()):
            if a[name].get(fact) != b[name].get(fact):
                differences.append(f"{name!r}: {fact}: {a[name].get(fact)!r:.200} != {b[name].get(fact)!r:.200}")
    for line in differences[:30]:
        print(line)
    if differences:
        print(f"{len(differences)} differences")
        sys.exit(1)


main()
