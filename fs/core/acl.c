#include "fs/core/acl.h"

#include "fs/core/core_internal.h"
#include "fs/core/xattr.h"

#define ACL_VERSION 2
#define ACL_HEADER 4
#define ACL_ENTRY 8
#define ACL_NO_ID UINT32_MAX
#define PERM_BITS (S_IRWXU | S_IRWXG | S_IRWXO)

static uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get_le32(const uint8_t *p)
{
	return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}

static bool tag_is_named(uint16_t tag)
{
	return tag == ACL_TAG_USER || tag == ACL_TAG_GROUP;
}

/* Tags rise (that is their order), only named ones repeat, and named ones need a mask. */
static bool acl_valid(const struct acl *acl)
{
	const unsigned required = ACL_TAG_USER_OBJ | ACL_TAG_GROUP_OBJ | ACL_TAG_OTHER;
	unsigned seen = 0;
	uint16_t last = 0;
	for (size_t i = 0; i < acl->n; i++) {
		const struct acl_entry *e = &acl->entries[i];
		bool named = tag_is_named(e->tag);
		if (!e->tag || e->tag > ACL_TAG_OTHER || (e->tag & (e->tag - 1)) || e->perm > 7)
			return false;
		if (e->tag < last || (e->tag == last && !named) || (named && e->id == ACL_NO_ID))
			return false;
		last = e->tag;
		seen |= e->tag;
	}
	if ((seen & (ACL_TAG_USER | ACL_TAG_GROUP)) && !(seen & ACL_TAG_MASK))
		return false;
	return (seen & required) == required;
}

int acl_decode(const void *data, size_t len, struct acl **ret_acl)
{
	const uint8_t *p = data;
	if (len < ACL_HEADER || (len - ACL_HEADER) % ACL_ENTRY)
		return -EINVAL;
	if (get_le32(p) != ACL_VERSION)
		return -EOPNOTSUPP;
	p += ACL_HEADER;
	size_t n = (len - ACL_HEADER) / ACL_ENTRY;
	if (!n) {
		*ret_acl = NULL;
		return 0;
	}
	_cleanup_free_ struct acl *acl = malloc(sizeof *acl + n * sizeof acl->entries[0]);
	if (!acl)
		return -ENOMEM;
	acl->n = n;
	for (size_t i = 0; i < n; i++, p += ACL_ENTRY) {
		uint16_t tag = get_le16(p);
		acl->entries[i] = (struct acl_entry){
			.tag = tag,
			.perm = get_le16(p + 2),
			.id = tag_is_named(tag) ? get_le32(p + 4) : ACL_NO_ID,
		};
	}
	if (!acl_valid(acl))
		return -EINVAL;
	*ret_acl = steal_ptr(acl);
	return 0;
}

int acl_encode(const struct acl *acl, struct buf *ret_value)
{
	int r = buf_resize(ret_value, ACL_HEADER + acl->n * ACL_ENTRY);
	if (r < 0)
		return r;
	uint8_t *p = ret_value->data;
	put_le32(p, ACL_VERSION);
	p += ACL_HEADER;
	for (size_t i = 0; i < acl->n; i++, p += ACL_ENTRY) {
		put_le16(p, acl->entries[i].tag);
		put_le16(p + 2, acl->entries[i].perm);
		put_le32(p + 4, acl->entries[i].id);
	}
	return 0;
}

static struct acl_entry *acl_entry(struct acl *acl, enum acl_tag tag)
{
	for (size_t i = 0; i < acl->n; i++)
		if (acl->entries[i].tag == tag)
			return &acl->entries[i];
	return NULL;
}

/* What the mode's group bits stand for: the mask, or the owning group where there is none. */
static struct acl_entry *acl_group_class(struct acl *acl)
{
	struct acl_entry *mask = acl_entry(acl, ACL_TAG_MASK);
	return mask ? mask : acl_entry(acl, ACL_TAG_GROUP_OBJ);
}

