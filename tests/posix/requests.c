/*
 * requests.c: what else can be asked of a file: ioctls, statx, handles, quotas; and what of it is refused, with which
 * error.
 */
#include "suite.h"

#include <dirent.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

static void ioctls(void)
{
	int number = 0;
	struct fsxattr x;
	struct fiemap map = {.fm_length = ~0ull};
	put_sized("f", 10000);
	int fd = MUST(open("f", O_RDWR)), dir = MUST(open(".", O_RDONLY));
	WANT(0, ioctl(fd, FIONREAD, &number));
	WANT_NUM(10000, number);
	WANT(0, ioctl(fd, FIOCLEX));
	WANT(0, ioctl(fd, FIGETBSZ, &number));
	WANT_TRUE(number >= 512);
	WANT(ENOTTY, ioctl(fd, 0x5401 /* TCGETS */, &x));
	WANT(ENOTTY, ioctl(dir, 0x5401, &x));
	WANT(EBADF, ioctl(-1, FIONREAD, &number));
	if (suite_plain())
		return;
	/* FUSE's: none of these is there, and each says so as Linux' filesystems without them do. */
	WANT(EOPNOTSUPP, ioctl(fd, FS_IOC_FIEMAP, &map));
	WANT(ENOTTY, ioctl(fd, FS_IOC_GETFLAGS, &number));
	WANT(ENOTTY, ioctl(fd, FS_IOC_SETFLAGS, &number));
	WANT(ENOTTY, ioctl(fd, FS_IOC_FSGETXATTR, &x));
	WANT(ENOTTY, ioctl(dir, FS_IOC_GETFLAGS, &number));
	WANT(ENOTTY, ioctl(fd, FS_IOC_GETVERSION, &number));
	WANT(EOPNOTSUPP, ioctl(fd, FICLONE, dir < 0 ? dir : MUST(open("f", O_RDONLY))));
	struct file_dedupe_range *same = calloc(1, sizeof *same + sizeof same->info[0]);
	same->src_length = 4096;
	same->dest_count = 1;
	same->info[0] = (struct file_dedupe_range_info){.dest_fd = fd, .dest_offset = 4096};
	long r = CALL(ioctl(fd, FIDEDUPERANGE, same));
	WANT_THAT(r == -EOPNOTSUPP || (r == 0 && same->info[0].status == -EOPNOTSUPP) || r == -EINVAL,
		"FIDEDUPERANGE: %ld, %d", r, same->info[0].status);
	free(same);
	WANT(EINVAL, suite_is_root() ? swapon("f", 0) : (errno = EINVAL, -1));
}

static void statx_fields(void)
{
	static const char *const names[] = {"f", "d", "s", "p"};
	put_sized("f", 10000);
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "s"));
	MUST(mkfifo("p", 0640));
	for (size_t i = 0; i < COUNT(names); i++) {
		struct statx x;
		struct stat st = look(names[i]);
		static const int syncs[] = {AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC};
		for (size_t k = 0; k < COUNT(syncs); k++) {
			WANT(0, statx(AT_FDCWD, names[i], AT_SYMLINK_NOFOLLOW | syncs[k], STATX_ALL, &x));
			WANT_NUM(STATX_BASIC_STATS, x.stx_mask & STATX_BASIC_STATS);
			WANT_NUM(st.st_mode, x.stx_mode);
			WANT_NUM(st.st_ino, x.stx_ino);
			WANT_NUM(st.st_size, x.stx_size);
			WANT_NUM(st.st_blocks, x.stx_blocks);
			WANT_NUM(st.st_nlink, x.stx_nlink);
			WANT_NUM(st.st_blksize, x.stx_blksize);
			WANT_NUM(st.st_mtim.tv_nsec, x.stx_mtime.tv_nsec);
			WANT_NUM(st.st_ctim.tv_sec, x.stx_ctime.tv_sec);
			WANT_TRUE((x.stx_attributes & x.stx_attributes_mask) == x.stx_attributes);
		}
	}
	struct statx x;
	WANT(EINVAL, statx(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_ALL, &x));
	WANT(EINVAL, statx(AT_FDCWD, "f", 0, STATX__RESERVED, &x));
	int fd = MUST(open("f", O_RDONLY));
	WANT(0, statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
	WANT_NUM(10000, x.stx_size);
}

static long handle_of(const char *name, struct file_handle *handle, int *ret_mount)
{
	handle->handle_bytes = MAX_HANDLE_SZ;
	return CALL(name_to_handle_at(AT_FDCWD, name, handle, ret_mount, 0));
}

