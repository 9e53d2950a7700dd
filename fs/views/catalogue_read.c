/*
 * catalogue_read.c: what the catalogue knows of one session.
 */
#include "fs/views/catalogue.h"
#include "fs/views/link_name.h"
#include "fs/views/tally.h"
#include "kv/bytes.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

#define HASH_PURPOSE_NAME 0x76696577u
#define HASH_BITS 46

DEFINE_CLEANUP(struct transcript *, transcript_free);

void catalogue_session_release(struct catalogue_session *s)
{
	free(s->name);
	free(s->title);
	free(s->agent);
	free(s->link);
	free(s->agent_link);
	free(s->tally);
	rights_release(&s->dir);
	rights_release(&s->document);
	*s = (struct catalogue_session){0};
}

int catalogue_hash(struct sessions *s, const char *name, uint64_t *ret_hash)
{
	uint64_t hash;
	int r = kv_hash64(core_kv(session_core(s)), 0, HASH_PURPOSE_NAME, name, strlen(name), &hash);

	if (r == 0)
		*ret_hash = hash >> (64 - HASH_BITS);
	return r;
}

static int link_of(const char *text, char **ret_link)
{
	char link[LINK_NAME_MAX + 1];
	int r = link_name_of(text, link);

	if (r < 0)
		return r;
	*ret_link = strdup(link);
	return *ret_link ? 0 : -ENOMEM;
}

static int take_facts(struct transcript *t, struct catalogue_session *s)
{
	s->title = steal_ptr(t->title);
	s->agent = steal_ptr(t->agent);
	s->state = t->state;
	s->created = t->created;
	s->activity = t->activity;
	s->changed = t->changed;
	s->messages = t->counted;
	s->tokens = t->tokens;
	s->interrupted = t->interrupted;
	s->until = t->until;
	memcpy(s->id, t->session_id, sizeof s->id);
	return s->title ? 0 : -EBADMSG;
}

static int read_rights(struct core *core, struct catalogue_session *s)
{
	struct core_entry entry;
	struct stat st;
	int r = core_getattr(core, s->ino, &st, NULL);

	if (r == 0)
		r = rights_load(core, s->ino, &st, &s->dir);
	if (r < 0)
		return r;
	r = core_lookup(core, s->ino, "session.json", &entry);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = rights_load(core, entry.ino, &entry.st, &s->document);
	s->has_document = r == 0 && S_ISREG(entry.st.st_mode);
	core_forget(core, entry.ino, 1);
	return r;
}

static int read_session(struct sessions *sessions, struct catalogue_session *s)
{
	_cleanup_(transcript_freep) struct transcript *t = NULL;
	struct transcript_range none = {.brief = true};
	struct session_version version;
	int r = session_stamp(sessions, s->ino, &version);

	if (r == 0)
		r = transcript_open(sessions, s->ino, &none, &t);
	if (r < 0)
		return r;
	s->stamp = version.stamp;
	r = take_facts(t, s);
	if (r == 0)
		r = read_rights(session_core(sessions), s);
	if (r == 0)
		r = link_of(s->title, &s->link);
	if (r == 0 && s->agent)
		r = link_of(s->agent, &s->agent_link);
	if (r == 0 && s->agent)
		r = catalogue_hash(sessions, s->agent_link, &s->agent_hash);
	return r;
}

int catalogue_read(struct sessions *sessions, uint64_t ino, struct catalogue_session *ret_session)
{
	struct catalogue_session s = {.ino = ino};
	int r = read_session(sessions, &s);

	if (r < 0)
		catalogue_session_release(&s);
	else
		*ret_session = s;
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool catalogue_same(const struct catalogue_session *a, const struct catalogue_session *b)
{
	return a->workflow == b->workflow && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->title, b->title) == 0 && same_text(a->agent, b->agent) &&
	       strcmp(a->state, b->state) == 0 && memcmp(a->id, b->id, sizeof a->id) == 0 &&
	       a->created == b->created && a->activity == b->activity && a->changed == b->changed &&
	       a->messages == b->messages && a->tokens == b->tokens &&
	       a->interrupted == b->interrupted && a->has_document == b->has_document &&
	       rights_same(&a->dir, &b->dir) && rights_same(&a->document, &b->document);
}

static bool folder_visible(const struct catalogue_folder *f, const struct viewer *who)
{
	return rights_grant(&f->rights, who, RIGHT_READ | RIGHT_SEARCH);
}

bool catalogue_visible(const struct catalogue_session *s, const struct viewer *who)
{
	const struct catalogue_folder *w = s->workflow;

	if (!rights_grant(&s->dir, who, RIGHT_READ | RIGHT_SEARCH))
		return false;
	/* Its title stands in session.json. Where that is gone the session's owner knows it. */
	if (s->has_document ? !rights_grant(&s->document, who, RIGHT_READ)
			    : who->uid != 0 && who->uid != s->dir.uid)
		return false;
	return folder_visible(w, who) && folder_visible(w->parent, who) &&
	       folder_visible(w->parent->parent, who);
}

int catalogue_path(const struct catalogue_session *s, struct buf *ret_path)
{
	return buf_printf(ret_path, "%s/%s/%s", s->workflow->parent->name, s->workflow->name, s->name);
}
