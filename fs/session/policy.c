/*
 * policy.c: what a policy (property.h) is for a directory: its own, else what the nearest directory above it says,
 * up to users/, else the fallback.
 */
#include "fs/session/property.h"
#include "fs/session/session_internal.h"

#include <stdio.h>

#define LEVELS 64 /* more is a loop of damaged records */

/* -ENODATA: it is not set there, or is nothing that the program understands. */
static int get_here(struct sessions *s, struct inode *dir, const struct property *p, int64_t *ret_value)
{
	_cleanup_buf_ struct buf value = {0};
	char name[64];

	pthread_rwlock_rdlock(&dir->lock);
	bool any = dir->rec.xattrs > 0;
	pthread_rwlock_unlock(&dir->lock);
	if (!any)
		return -ENODATA;
	snprintf(name, sizeof name, "%s%s", PROPERTY_PREFIX, p->name);
	int r = core_getxattr(s->core, dir->ino, name, &value);
	if (r < 0)
		return r;
	return property_parse(p, value.data, value.len, ret_value) < 0 ? -ENODATA : 0;
}

int session_policy(struct sessions *s, struct inode *dir, const char *property, int64_t *ret_value)
{
	const struct property *p = property_find(property);
	_cleanup_inode_ struct inode *at = inode_ref(dir);

	if (!p)
		return -EINVAL;
	for (unsigned level = 0; level < LEVELS; level++) {
		struct inode *up = NULL;
		int r = get_here(s, at, p, ret_value);
		if (r != -ENODATA)
			return r;
		if (snapshot_present_ino(at->ino) == CORE_ROOT_INO) {
			*ret_value = property_fallback(p);
			return 0;
		}
		r = past_dir_above(at, &up);
		if (r < 0)
			return r;
		inode_put(at);
		at = up;
	}
	return -ELOOP;
}

int policy_ages(struct sessions *s, struct inode *session, struct ages *ret_ages)
{
	struct ages ages;
	int r = session_policy(s, session, "idle", &ages.idle);

	if (r == 0)
		r = session_policy(s, session, "archive", &ages.archive);
	if (r == 0)
		*ret_ages = ages;
	return r;
}

int policy_memory(struct sessions *s, struct inode *session, struct memory_policy *ret_policy)
{
	int64_t size, tokens;
	int r = session_policy(s, session, "memory_size", &size);

	if (r == 0)
		r = session_policy(s, session, "memory_tokens", &tokens);
	if (r == 0)
		*ret_policy = (struct memory_policy){.size = (uint32_t)size, .tokens = (uint64_t)tokens};
	return r;
}