/* A handle leads to the file as long as it is there, by whatever name, and to nothing else afterwards. */
static void handles(void)
{
	static const char *const names[] = {"f", "d", "d/in", "s", "large"};
	static char space[COUNT(names)][sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct stat st;
	int mount_id, here = MUST(open(".", O_RDONLY));
	put("f", "content");
	MUST(mkdir("d", 0755));
	put("d/in", "inside");
	MUST(symlink("f", "s"));
	put_sized("large", 100000);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct file_handle *handle = (void *)space[i];
		handle->handle_bytes = 0;
		WANT(EOVERFLOW, name_to_handle_at(AT_FDCWD, names[i], handle, &mount_id, 0));
		WANT(0, handle_of(names[i], handle, &mount_id) < 0 ? -1 : 0);
	}
	WANT(ENOENT, handle_of("nothing", (void *)space[0], &mount_id) < 0 ? -1 : 0);
	MUST(handle_of("f", (void *)space[0], &mount_id));
	/* The kernel forgets what it knows of them. */
	int drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(names); i++) {
			bool link = i == 3;
			int fd = open_by_handle_at(here, (void *)space[i], link ? O_PATH | O_NOFOLLOW : O_RDONLY);
			if (!WANT_OP(0, CALL(fd), "open_by_handle_at %s, round %d", names[i], round))
				continue;
			MUST(fstat(fd, &st));
			WANT_NUM(look(names[i]).st_ino, st.st_ino);
			WANT_NUM(look(names[i]).st_size, st.st_size);
			close(fd);
		}
		MUST(write(drop, "2", 1));
	}
	int dir = MUST(open_by_handle_at(here, (void *)space[1], O_RDONLY | O_DIRECTORY));
	WANT(0, faccessat(dir, "in", F_OK, 0));
	WANT(0, faccessat(dir, "../f", F_OK, 0));
	MUST(rename("d/in", "moved"));
	MUST(unlink("f"));
	MUST(write(drop, "2", 1));
	int fd = MUST(open_by_handle_at(here, (void *)space[2], O_RDWR));
	char text[10] = "";
	WANT_NUM(6, read(fd, text, 10));
	WANT_TRUE(strcmp(text, "inside") == 0);
	WANT(ESTALE, open_by_handle_at(here, (void *)space[0], O_RDONLY));
	put("f", "another");
	MUST(write(drop, "2", 1));
	WANT(ESTALE, open_by_handle_at(here, (void *)space[0], O_RDONLY));
	/* One without a name that is open still is found. */
	MUST(unlink("moved"));
	int again = open_by_handle_at(here, (void *)space[2], O_RDONLY);
	WANT_THAT(again >= 0 || errno == ESTALE, "without a name: %s", suite_errno(errno));
	close(fd);
	if (again >= 0)
		close(again);
	/* The kernel drops a name that was used lately at its second look. */
	for (int i = 0; i < 100; i++) {
		MUST(write(drop, "2", 1));
		fd = open_by_handle_at(here, (void *)space[2], O_RDONLY);
		if (fd < 0)
			break;
		close(fd);
		tick();
	}
	WANT_OP(ESTALE, fd < 0 ? -(long)errno : 0, "open_by_handle_at without a name");
	if (as(ANN, 0)) {
		WANT(EPERM, open_by_handle_at(here, (void *)space[4], O_RDONLY));
		done();
	}
}

static void the_filesystem(void)
{
	struct statvfs vfs, of_file;
	struct statfs fs;
	put("f", "x");
	MUST(statvfs(".", &vfs));
	MUST(statvfs("f", &of_file));
	WANT_NUM(vfs.f_blocks, of_file.f_blocks);
	WANT_NUM(vfs.f_fsid, of_file.f_fsid);
	WANT_TRUE(vfs.f_files == 0 || vfs.f_files >= vfs.f_ffree);
	MUST(statfs(".", &fs));
	WANT_NUM(vfs.f_bsize, fs.f_bsize);
	/* Making and removing a file moves the number of those that there are. */
	fsfilcnt_t used = vfs.f_files - vfs.f_ffree;
	MUST(mkdir("d", 0755));
	MUST(statvfs(".", &vfs));
	if (!suite_plain())
		WANT_NUM(used + 1, vfs.f_files - vfs.f_ffree);
	if (suite_is_root()) {
		long r = CALL(syscall(SYS_quotactl_fd, MUST(open(".", O_RDONLY)), QCMD(Q_GETFMT, USRQUOTA), 0, &vfs));
		WANT_THAT(r == -ENOSYS || r == -ESRCH || r == -EOPNOTSUPP, "quotactl_fd: %ld", r);
		/* What something is mounted on stays, whatever is asked. */
		if (mount("d", "d", NULL, MS_BIND, NULL) == 0) {
			WANT(EBUSY, rmdir("d"));
			WANT(0, rename("d", "d"));
			WANT(EBUSY, rename("d", "e"));
			MUST(mkdir("x", 0755));
			WANT(EBUSY, rename("x", "d"));
			WANT(EXDEV, rename("f", "d/f"));
			WANT(EXDEV, link("f", "d/f"));
			MUST(umount("d"));
			WANT(0, rmdir("d"));
		}
	}
}

