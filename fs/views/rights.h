/*
 * rights.h: who may do what with a file or directory, as Linux has it: owner, named users, groups under the mask,
 * others. For what the kernel does not check for us: names in views/, and what is made by an ioctl. Any thread.
 */
#ifndef SCRIBEFS_FS_VIEWS_RIGHTS_H
#define SCRIBEFS_FS_VIEWS_RIGHTS_H

#include "fs/core/core.h"

enum { RIGHT_SEARCH = 1, RIGHT_WRITE = 2, RIGHT_READ = 4 };

/* Who asks. */
struct viewer {
	uid_t uid;
	gid_t gid;
	/* Whether a group is one of the supplementary ones; NULL: there are none. */
	bool (*in_group)(void *arg, gid_t gid);
	void *arg;
};

struct rights {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	struct buf acl; /* the access ACL in the kernel's form; empty: there is none */
};
/* -ENOENT, -EBADMSG. */
int rights_load(struct core *core, uint64_t ino, const struct stat *st, struct rights *ret_rights);
void rights_release(struct rights *r);
bool rights_same(const struct rights *a, const struct rights *b);

/* Whether @who has all of @want. uid 0 has everything. */
bool rights_grant(const struct rights *r, const struct viewer *who, unsigned want);

#endif
