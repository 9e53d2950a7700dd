/*
 * problems.c: what in a session is not as documented. The record knows which files that are; what it is in context.json
 * and `agent` is read from them when somebody asks.
 */
#include "fs/session/context.h"
#include "fs/session/messages.h"
#include "fs/session/transcript.h"

static int problem_of_context(struct sessions *s, struct inode *session, struct buf *ret_text)
{
	_cleanup_inode_ struct inode *file = NULL;
	int r = context_find(s, session, &file);

	return r < 0 ? r : context_problem_of(file, ret_text);
}

static int problem_of_agent(struct sessions *s, struct inode *session, struct buf *ret_text)
{
	_cleanup_inode_ struct inode *file = NULL;
	struct core_entry entry;
	int r = core_lookup(s->core, session->ino, "agent", &entry);

	if (r < 0)
		return r;
	r = inode_get(s->core, entry.ino, NULL, &file);
	core_forget(s->core, entry.ino, 1);
	if (r == 0 && file->rec.role != ROLE_AGENT)
		r = -ENODATA;
	return r < 0 ? r : agent_problem_of(file, ret_text);
}

typedef int (*find_problem)(struct sessions *s, struct inode *session, struct buf *ret_text);

static int tell(struct sessions *s, struct inode *session, const char *file, find_problem find, session_problem each,
	void *arg)
{
	_cleanup_buf_ struct buf text = {0};
	int r = find(s, session, &text);

	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r == 0)
		each(arg, file, (const char *)text.data);
	return r == -ENODATA || r == -ENOENT ? 0 : r;
}

int session_problems(struct sessions *s, uint64_t ino, session_problem each, void *arg)
{
	_cleanup_inode_ struct inode *session = NULL;
	_cleanup_srec_ struct srec rec = {0};
	int r = inode_get(s->core, ino, NULL, &session);

	if (r == 0 && session->rec.role != ROLE_SESSION)
		r = -ENOENT;
	if (r == 0)
		r = record_read(s, session->container, &rec);
	if (r < 0)
		return r;
	if (rec.broken)
		each(arg, JSON_NAME, rec.broken);
	if (rec.context & CONTEXT_BROKEN)
		r = tell(s, session, CONTEXT_NAME, problem_of_context, each, arg);
	if (r == 0 && rec.flags & SREC_AGENT_BROKEN)
		r = tell(s, session, "agent", problem_of_agent, each, arg);
	return r;
}