mode_t acl_mode(const struct acl *acl, bool *ret_same)
{
	mode_t mode = 0;
	bool masked = false;
	for (size_t i = 0; i < acl->n; i++) {
		const struct acl_entry *e = &acl->entries[i];
		if (e->tag == ACL_TAG_USER_OBJ)
			mode |= (mode_t)e->perm << 6;
		else if (e->tag == ACL_TAG_OTHER)
			mode |= e->perm;
		else if (e->tag == ACL_TAG_MASK)
			mode = (mode & ~(mode_t)S_IRWXG) | (mode_t)e->perm << 3;
		else if (e->tag == ACL_TAG_GROUP_OBJ)
			mode |= (mode_t)e->perm << 3;
		masked = masked || e->tag == ACL_TAG_MASK;
	}
	if (ret_same)
		*ret_same = !masked; /* named entries have a mask beside them */
	return mode;
}

void acl_set_mode(struct acl *acl, mode_t mode)
{
	acl_entry(acl, ACL_TAG_USER_OBJ)->perm = (mode >> 6) & 7;
	acl_group_class(acl)->perm = (mode >> 3) & 7;
	acl_entry(acl, ACL_TAG_OTHER)->perm = mode & 7;
}

mode_t acl_restrict(struct acl *acl, mode_t mode)
{
	mode &= acl_mode(acl, NULL);
	acl_set_mode(acl, mode);
	return mode;
}

/* A stored ACL that does not decode was not stored by us. */
static int acl_load(struct op *op, struct inode *inode, const char *name, struct acl **ret_acl)
{
	_cleanup_buf_ struct buf value = {0};
	struct acl *acl = NULL;
	int r = xattr_read(op, inode, name, &value);
	if (r < 0)
		return r;
	r = acl_decode(value.data, value.len, &acl);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !acl)
		return -EBADMSG;
	*ret_acl = acl;
	return 0;
}

static int acl_put(struct op *op, struct inode *inode, const char *name, const struct acl *acl)
{
	_cleanup_buf_ struct buf value = {0};
	int r = acl_encode(acl, &value);
	return r < 0 ? r : xattr_put(op, inode, name, value.data, value.len, 0);
}

int acl_store(struct op *op, struct inode *inode, bool is_default, const void *value, size_t size)
{
	_cleanup_free_ struct acl *acl = NULL;
	struct irec *rec = op_stage(op, inode);
	const char *name = is_default ? XATTR_NAME_ACL_DEFAULT : XATTR_NAME_ACL_ACCESS;
	bool same = false;
	int r;
	if (!rec)
		return -ENOMEM;
	if (S_ISLNK(rec->mode))
		return -EOPNOTSUPP;
	if (size && (r = acl_decode(value, size, &acl)) < 0)
		return r;
	if (is_default && !S_ISDIR(rec->mode))
		return acl ? -EACCES : 0;
	if (acl && !is_default)
		rec->mode = (rec->mode & ~(uint32_t)PERM_BITS) | acl_mode(acl, &same);
	if (acl && !same)
		return acl_put(op, inode, name, acl);
	r = xattr_delete(op, inode, name);
	return r == -ENODATA ? 0 : r;
}

int acl_follow_mode(struct op *op, struct inode *inode)
{
	_cleanup_free_ struct acl *acl = NULL;
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (!rec->xattrs)
		return 0;
	int r = acl_load(op, inode, XATTR_NAME_ACL_ACCESS, &acl);
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	acl_set_mode(acl, rec->mode);
	return acl_put(op, inode, XATTR_NAME_ACL_ACCESS, acl);
}

int acl_inherit(struct op *op, struct inode *dir, struct inode *child, mode_t mode)
{
	_cleanup_free_ struct acl *acl = NULL;
	struct irec *dir_rec = op_stage(op, dir), *rec = op_stage(op, child);
	bool same;
	if (!dir_rec || !rec)
		return -ENOMEM;
	if (S_ISLNK(mode))
		return 0;
	int r = dir_rec->xattrs ? acl_load(op, dir, XATTR_NAME_ACL_DEFAULT, &acl) : -ENODATA;
	if (r == -ENODATA) {
		mode &= ~op->who.umask;
		rec->mode = (rec->mode & ~(uint32_t)PERM_BITS) | (mode & PERM_BITS);
		return 0;
	}
	if (r == 0 && S_ISDIR(mode))
		r = acl_put(op, child, XATTR_NAME_ACL_DEFAULT, acl);
	if (r < 0)
		return r;
	mode = acl_restrict(acl, mode & PERM_BITS);
	rec->mode = (rec->mode & ~(uint32_t)PERM_BITS) | mode;
	acl_mode(acl, &same);
	return same ? 0 : acl_put(op, child, XATTR_NAME_ACL_ACCESS, acl);
}
