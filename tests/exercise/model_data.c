#include "tests/exercise/model.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>

static bool may_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* Before the bytes change: what they were may be what a crash brings back. */
static void remember(struct model *m, struct node *node)
{
	struct version *v;
	if (!m->versions)
		return;
	node->versions = realloc(node->versions, (node->n_versions + 1) * sizeof *node->versions);
	if (!node->versions)
		abort();
	v = &node->versions[node->n_versions++];
	content_copy(&node->data, &v->data);
	v->mtime = node->times[TIME_M];
}

void model_kept(struct node *node)
{
	for (size_t i = 0; i < node->n_versions; i++)
		content_release(&node->versions[i].data);
	free(node->versions);
	node->versions = NULL;
	node->n_versions = 0;
}

static int open_node(struct model *m, const struct step_path *path, int flags, mode_t mode,
	struct node **ret_node)
{
	struct node *dir;
	unsigned name;
	int r = model_look(m, path, ret_node);
	if (r == -ENOENT && flags & O_CREAT) {
		r = model_walk(m, path, &dir, &name);
		if (r)
			return r;
		*ret_node = model_create(m, dir, name, mode);
		return 1;
	}
	if (r)
		return r;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (S_ISLNK((*ret_node)->mode))
		return -ELOOP;
	if (S_ISDIR((*ret_node)->mode))
		return may_write(flags) || flags & O_CREAT ? -EISDIR : MODEL_SKIP;
	return S_ISREG((*ret_node)->mode) ? 0 : MODEL_SKIP;
}

int model_open(struct model *m, unsigned slot, const struct step_path *path, int flags, mode_t mode)
{
	struct slot *s = &m->slots[slot];
	struct node *node;
	int r;
	if (s->node || !path->name[0])
		return MODEL_SKIP;
	r = open_node(m, path, flags, mode, &node);
	if (r < 0 || r == MODEL_SKIP)
		return r;
	*s = (struct slot){.node = node, .flags = flags};
	node->opens++;
	if (r == 0 && flags & O_TRUNC)
		model_truncate(m, node, 0);
	return 0;
}

int model_close(struct model *m, unsigned slot)
{
	struct slot *s = &m->slots[slot];
	struct node *node = s->node;
	if (!node)
		return MODEL_SKIP;
	if (may_write(s->flags))
		model_kept(node);
	s->node = NULL;
	node->opens--;
	model_touch(node, 0, 0);
	model_drop_if_unused(m, node);
	return 0;
}

ssize_t model_write(struct model *m, unsigned slot, int64_t offset, const void *bytes, size_t len)
{
	struct slot *s = &m->slots[slot];
	uint64_t at = offset < 0 ? s->position : (uint64_t)offset;
	if (!s->node)
		return MODEL_SKIP;
	if (!may_write(s->flags))
		return -EBADF;
	if (s->flags & O_APPEND)
		at = s->node->data.size;
	if (len) {
		remember(m, s->node);
		content_write(&s->node->data, at, bytes, len);
		model_touch(s->node, STAMP_M | STAMP_C, 0);
	}
	if (offset < 0)
		s->position = at + len;
	return (ssize_t)len;
}

ssize_t model_read(struct model *m, unsigned slot, uint64_t offset, void *bytes, size_t len)
{
	struct slot *s = &m->slots[slot];
	ssize_t n;
	if (!s->node)
		return MODEL_SKIP;
	if ((s->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	n = (ssize_t)content_read(&s->node->data, offset, bytes, len);
	if (n > 0)
		model_touch(s->node, 0, STAMP_A);
	return n;
}

int model_truncate(struct model *m, struct node *node, uint64_t size)
{
	content_resize(&node->data, size);
	model_kept(node); /* the size is an attribute, and takes along what was written before */
	model_touch(node, STAMP_M | STAMP_C, 0);
	return 0;
}

int model_fallocate(struct model *m, unsigned slot, int mode, uint64_t offset, uint64_t len)
{
	struct slot *s = &m->slots[slot];
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	struct content *data;
	if (!s->node)
		return MODEL_SKIP;
	data = &s->node->data;
	/* vfs_fallocate()'s order */
	if ((int64_t)offset < 0 || (int64_t)len <= 0)
		return -EINVAL;
	if (what && what != FALLOC_FL_ZERO_RANGE &&
		(what != FALLOC_FL_PUNCH_HOLE || !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (!may_write(s->flags))
		return -EBADF;
	if (what)
		content_zero(data, offset, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + len > data->size)
		content_resize(data, offset + len);
	model_kept(s->node);
	model_touch(s->node, STAMP_M | STAMP_C, 0);
	return 0;
}

ssize_t model_copy(struct model *m, unsigned in, uint64_t in_offset, unsigned out,
	uint64_t out_offset, size_t len)
{
	struct slot *from = &m->slots[in], *to = &m->slots[out];
	uint8_t *bytes;
	size_t n;
	if (!from->node || !to->node)
		return MODEL_SKIP;
	if ((from->flags & O_ACCMODE) == O_WRONLY || !may_write(to->flags) || to->flags & O_APPEND)
		return -EBADF;
	if (in_offset >= from->node->data.size)
		len = 0;
	else if (len > from->node->data.size - in_offset)
		len = from->node->data.size - in_offset;
	if (from->node == to->node && in_offset < out_offset + len && out_offset < in_offset + len)
		return -EINVAL;
	bytes = malloc(len + 1);
	if (!bytes)
		abort();
	n = content_read(&from->node->data, in_offset, bytes, len);
	if (n) {
		remember(m, to->node);
		content_write(&to->node->data, out_offset, bytes, n);
		model_touch(from->node, 0, STAMP_A);
		model_touch(to->node, STAMP_M | STAMP_C, 0);
	}
	free(bytes);
	return (ssize_t)n;
}

void model_map_write(struct model *m, struct node *node, uint64_t offset, const void *bytes,
	size_t len)
{
	remember(m, node);
	content_write(&node->data, offset, bytes, len);
	model_touch(node, STAMP_M | STAMP_C, STAMP_A);
}

void model_close_all(struct model *m, bool clean)
{
	for (unsigned i = 0; i < STEP_SLOTS; i++) {
		struct node *node = m->slots[i].node;
		if (!node)
			continue;
		m->slots[i].node = NULL;
		node->opens--;
		if (clean)
			model_kept(node);
		model_drop_if_unused(m, node);
	}
}
