/*
 * messages.c: the list of a session's messages.
 */
#include "fs/session/messages.h"

void message_list_release(struct message_list *list)
{
	free(list->at);
	*list = (struct message_list){0};
}

static int add(struct message_list *list, const struct dentry *d, uint32_t number, bool archived)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct message_name *grown = realloc(list->at, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		list->at = grown;
		list->room = room;
	}
	list->at[list->n++] =
		(struct message_name){.ino = d->ino, .number = number, .archived = archived};
	return 0;
}

/* All NNN.md in the directory @ino. The container is read-locked. */
static int add_all(struct sessions *s, struct container *c, uint64_t ino, bool archived,
	struct message_list *list)
{
	struct key prefix = key_make(c->domain, c->id, KEY_DENTRY, ino);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(core_kv(s->core), NULL, NULL, KV_META, prefix.bytes, prefix.len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct dentry d;
		r = kv_iter_value(it, &value);
		if (r == 0)
			r = dentry_decode(value.data, value.len, &d);
		if (r < 0)
			return r;
		uint32_t number = name_message_number(d.name, d.name_len);
		if (number && d.type == S_IFREG >> 12)
			r = add(list, &d, number, archived);
		if (r < 0)
			return r;
	}
	return r;
}

static int find_dir(struct sessions *s, struct inode *dir, const char *name, uint64_t *ret_ino)
{
	struct dentry d;
	int r = dentry_find(s->core, NULL, dir, name, strlen(name), &d);

	*ret_ino = 0;
	if (r == 0 && d.type == S_IFDIR >> 12)
		*ret_ino = d.ino;
	return r == -ENOENT ? 0 : r;
}

static int by_number(const void *a, const void *b)
{
	const struct message_name *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (int)y->archived - (int)x->archived;
}

static int load_locked(struct sessions *s, struct inode *session, struct message_list *list)
{
	_cleanup_inode_ struct inode *messages = NULL;
	int r = find_dir(s, session, "messages", &list->dirs[0]);

	if (r < 0 || !list->dirs[0])
		return r;
	r = add_all(s, session->container, list->dirs[0], false, list);
	if (r == 0)
		r = inode_get(s->core, list->dirs[0], session->container, &messages);
	if (r == 0)
		r = find_dir(s, messages, ARCHIVE_NAME, &list->dirs[1]);
	if (r < 0 || !list->dirs[1])
		return r;
	r = add_all(s, session->container, list->dirs[1], true, list);
	if (r == 0 && list->n)
		qsort(list->at, list->n, sizeof *list->at, by_number);
	return r;
}

/* ---- in a snapshot ---------------------------------------------------------------------------- */

struct past_list {
	struct message_list *list;
	bool archived;
};

static int add_past(void *arg, struct inode *dir, const struct dentry *d)
{
	struct past_list *p = arg;
	uint32_t number = name_message_number(d->name, d->name_len);
	struct dentry there = *d;

	there.ino = (dir->ino & ~SNAPSHOT_INO_MASK) | (d->ino & SNAPSHOT_INO_MASK);
	return number && d->type == S_IFREG >> 12 ? add(p->list, &there, number, p->archived) : 0;
}

/* The messages of the directory @name in @dir; 1: it is there. */
static int add_past_dir(struct sessions *s, uint64_t dir, const char *name, bool archived, struct message_list *list)
{
	struct past_list past = {.list = list, .archived = archived};
	_cleanup_inode_ struct inode *messages = NULL;
	struct core_entry entry;
	int r = core_lookup(s->core, dir, name, &entry);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISDIR(entry.st.st_mode))
		r = inode_get(s->core, entry.ino, NULL, &messages);
	core_forget(s->core, entry.ino, 1);
	if (r < 0 || !messages)
		return r;
	list->dirs[archived] = messages->ino;
	r = past_entries(messages, add_past, &past);
	return r < 0 ? r : 1;
}

static int load_past(struct sessions *s, struct inode *session, struct message_list *list)
{
	int r = add_past_dir(s, session->ino, "messages", false, list);

	if (r > 0)
		r = add_past_dir(s, list->dirs[0], ARCHIVE_NAME, true, list);
	if (r >= 0 && list->n)
		qsort(list->at, list->n, sizeof *list->at, by_number);
	return r < 0 ? r : 0;
}

int message_list_load(struct sessions *s, struct inode *session, struct message_list *ret_list)
{
	struct message_list list = {0};
	int r;

	if (session->at) {
		r = load_past(s, session, &list);
	} else {
		pthread_rwlock_rdlock(&session->container->lock);
		r = load_locked(s, session, &list);
		pthread_rwlock_unlock(&session->container->lock);
	}
	if (r < 0)
		message_list_release(&list);
	else
		*ret_list = list;
	return r;
}

int record_read(struct sessions *s, struct container *c, struct srec *ret_rec)
{
	_cleanup_buf_ struct buf value = {0};

	pthread_rwlock_rdlock(&c->lock);
	int r = session_record_get(s->core, c, RECORD_SESSION, &value);
	pthread_rwlock_unlock(&c->lock);
	return r < 0 ? r : srec_decode(value.data, value.len, ret_rec);
}
