/*
 * policy.c: what holds for a session: a property that is set on it, else on its workflow, its user, users/.
 */
#include "fs/session/property.h"
#include "fs/session/session_internal.h"

#include <stdio.h>

#define LEVELS 4

/* -ENODATA: not set there, or to nothing that it could mean. */
static int get_here(struct sessions *s, uint64_t dir, const struct property *p, int64_t *ret_value)
{
	_cleanup_buf_ struct buf value = {0};
	char name[64];

	snprintf(name, sizeof name, PROPERTY_PREFIX "%s", p->name);
	int r = core_getxattr(s->core, dir, name, &value);
	if (r == 0 && property_parse(p, value.data, value.len, ret_value) < 0)
		return -ENODATA;
	return r;
}

int policy_get(struct sessions *s, struct inode *session, const char *name, int64_t *ret_value)
{
	_cleanup_inode_ struct inode *dir = inode_ref(session);
	const struct property *p = property_find(name);

	for (unsigned level = 0; level < LEVELS; level++) {
		struct inode *up = NULL;
		pthread_rwlock_rdlock(&dir->lock);
		uint64_t parent = dir->rec.parent;
		bool any = dir->rec.xattrs > 0;
		pthread_rwlock_unlock(&dir->lock);
		int r = any ? get_here(s, dir->ino, p, ret_value) : -ENODATA;
		if (r != -ENODATA)
			return r;
		if (dir->ino == CORE_ROOT_INO)
			break;
		r = inode_get(s->core, parent, NULL, &up);
		if (r < 0)
			return r;
		inode_put(dir);
		dir = up;
	}
	*ret_value = property_fallback(p);
	return 0;
}

int policy_memory(struct sessions *s, struct inode *session, struct memory_policy *ret_policy)
{
	int64_t size, tokens;
	int r = policy_get(s, session, "memory_size", &size);

	if (r == 0)
		r = policy_get(s, session, "memory_tokens", &tokens);
	if (r == 0)
		*ret_policy = (struct memory_policy){.size = (uint32_t)size, .tokens = (uint64_t)tokens};
	return r;
}
