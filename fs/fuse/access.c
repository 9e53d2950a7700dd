/*
 * Who asks, for the checks that the kernel does not make for us: what is in views/, and a session that is made by an
 * ioctl on a directory opened for reading.
 */
#include "fs/fuse/server.h"

/* The caller's groups, its own first. */
struct groups {
	gid_t *gid;
	int n;
};

static void groups_release(struct groups *g)
{
	free(g->gid);
}

static int groups_read(fuse_req_t req, const struct cred *who, struct groups *ret_groups)
{
	int n = fuse_req_getgroups(req, 0, NULL);
	if (n < 0)
		n = 0; /* the caller has gone, or hides its status */
	gid_t *gid = calloc((size_t)n + 1, sizeof *gid);
	if (!gid)
		return -ENOMEM;
	gid[0] = who->gid;
	int got = n > 0 ? fuse_req_getgroups(req, n, gid + 1) : 0;
	*ret_groups = (struct groups){.gid = gid, .n = 1 + (got < 0 ? 0 : got < n ? got : n)};
	return 0;
}

static bool groups_have(const struct groups *g, gid_t gid)
{
	for (int i = 0; i < g->n; i++)
		if (g->gid[i] == gid)
			return true;
	return false;
}

bool access_in_group(fuse_req_t req, const struct cred *who, gid_t gid)
{
	_cleanup_(groups_release) struct groups groups = {0};
	if (who->gid == gid)
		return true;
	return groups_read(req, who, &groups) == 0 && groups_have(&groups, gid);
}

/* Its groups are read once, and only where they decide. */
static bool asker_in_group(void *arg, gid_t gid)
{
	struct asker *a = arg;
	struct cred who = {.gid = a->viewer.gid};
	struct groups groups;
	if (!a->gid && groups_read(a->req, &who, &groups) == 0) {
		a->gid = groups.gid;
		a->gid_n = groups.n;
	}
	return groups_have(&(struct groups){.gid = a->gid, .n = a->gid_n}, gid);
}

void asker_init(fuse_req_t req, struct asker *ret_asker)
{
	struct cred who = server_cred(req);
	*ret_asker = (struct asker){.req = req,
		.viewer = {.uid = who.uid, .gid = who.gid, .in_group = asker_in_group, .arg = ret_asker}};
}

void asker_release(struct asker *a)
{
	free(a->gid);
}

/* As Linux: without group execution the bit is no program's, and stays for whom may set it. */
int access_kills(fuse_req_t req, const struct cred *who, uint64_t ino, unsigned *set)
{
	struct stat st;
	int r = core_getattr(server_of(req)->core, ino, &st, NULL);
	if (r < 0)
		return r;
	*set |= CORE_SET_KILL_PRIV;
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == S_ISGID && who->uid != 0 &&
		!access_in_group(req, who, st.st_gid))
		*set |= CORE_SET_KILL_SGID;
	return 0;
}

int access_may_create(fuse_req_t req, const struct cred *who, uint64_t ino)
{
	struct server *s = server_of(req);
	struct stat st;
	int r = core_getattr(s->core, ino, &st, NULL);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	_cleanup_(rights_release) struct rights rights = {0};
	_cleanup_asker_ struct asker asker;
	asker_init(req, &asker);
	r = rights_load(s->core, ino, &st, &rights);
	if (r < 0)
		return r;
	return rights_grant(&rights, &asker.viewer, RIGHT_WRITE | RIGHT_SEARCH) ? 0 : -EACCES;
}
