#include "tests/exercise/model.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { ACL_USER_OBJ = 1, ACL_GROUP_OBJ = 4, ACL_MASK = 16, ACL_OTHER = 32 };

static struct acl_item *acl_find(struct acl_list *acl, unsigned tag)
{
	for (unsigned i = 0; i < acl->n; i++)
		if (acl->items[i].tag == tag)
			return &acl->items[i];
	return NULL;
}

static struct acl_item *acl_group(struct acl_list *acl)
{
	struct acl_item *mask = acl_find(acl, ACL_MASK);
	return mask ? mask : acl_find(acl, ACL_GROUP_OBJ);
}

static mode_t acl_bits(struct acl_list *acl)
{
	return (mode_t)(acl_find(acl, ACL_USER_OBJ)->perm << 6 | acl_group(acl)->perm << 3 |
			acl_find(acl, ACL_OTHER)->perm);
}

static void acl_set_bits(struct acl_list *acl, mode_t mode)
{
	acl_find(acl, ACL_USER_OBJ)->perm = mode >> 6 & 7;
	acl_group(acl)->perm = mode >> 3 & 7;
	acl_find(acl, ACL_OTHER)->perm = mode & 7;
}

/* It says more than the mode can. */
static bool acl_extended(struct acl_list *acl)
{
	return acl_find(acl, ACL_MASK) != NULL;
}

void model_inherit(struct model *m, const struct node *dir, struct node *child, mode_t mode)
{
	child->uid = 0;
	child->gid = dir->mode & S_ISGID ? dir->gid : 0;
	if (S_ISLNK(mode))
		return;
	if (S_ISDIR(mode) && dir->mode & S_ISGID)
		child->mode |= S_ISGID;
	if (!dir->defaults.n) {
		child->mode &= ~m->umask;
		return;
	}
	struct acl_list acl = dir->defaults;
	if (S_ISDIR(mode))
		child->defaults = acl;
	mode &= acl_bits(&acl);
	acl_set_bits(&acl, mode);
	child->mode = (child->mode & ~(mode_t)0777) | (mode & 0777);
	if (acl_extended(&acl))
		child->access = acl;
}

int model_chmod(struct model *m, const struct step_path *path, mode_t mode)
{
	struct node *node;
	int r = model_look(m, path, &node);
	if (r)
		return r;
	if (S_ISLNK(node->mode))
		return -ENOENT; /* it is followed, and dangles */
	node->mode = (node->mode & S_IFMT) | (mode & 07777);
	if (node->access.n)
		acl_set_bits(&node->access, mode);
	model_changed(node);
	return 0;
}

int model_chown(struct model *m, const struct step_path *path, uid_t uid, gid_t gid)
{
	struct node *node;
	int r = model_look(m, path, &node);
	if (r)
		return r;
	if (uid != UINT32_MAX)
		node->uid = uid;
	if (gid != UINT32_MAX)
		node->gid = gid;
	if (S_ISREG(node->mode)) {
		node->mode &= ~(mode_t)S_ISUID;
		if (node->mode & S_IXGRP)
			node->mode &= ~(mode_t)S_ISGID;
	}
	model_changed(node);
	return 0;
}

int model_utimens(struct model *m, const struct step_path *path, const struct timespec tv[2])
{
	struct node *node;
	int r;
	if (tv[0].tv_nsec == UTIME_OMIT && tv[1].tv_nsec == UTIME_OMIT)
		return 0; /* Linux does not even look for it */
	r = model_look(m, path, &node);
	if (r)
		return r;
	for (unsigned i = 0; i < 2; i++) {
		if (tv[i].tv_nsec == UTIME_NOW) {
			model_touch(node, 1u << i, 0);
		} else if (tv[i].tv_nsec != UTIME_OMIT) {
			node->times[i] = tv[i];
			node->must &= ~(1u << i);
			node->may &= ~(1u << i);
		}
	}
	model_changed(node);
	return 0;
}

/* ---- xattrs ---------------------------------------------------------------------------------- */

static struct attr **attr_find(struct node *node, const char *name)
{
	struct attr **at = &node->attrs;
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

/* -EPERM: user.* is for files and directories; -EOPNOTSUPP: an unknown namespace. */
static int attr_refusal(const struct node *node, const char *name)
{
	if (!strncmp(name, "user.", 5))
		return S_ISREG(node->mode) || S_ISDIR(node->mode) ? 0 : -EPERM;
	return !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9) ? 0 : -EOPNOTSUPP;
}

int model_setxattr(struct model *m, const struct step_path *path, const char *name,
	const void *value, size_t size, int flags)
{
	struct node *node;
	struct attr **at, *a;
	if (size > 65536)
		return -E2BIG;
	int r = model_look(m, path, &node);
	if (r == 0)
		r = attr_refusal(node, name);
	if (r)
		return r;
	at = attr_find(node, name);
	if (*at && flags & XATTR_CREATE)
		return -EEXIST;
	if (!*at && flags & XATTR_REPLACE)
		return -ENODATA;
	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at || !((*at)->name = strdup(name)))
			abort();
	}
	a = *at;
	free(a->value);
	a->value = malloc(size + 1);
	if (!a->value)
		abort();
	memcpy(a->value, value, size);
	a->size = size;
	model_changed(node);
	return 0;
}

int model_getxattr(struct model *m, const struct step_path *path, const char *name,
	const struct attr **ret_attr)
{
	struct node *node;
	int r = model_look(m, path, &node);
	if (r)
		return r;
	if (attr_refusal(node, name))
		return attr_refusal(node, name) == -EPERM ? -ENODATA : -EOPNOTSUPP;
	*ret_attr = *attr_find(node, name);
	return *ret_attr ? 0 : -ENODATA;
}

int model_removexattr(struct model *m, const struct step_path *path, const char *name)
{
	struct node *node;
	struct attr **at, *a;
	int r = model_look(m, path, &node);
	if (r == 0)
		r = attr_refusal(node, name);
	if (r)
		return r;
	at = attr_find(node, name);
	a = *at;
	if (!a)
		return -ENODATA;
	*at = a->next;
	free(a->name);
	free(a->value);
	free(a);
	model_changed(node);
	return 0;
}

int model_setacl(struct model *m, const struct step_path *path, bool defaults,
	const struct acl_list *acl)
{
	struct acl_list copy = *acl;
	struct node *node;
	int r = model_look(m, path, &node);
	if (r)
		return r;
	if (S_ISLNK(node->mode))
		return -EOPNOTSUPP;
	if (defaults && !S_ISDIR(node->mode))
		return -EACCES;
	model_changed(node);
	if (defaults) {
		node->defaults = copy;
		return 0;
	}
	node->mode = (node->mode & ~(mode_t)0777) | acl_bits(&copy);
	node->access = acl_extended(&copy) ? copy : (struct acl_list){0};
	return 0;
}

int model_removeacl(struct model *m, const struct step_path *path, bool defaults)
{
	struct node *node;
	struct acl_list *acl;
	int r = model_look(m, path, &node);
	if (r)
		return r;
	if (S_ISLNK(node->mode))
		return -EOPNOTSUPP;
	acl = defaults ? &node->defaults : &node->access;
	if (acl->n)
		model_changed(node);
	model_touch(node, 0, STAMP_C);
	acl->n = 0;
	return 0;
}