/* Listings that ask for too little, and descriptors that are none of a directory. */
static void raw_listings(void)
{
	char text[1000];
	put("a name that is quite long, as names go", "x");
	int dir = MUST(open(".", O_RDONLY)), file = MUST(open("a name that is quite long, as names go", O_RDONLY));
	WANT(EINVAL, syscall(SYS_getdents64, dir, text, 8));
	WANT(ENOTDIR, syscall(SYS_getdents64, file, text, sizeof text));
	WANT(EBADF, syscall(SYS_getdents64, -1, text, sizeof text));
	WANT(EFAULT, syscall(SYS_getdents64, dir, (void *)16, sizeof text));
	long total = 0, n;
	while ((n = CALL(syscall(SYS_getdents64, dir, text, 64))) > 0)
		total++;
	WANT_NUM(0, n);
	WANT_TRUE(total == 2 || total == 3); /* the dots may come at once */
	WANT_NUM(0, lseek(dir, 0, SEEK_SET));
	WANT_TRUE(syscall(SYS_getdents64, dir, text, sizeof text) > 0);
	WANT(EINVAL, lseek(dir, -1, SEEK_SET));
	/* One that is removed while it is the current one. */
	MUST(mkdir("gone", 0755));
	MUST(chdir("gone"));
	MUST(rmdir("../gone"));
	WANT(ENOENT, getcwd(text, sizeof text) ? 0 : -1);
	WANT(ENOENT, mkdir("x", 0755));
	WANT(ENOENT, open("x", O_CREAT | O_WRONLY, 0644));
	WANT(0, access(".", F_OK));
	MUST(fchdir(dir));
}

/* Opens that nobody should ask for, and what Linux makes of them. */
static void odd_opens(void)
{
	put("f", "content");
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "s"));
	WANT(EINVAL, open("new", O_CREAT | O_DIRECTORY | O_RDWR, 0644));
	WANT(EINVAL, open("f", O_CREAT | O_DIRECTORY, 0644));
	WANT_NUM(0, there("new"));
	WANT(0, close(MUST(open("f", O_EXCL | O_RDONLY))));
	int fd = MUST(open("f", O_RDONLY | O_TRUNC));
	WANT_NUM(0, look("f").st_size);
	WANT(EBADF, write(fd, "x", 1));
	close(fd);
	fd = MUST(open("f", 3)); /* for ioctls alone */
	char c;
	WANT(EBADF, read(fd, &c, 1));
	WANT(EBADF, write(fd, "x", 1));
	close(fd);
	WANT(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));
	WANT(EBADF, openat(-1, "f", O_RDONLY));
	WANT(EINVAL, fchmodat(AT_FDCWD, "f", 0644, 0x8000));
	fd = MUST(open("s", O_PATH | O_NOFOLLOW));
	WANT_NUM(1, readlinkat(fd, "", &c, 1));
	struct stat st;
	WANT(0, fstatat(fd, "", &st, AT_EMPTY_PATH));
	WANT_TRUE(S_ISLNK(st.st_mode));
	WANT(0, fchownat(fd, "", geteuid(), getegid(), AT_EMPTY_PATH));
	close(fd);
	fd = MUST(open("f", O_RDONLY));
	if (suite_is_root()) {
		WANT(0, linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
		WANT_NUM(2, look("f").st_nlink);
		MUST(chown("f", ANN, ANNS));
		MUST(chmod("f", 0644));
		if (as(BOB, 0)) {
			WANT(EPERM, open("f", O_RDONLY | O_NOATIME));
			done();
		}
		MUST(chmod(".", 0777));
		if (as(ANN, 0)) {
			WANT(0, close(MUST(open("f", O_RDONLY | O_NOATIME))));
			WANT(0, mknod("white-out", S_IFCHR | 0600, 0)); /* allowed to everybody */
			done();
		}
	}
	close(fd);
}

const struct posix_case request_cases[] = {
	{"request_ioctls", ioctls},
	{"request_statx", statx_fields},
	{"request_handles", handles, .root = true},
	{"request_filesystem", the_filesystem},
	{"request_listings", raw_listings},
	{"request_opens", odd_opens},
	{0},
};
