/*
 * lookup.c: names looked up and listed: session.json is brought up to date first, and what does not
 * exist for the maker of a session is left out.
 */
#include "fs/session/putback.h"

/* Which automatic part a name is: 0 none. */
static unsigned part_of(const char *name)
{
	if (strcmp(name, JSON_NAME) == 0)
		return SREC_JSON_AUTO;
	return strcmp(name, "messages") == 0 ? SREC_MESSAGES_AUTO : 0;
}

static int lookup_part(struct sessions *s, const struct cred *who, struct inode *dir,
        const char *name, unsigned part, struct core_entry *ret_entry)
{
	unsigned pending;
	if (maker_hidden(s, who, dir, &pending) & part && maker_misses(s, dir, part))
		return -ENOENT;
	int r = part == SREC_JSON_AUTO ? json_freshen(s, dir) : 0;
	if (r == 0)
		r = core_lookup(s->core, dir->ino, name, ret_entry);
	if (r == 0 && (part == SREC_JSON_AUTO || pending & part))
		ret_entry->fleeting_name = true;
	return r;
}

/*
 * A file that is young may be about to be renamed over session.json, and the kernel takes what it
 * knows of a name along: that must be nothing.
 */
#define YOUNG_SECONDS 10

static bool may_become_json(const struct core_entry *entry)
{
	struct timespec now;
	if (!S_ISREG(entry->st.st_mode))
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return entry->st.st_ctim.tv_sec > now.tv_sec - YOUNG_SECONDS;
}

int session_lookup(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *dir = NULL;
	unsigned part = part_of(name);

	if (!snapshot_is_present(parent))
		return snapshots_lookup(s, parent, name, ret_entry);
	if (strcmp(name, SNAPSHOTS_NAME) == 0) {
		int r = snapshots_lookup_dir(s, parent, ret_entry);
		if (r != -ENOENT)
			return r;
	}
	if (part || strcmp(name, "next.md") == 0) {
		int r = inode_get(s->core, parent, NULL, &dir);
		if (r < 0)
			return r;
		if (rules_is_next(dir->rec.role, name))
			return -ENOENT;
		if (part && dir->rec.role == ROLE_SESSION)
			return lookup_part(s, who, dir, name, part, ret_entry);
	}
	int r = core_lookup(s->core, parent, name, ret_entry);
	if (r == 0 && may_become_json(ret_entry))
		ret_entry->fleeting_name = session_dir_role(s, parent) == ROLE_SESSION;
	return r;
}

bool session_negative_cacheable(struct sessions *s, uint64_t parent)
{
	if (!snapshot_is_present(parent))
		return snapshot_is_past(parent);
	uint8_t role = session_dir_role(s, parent);
	/* `scribefs new` makes names in a workflow that the kernel did not ask for. */
	return role != ROLE_MESSAGES && role != ROLE_SESSION && role != ROLE_WORKFLOW;
}

struct listing {
	struct sessions *s;
	core_fill fill;
	void *arg;
	unsigned hidden;
	unsigned pending;
};

/* Called with the container's lock held. */
static int fill_session(void *arg, const struct core_dirent *entry)
{
	struct listing *l = arg;
	unsigned part = part_of(entry->name);
	struct core_dirent e = *entry;

	if (part & l->hidden) {
		if (entry->have_attr)
			core_forget(l->s->core, entry->entry.ino, 1);
		return 0;
	}
	if (part == SREC_JSON_AUTO || (part & l->pending) ||
	        (e.have_attr && may_become_json(&e.entry)))
		e.entry.fleeting_name = true;
	return l->fill(l->arg, &e);
}

/* What was being put back in that instant lay there, but was no part of it. */
static int fill_past(void *arg, const struct core_dirent *entry)
{
	struct listing *l = arg;

	if (!putback_is_hidden(entry->name))
		return l->fill(l->arg, entry);
	if (entry->have_attr)
		core_forget(l->s->core, entry->entry.ino, 1);
	return 0;
}

int session_readdir(struct sessions *s, const struct cred *who, uint64_t ino, uint64_t cookie,
        bool with_attr, core_fill fill, void *arg)
{
	struct listing l = {.s = s, .fill = fill, .arg = arg};
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(s->core, ino, NULL, &dir);

	if (r < 0)
		return r;
	if (snapshot_is_past(ino))
		return core_readdir(s->core, ino, cookie, with_attr, fill_past, &l);
	if (!snapshot_is_present(ino) || !inode_is_dir(dir) || dir->rec.role != ROLE_SESSION)
		return core_readdir(s->core, ino, cookie, with_attr, fill, arg);
	l.hidden = maker_hidden(s, who, dir, &l.pending);
	json_freshen(s, dir); /* a damaged record must not hide what else is there */
	return core_readdir(s->core, ino, cookie, with_attr, fill_session, &l);
}
