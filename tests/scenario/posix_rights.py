"""posix_rights.py DIR: owners, modes, umask, ACLs, sticky and setgid folders, suid bits, as several users."""
import errno
import os
import stat
import struct
import sys

from checks import Skip, as_user, case, equal, exists, fails, open_to_all, read, run, write

ANN, BOB, TEAM = 21001, 21002, 21900
NOBODY = 0xFFFFFFFF
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def entries(path, kind="access"):
    data = os.getxattr(path, f"system.posix_acl_{kind}")
    return [struct.unpack_from("<HHI", data, 4 + 8 * n) for n in range((len(data) - 4) // 8)]


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


@case
def umask_applies(d):
    for mask in (0, 0o022, 0o027, 0o077):
        old = os.umask(mask)
        try:
            write(f"{d}/f{mask:o}", mode=0o666)
            os.mkdir(f"{d}/d{mask:o}", 0o777)
            os.mkfifo(f"{d}/p{mask:o}", 0o666)
        finally:
            os.umask(old)
        equal((mode(f"{d}/f{mask:o}"), mode(f"{d}/d{mask:o}"), mode(f"{d}/p{mask:o}")),
              (0o666 & ~mask, 0o777 & ~mask, 0o666 & ~mask), f"umask {mask:o}")


@case
def chmod_sets_all_bits(d):
    write(d + "/f")
    os.mkdir(d + "/d")
    for bits in (0, 0o400, 0o777, 0o1777, 0o4755, 0o2755, 0o6711, 0o7777):
        os.chmod(d + "/f", bits)
        os.chmod(d + "/d", bits)
        equal((mode(d + "/f"), mode(d + "/d")), (bits, bits))
    fails(errno.ENOENT, os.chmod, d + "/missing", 0o600)


@case
def a_descriptor_outlives_the_mode(d):
    # As git makes its objects: created 0444, written through the descriptor.
    def work():
        fd = os.open(d + "/object", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o444)
        os.write(fd, b"written")
        os.ftruncate(fd, 5)
        os.fchmod(fd, 0)
        os.write(fd, b"x")
        equal(os.pread(fd, 5, 0), b"writt")
        os.close(fd)
        fails(errno.EACCES, os.open, d + "/object", os.O_RDONLY)

    open_to_all(d)
    as_user(ANN, work)


@case
def other_users_get_what_the_mode_says(d):
    need_root()
    open_to_all(d)

    def ann():
        write(d + "/private", b"secret", mode=0o600)
        write(d + "/shown", b"shown", mode=0o644)
        write(d + "/team", b"team", mode=0o640)
        os.chown(d + "/team", -1, TEAM)
        os.mkdir(d + "/closed", 0o700)
        write(d + "/closed/f", b"x")
        os.mkdir(d + "/pass", 0o711)
        write(d + "/pass/known", b"x")

    as_user(ANN, ann, groups=[TEAM])
    st = os.stat(d + "/private")
    equal((st.st_uid, st.st_gid), (ANN, ANN))

    def bob():
        fails(errno.EACCES, open, d + "/private")
        equal(read(d + "/shown"), b"shown")
        fails(errno.EACCES, os.open, d + "/shown", os.O_WRONLY)
        fails(errno.EACCES, os.truncate, d + "/shown", 0)
        fails(errno.EACCES, open, d + "/team")
        fails(errno.EACCES, os.listdir, d + "/closed")
        fails(errno.EACCES, os.stat, d + "/closed/f")
        fails(errno.EACCES, os.listdir, d + "/pass")
        equal(read(d + "/pass/known"), b"x")
        fails(errno.EACCES, write, d + "/pass/new")
        fails(errno.EACCES, os.unlink, d + "/pass/known")
        fails(errno.EPERM, os.chmod, d + "/shown", 0o666)
        fails(errno.EPERM, os.chown, d + "/shown", BOB, -1)
        fails(errno.EPERM, os.utime, d + "/shown", ns=(1, 1))
        fails(errno.EACCES, os.utime, d + "/shown")
        fails(errno.EACCES, os.setxattr, d + "/shown", "user.x", b"1")
        fails(errno.EPERM, os.setxattr, d + "/shown", "trusted.x", b"1")
        equal(os.access(d + "/private", os.R_OK), False)
        equal(os.access(d + "/shown", os.R_OK), True)

    as_user(BOB, bob)
    as_user(BOB, lambda: equal(read(d + "/team"), b"team"), groups=[TEAM])

    def own():
        fails(errno.EPERM, os.chown, d + "/private", BOB, -1)
        fails(errno.EPERM, os.chown, d + "/private", -1, TEAM)
        os.chown(d + "/private", ANN, ANN)

    as_user(ANN, own)


@case
def sticky_folders_protect_what_others_made(d):
    need_root()
    os.mkdir(d + "/tmp")
    os.chmod(d + "/tmp", 0o1777)
    as_user(ANN, lambda: (write(d + "/tmp/anns"), write(d + "/tmp/target")))

    def bob():
        fails((errno.EPERM, errno.EACCES), os.unlink, d + "/tmp/anns")
        fails((errno.EPERM, errno.EACCES), os.rename, d + "/tmp/anns", d + "/tmp/bobs")
        write(d + "/tmp/bobs")
        fails((errno.EPERM, errno.EACCES), os.rename, d + "/tmp/bobs", d + "/tmp/target")
        os.unlink(d + "/tmp/bobs")

    as_user(BOB, bob)
    as_user(ANN, lambda: os.unlink(d + "/tmp/anns"))


@case
def setgid_folders_pass_their_group_on(d):
    need_root()
    os.mkdir(d + "/shared")
    os.chown(d + "/shared", -1, TEAM)
    os.chmod(d + "/shared", 0o2777)

    def ann():
        write(d + "/shared/f")
        os.mkdir(d + "/shared/sub", 0o755)
        write(d + "/shared/sub/g")
        os.symlink("x", d + "/shared/s")
        os.mkfifo(d + "/shared/p")

    as_user(ANN, ann)
    for name in ("f", "sub", "sub/g", "s", "p"):
        equal(os.lstat(f"{d}/shared/{name}").st_gid, TEAM, name)
    equal(mode(d + "/shared/sub"), 0o2755, "a folder in it is setgid, too")
    equal(mode(d + "/shared/f"), 0o644)

    def outsider():
        fd = os.open(d + "/shared/exec", os.O_CREAT | os.O_WRONLY, 0o2777)
        os.close(fd)
        equal(mode(d + "/shared/exec") & 0o2000, 0, "who is not in the group makes no setgid program")

    as_user(BOB, outsider)


@case
def suid_bits_go_when_an_ordinary_user_writes(d):
    need_root()
    open_to_all(d)

    def fresh(bits=0o6777):
        path = write(d + "/f", b"program" * 10)
        os.chown(path, ANN, ANN)
        os.chmod(path, bits)
        equal(mode(path), bits)
        return path

    def after(uid, function, bits, text, start=0o6777):
        path = fresh(start)
        as_user(uid, lambda: function(path)) if uid else function(path)
        equal(mode(path), bits, text)

    def through(function):
        def call(path):
            fd = os.open(path, os.O_RDWR)
            function(fd)
            os.close(fd)
        return call

    after(BOB, through(lambda fd: os.pwrite(fd, b"x", 0)), 0o777, "write by another")
    after(ANN, through(lambda fd: os.pwrite(fd, b"x", 0)), 0o777, "write by the owner")
    after(BOB, lambda p: os.truncate(p, 1), 0o777, "truncate by another")
    after(BOB, lambda p: os.close(os.open(p, os.O_WRONLY | os.O_TRUNC)), 0o777, "O_TRUNC by another")
    after(BOB, through(lambda fd: os.posix_fallocate(fd, 0, 4096)), 0o777, "fallocate by another")
    after(ANN, lambda p: os.chown(p, ANN, ANN), 0o777, "chown by the owner")
    after(0, through(lambda fd: os.pwrite(fd, b"x", 0)), 0o6777, "write by root keeps them")
    after(0, lambda p: os.chown(p, BOB, BOB), 0o777, "chown by root clears them")
    after(ANN, through(lambda fd: os.pwrite(fd, b"x", 0)), 0o2766, "setgid without group's x is no program",
          start=0o2766)
    path = fresh(0o755)
    os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
    os.chmod(path, 0o777)
    as_user(BOB, lambda: through(lambda fd: os.pwrite(fd, b"x", 0))(path))
    fails(errno.ENODATA, os.getxattr, path, "security.capability")
    path = fresh(0o755)
    os.chown(path, ANN, TEAM)
    as_user(ANN, lambda: os.chmod(path, 0o2755))
    equal(mode(path), 0o755, "chmod g+s by an owner who is not in the group")


@case
def access_acls_are_enforced(d):
    need_root()
    open_to_all(d)
    path = write(d + "/f", b"x")
    os.chmod(path, 0o600)
    os.setxattr(path, "system.posix_acl_access", acl(
        (USER_OBJ, 6, NOBODY), (USER, 4, BOB), (GROUP_OBJ, 0, NOBODY), (GROUP, 6, TEAM), (MASK, 6, NOBODY),
        (OTHER, 0, NOBODY)))
    equal(mode(path), 0o660, "the group bits show the mask")
    as_user(BOB, lambda: equal(read(path), b"x"))
    as_user(BOB, lambda: fails(errno.EACCES, os.open, path, os.O_WRONLY))
    as_user(ANN, lambda: fails(errno.EACCES, open, path))
    as_user(ANN, lambda: write(path, b"by the team"), groups=[TEAM])
    os.chmod(path, 0o600)
    equal([e[1] for e in entries(path) if e[0] == MASK], [0], "chmod sets the mask")
    as_user(BOB, lambda: fails(errno.EACCES, open, path))
    os.chmod(path, 0o640)
    as_user(BOB, lambda: equal(read(path), b"by the team"))
    os.removexattr(path, "system.posix_acl_access")
    as_user(BOB, lambda: fails(errno.EACCES, open, path))
    fails((errno.ENODATA, errno.EOPNOTSUPP), os.getxattr, path, "system.posix_acl_access")
    os.setxattr(path, "system.posix_acl_access",
                acl((USER_OBJ, 6, NOBODY), (GROUP_OBJ, 4, NOBODY), (OTHER, 4, NOBODY)))
    equal(mode(path), 0o644, "an ACL of three entries is a mode")
    fails((errno.EINVAL, errno.EOPNOTSUPP), os.setxattr, path, "system.posix_acl_access", b"rubbish")
    fails((errno.EACCES, errno.EINVAL), os.setxattr, path, "system.posix_acl_default",
          acl((USER_OBJ, 6, NOBODY), (GROUP_OBJ, 4, NOBODY), (OTHER, 4, NOBODY)))
    as_user(BOB, lambda: fails(errno.EPERM, os.setxattr, path, "system.posix_acl_access",
                               acl((USER_OBJ, 7, NOBODY), (GROUP_OBJ, 7, NOBODY), (OTHER, 7, NOBODY))))


@case
def default_acls_are_inherited(d):
    need_root()
    os.mkdir(d + "/team")
    os.chmod(d + "/team", 0o777)
    default = acl((USER_OBJ, 7, NOBODY), (USER, 7, BOB), (GROUP_OBJ, 5, NOBODY), (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
    os.setxattr(d + "/team", "system.posix_acl_default", default)

    def ann():
        os.umask(0o077)
        write(d + "/team/f", b"x", mode=0o666)
        os.mkdir(d + "/team/sub", 0o777)
        write(d + "/team/sub/g", b"x", mode=0o640)
        write(d + "/team/tight", b"x", mode=0o600)

    as_user(ANN, ann)
    equal(mode(d + "/team/f"), 0o660, "the umask does not count")
    equal(entries(d + "/team/f"), [(USER_OBJ, 6, NOBODY), (USER, 7, BOB), (GROUP_OBJ, 5, NOBODY),
                                   (MASK, 6, NOBODY), (OTHER, 0, NOBODY)])
    equal(mode(d + "/team/sub"), 0o770)
    equal(os.getxattr(d + "/team/sub", "system.posix_acl_default"), default, "a folder passes it on")
    equal(mode(d + "/team/sub/g"), 0o640)
    equal(mode(d + "/team/tight"), 0o600)
    as_user(BOB, lambda: equal(read(d + "/team/f"), b"x"))
    as_user(BOB, lambda: write(d + "/team/sub/new"))
    as_user(BOB, lambda: equal(read(d + "/team/sub/g"), b"x"))
    as_user(BOB, lambda: fails(errno.EACCES, open, d + "/team/tight"))
    os.removexattr(d + "/team", "system.posix_acl_default")
    write(d + "/team/after", mode=0o644)
    fails((errno.ENODATA, errno.EOPNOTSUPP), os.getxattr, d + "/team/after", "system.posix_acl_access")


@case
def owners_and_deletion(d):
    need_root()
    write(d + "/f")
    os.chown(d + "/f", 4000000000, 3000000000)
    st = os.stat(d + "/f")
    equal((st.st_uid, st.st_gid), (4000000000, 3000000000), "large numbers")
    os.chown(d + "/f", -1, 5)
    st = os.stat(d + "/f")
    equal((st.st_uid, st.st_gid), (4000000000, 5), "-1 leaves it")
    os.symlink("f", d + "/s")
    os.chown(d + "/s", 7, 8, follow_symlinks=False)
    equal(os.stat(d + "/f").st_gid, 5)
    equal(os.lstat(d + "/s").st_uid, 7)
    os.mkdir(d + "/ro")
    write(d + "/ro/f")
    os.chown(d + "/ro", ANN, ANN)
    os.chmod(d + "/ro", 0o555)
    as_user(ANN, lambda: fails(errno.EACCES, os.unlink, d + "/ro/f"))
    as_user(ANN, lambda: fails(errno.EACCES, os.rename, d + "/ro/f", d + "/ro/g"))
    assert exists(d + "/ro/f")


run(sys.argv[1], only=sys.argv[2:])
