/*
 * archive.c: of more messages than the policy max_messages allows the oldest go to messages/archive/, where they keep
 * their numbers and stay part of what is derived (messages.c). The contract is lifecycle.h's.
 */
#include "fs/session/lifecycle.h"
#include "fs/session/messages.h"

static int need_archive(struct sessions *s, uint64_t messages, uint64_t *ret_dir)
{
	struct core_entry entry;
	struct stat st;
	int r = core_lookup(s->core, messages, ARCHIVE_NAME, &entry);

	if (r == -ENOENT) {
		r = core_getattr(s->core, messages, &st, NULL);
		struct core_make make = {.mode = S_IFDIR | (st.st_mode & 07777)};
		if (r == 0)
			r = session_make(s, &(struct cred){.uid = st.st_uid, .gid = st.st_gid}, messages,
			        ARCHIVE_NAME, &make, &entry);
		if (r == 0 && s->changed)
			s->changed(s->changed_arg, messages, ARCHIVE_NAME);
	}
	if (r < 0)
		return r;
	core_forget(s->core, entry.ino, 1);
	*ret_dir = entry.ino;
	return S_ISDIR(entry.st.st_mode) ? 0 : -ENOTDIR;
}

static int move_one(struct sessions *s, const struct message_list *list, const struct message_name *m, uint64_t archive)
{
	struct rename_expected expected = {.ino = m->ino, .activity = ACTIVITY_NONE};
	char name[32];

	name_of_message(m->number, name);
	int r = rename_by_daemon(s, list->dirs[0], name, archive, name, &expected);
	if (r == 0 && s->changed) {
		s->changed(s->changed_arg, list->dirs[0], name);
		s->changed(s->changed_arg, archive, name);
	}
	/* Gone meanwhile, or there is another one of that number: that one stays where it is. */
	return r == -ENOENT || r == -EEXIST ? 0 : r < 0 ? r : 1;
}

int archive_messages(struct sessions *s, uint64_t ino, uint32_t max, bool *ret_moved)
{
	_cleanup_(message_list_release) struct message_list list = {0};
	_cleanup_inode_ struct inode *session = NULL;
	size_t n = 0, moved = 0;
	uint64_t archive = 0;

	*ret_moved = false;
	int r = inode_get(s->core, ino, NULL, &session);
	if (r == 0)
		r = message_list_load(s, session, &list);
	for (size_t i = 0; i < list.n; i++)
		n += !list.at[i].archived;
	if (r < 0 || n <= max)
		return r;
	if (writers_any(s, session->container->id))
		return -EBUSY;
	r = need_archive(s, list.dirs[0], &archive);
	for (size_t i = 0; i < list.n && r >= 0 && n > max; i++) {
		if (list.at[i].archived)
			continue;
		n--;
		r = move_one(s, &list, &list.at[i], archive);
		moved += r > 0;
	}
	*ret_moved = moved > 0;
	return r < 0 ? r : 0;
}
