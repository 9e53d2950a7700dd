/*
 * suite.h: what the files of the POSIX suite share. A case is a function that works in a fresh, empty current
 * directory, in a process of its own; a failed check is printed and the case goes on.
 *
 * Checks count in shared memory, so a case may fork: as() runs a block as an ordinary user.
 */
#ifndef SCRIBEFS_POSIX_SUITE_H
#define SCRIBEFS_POSIX_SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct posix_case {
	const char *name;
	void (*run)(void);
	bool root; /* needs root */
};

/* One array a file, ended by an entry without a name. */
extern const struct posix_case path_cases[], open_cases[], rename_cases[], time_cases[], rights_cases[],
	owner_cases[], acl_cases[], sticky_cases[], data_cases[], space_cases[], lock_cases[],
	xattr_cases[], dir_cases[], limit_cases[], orphan_cases[], move_cases[],
	watch_cases[], request_cases[];
extern const struct posix_case read_only_cases[]; /* on a mount that is read-only */

/* Two ordinary users, each in a group of its own number and in one more; and a group of nobody's. */
enum { ROOT = 0, ANN = 21001, BOB = 21002, ANNS = 21900, BOBS = 21901, NOBODYS = 21902 };

/* The target is an ordinary filesystem (-p): what is ours alone, or not FUSE's, is expected otherwise. */
bool suite_plain(void);
bool suite_is_root(void);

/* Counts a check; prints what @fmt says if it is bad. */
void suite_check(const char *file, int line, bool good, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* EPERM … as text, 0 is "success". Valid until the next but seven calls. */
const char *suite_errno(long result);

/* Setting up failed: counts as a failure and ends the case. */
void suite_die(const char *file, int line, const char *what) __attribute__((noreturn));

/* The value of a system call or -errno. */
#define CALL(expr)                                                                                 \
	__extension__({                                                                            \
		long r_ = (long)(expr);                                                            \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define MUST(expr)                                                                                 \
	__extension__({                                                                            \
		long m_ = CALL(expr);                                                              \
		if (m_ < 0)                                                                        \
			suite_die(__FILE__, __LINE__, #expr);                                      \
		(int)m_;                                                                           \
	})
/* The call must fail with this errno; or 0: it must succeed, with any value. */
#define WANT(error, expr) want_result(__FILE__, __LINE__, #expr, (error), CALL(expr))
/* The same for an operation that @... names, as printf has it, whose result is there already. */
#define WANT_OP(error, result, ...)                                                                \
	__extension__({                                                                            \
		char op_[300];                                                                     \
		snprintf(op_, sizeof op_, __VA_ARGS__);                                            \
		want_result(__FILE__, __LINE__, op_, (error), (result));                           \
	})
#define WANT_NUM(number, expr) want_number(__FILE__, __LINE__, #expr, (long)(number), CALL(expr))
#define WANT_TRUE(expr) suite_check(__FILE__, __LINE__, (expr), "%s", #expr)
#define WANT_THAT(good, ...) suite_check(__FILE__, __LINE__, (good), __VA_ARGS__)

/* All three return whether the check was good. */
bool want_result(const char *file, int line, const char *op, int error, long result);
bool want_number(const char *file, int line, const char *op, long expected, long result);

/*
 * if (as(ANN, 0)) { …; done(); }  runs the block in a process of that user's. @extra: one more group, 0 its
 * usual one, -1 none. Never true when the suite does not run as root.
 */
bool as(uid_t user, int extra);
void done(void) __attribute__((noreturn));
/* if (child()) { …; done(); }  the same without another user. */
bool child(void);

/* Makes a file with this content; it is closed. */
void put(const char *path, const char *content);
void put_sized(const char *path, size_t size);
/* Its first bytes as a string, in a buffer of its own that the next but three calls use again. */
const char *content(const char *path);
struct stat look(const char *path); /* lstat; all zero if there is none */
mode_t perms(const char *path);	    /* permission bits */
bool there(const char *path);
/* The time goes on, for filesystems whose clock ticks. */
void tick(void);
/* A fresh directory of @mode, owned by @user, where the current one is afterwards. */
void enter(const char *path, mode_t mode, uid_t user);
void leave(void); /* .. */
const char *user_name(uid_t user);

#endif
