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

static int take_facts(struct session_brief *b, struct catalogue_session *s)
{
	s->stamp = b->stamp;
	s->title = steal_ptr(b->title);
	s->agent = steal_ptr(b->agent);
	s->state = b->state;
	s->created = b->created;
	s->activity = b->activity;
	s->changed = b->changed;
	s->messages = b->messages;
	s->tokens = b->tokens;
	s->interrupted = b->interrupted;
	s->until = b->until;
	memcpy(s->id, b->id, sizeof s->id);
	int r = link_of(s->title, &s->link);
	if (r == 0 && s->agent)
		r = link_of(s->agent, &s->agent_link);
	return r;
}

static int take_rights(struct core *core, uint64_t ino, const struct stat *st, bool has_acl, struct rights *ret_rights)
{
	if (has_acl)
		return rights_load(core, ino, st, ret_rights);
	*ret_rights = (struct rights){.uid = st->st_uid, .gid = st->st_gid, .mode = st->st_mode & 0777};
	return 0;
}

static int read_session(struct sessions *sessions, const struct catalogue_folder *workflow, struct session_walk *walk,
	struct catalogue_session *s)
{
	_cleanup_(session_brief_release) struct session_brief b = {0};
	const struct session_where where = {
		.workflow = workflow->ino, .workflow_name = workflow->name, .user_name = workflow->parent->name};
	struct core *core = session_core(sessions);
	int r = session_brief(sessions, s->ino, &where, walk, &b);

	if (r == 0)
		r = take_facts(&b, s);
	if (r == 0)
		r = take_rights(core, s->ino, &b.dir, b.has_xattrs, &s->dir);
	s->has_document = b.document_ino != 0;
	if (r == 0 && s->has_document)
		r = take_rights(core, b.document_ino, &b.document, b.has_xattrs, &s->document);
	if (r == 0 && s->agent)
		r = catalogue_hash(sessions, s->agent_link, &s->agent_hash);
	return r;
}

int catalogue_read(struct sessions *sessions, const struct catalogue_folder *workflow, uint64_t ino,
	struct session_walk *walk, struct catalogue_session *ret_session)
{
	struct catalogue_session s = {.ino = ino};
	int r = read_session(sessions, workflow, walk, &s);

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
