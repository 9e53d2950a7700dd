/*
 * transcript_past.c: a session of a snapshot, for whoever renders it: what transcript.c has of the present from the
 * record alone is here what the snapshot's session.json says (past_json.c renders that as of then).
 */
#include "fs/session/json.h"
#include "fs/session/messages.h"
#include "fs/session/transcript.h"

int record_read_past(struct sessions *s, struct inode *session, struct srec *ret_rec)
{
	_cleanup_buf_ struct buf value = {0};
	struct op op = {.core = s->core};
	int r = session_record_get_at(s->core, session->container, RECORD_SESSION, session->at, &value);

	if (r == 0)
		r = srec_decode(value.data, value.len, ret_rec);
	return r == 0 && ret_rec->flags & SREC_RECOUNT ? recount(&op, session, ret_rec) : r;
}

static int read_document(struct sessions *s, struct inode *session, struct json_object *ret_object)
{
	_cleanup_inode_ struct inode *file = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct core_entry entry;
	const char *why;
	int r = core_lookup(s->core, session->ino, JSON_NAME, &entry);

	if (r < 0)
		return r;
	r = inode_get(s->core, entry.ino, NULL, &file);
	core_forget(s->core, entry.ino, 1);
	if (r == 0)
		r = context_text(file, &text);
	return r < 0 ? r : json_object_parse((const char *)text.data, text.len, ret_object, &why);
}

static int take_text(const struct json_object *o, const char *key, char **ret_text)
{
	const char *value = json_get(o, key);
	int r = value ? json_string(value, ret_text) : 0;

	return r == -EINVAL ? 0 : r;
}

int transcript_load_past(struct sessions *s, struct inode *session, const struct srec *rec, struct transcript *t)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_buf_ struct buf text = {0};
	_cleanup_free_ char *state = NULL;
	uint8_t number = STATE_ACTIVE;
	int r = read_document(s, session, &o);

	if (r < 0 && r != -ENOENT && r != -EINVAL && r != -EBADMSG)
		return r;
	r = take_text(&o, "user_id", &t->user);
	if (r == 0)
		r = take_text(&o, "workflow_type", &t->workflow);
	if (r == 0)
		r = take_text(&o, "state", &state);
	if (r == 0 && !t->user)
		t->user = strdup("");
	if (r == 0 && !t->workflow)
		t->workflow = strdup("");
	if (r == 0 && (!t->user || !t->workflow))
		r = -ENOMEM;
	if (r == 0)
		r = json_object_text(&o, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r < 0)
		return r;
	t->document = (char *)steal_ptr(text.data);
	if (state)
		(void)state_parse(state, &number);
	t->state = state_name(number);
	t->until = TIME_NEVER;
	t->interrupted = rec->flags & SREC_INTERRUPTED ? INTERRUPTED_DAEMON : 0;
	return 0;
}
