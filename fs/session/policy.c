/*
 * policy.c: numbers that are set as user.scribefs.* of a directory and inherited downwards: the session's
 * own, else its workflow's, its user's, that of users/.
 */
#include "fs/session/session_internal.h"

#define LEVELS 4

/* -ENODATA: not set there, or no number. */
static int get_here(struct sessions *s, uint64_t dir, const char *name, uint64_t *ret_value)
{
	_cleanup_buf_ struct buf value = {0};
	uint64_t v = 0;
	int r = core_getxattr(s->core, dir, name, &value);

	if (r < 0)
		return r;
	if (value.len == 0 || value.len > 15)
		return -ENODATA;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return -ENODATA;
		v = v * 10 + (uint64_t)(value.data[i] - '0');
	}
	*ret_value = v;
	return 0;
}

int policy_number(struct sessions *s, struct inode *session, const char *name, uint64_t *ret_value)
{
	_cleanup_inode_ struct inode *dir = inode_ref(session);
	int r = -ENODATA;

	for (unsigned level = 0; level < LEVELS; level++) {
		struct inode *up = NULL;
		pthread_rwlock_rdlock(&dir->lock);
		uint64_t parent = dir->rec.parent;
		bool any = dir->rec.xattrs > 0;
		pthread_rwlock_unlock(&dir->lock);
		r = any ? get_here(s, dir->ino, name, ret_value) : -ENODATA;
		if (r != -ENODATA || dir->ino == CORE_ROOT_INO)
			return r;
		r = inode_get(s->core, parent, NULL, &up);
		if (r < 0)
			return r;
		inode_put(dir);
		dir = up;
	}
	return -ENODATA;
}

int policy_memory(struct sessions *s, struct inode *session, struct memory_policy *ret_policy)
{
	uint64_t size = MEMORY_SIZE, tokens = MEMORY_TOKENS;
	int r = policy_number(s, session, "user.scribefs.memory_size", &size);

	if (r == 0 || r == -ENODATA)
		r = policy_number(s, session, "user.scribefs.memory_tokens", &tokens);
	if (r < 0 && r != -ENODATA)
		return r;
	*ret_policy = (struct memory_policy){
		.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, .tokens = tokens};
	return 0;
}
