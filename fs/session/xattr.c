/*
 * xattr.c: user.scribefs.*: values that are derived (read by name, never listed), and policies
 * (stored as plain attributes of directories).
 */
#include "fs/session/auto.h"
#include "fs/session/lifecycle.h"
#include "fs/session/markdown.h"
#include "fs/session/property.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/transcript.h"
#include "fs/session/uuid.h"

#include <inttypes.h>

static const char *const derived[] = {"name", "role", "id", "timestamp", "tokens", "number",
        "agent", "model", "session_id", "title", "state", "message_count", "size",
        "links", "code_blocks", "last_activity", "interrupted",
        "writing", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static const char *own_name(const char *name)
{
	size_t len = strlen(PROPERTY_PREFIX);
	return strncmp(name, PROPERTY_PREFIX, len) == 0 ? name + len : NULL;
}

/* Of the session that @inode lies in, as it is seen with it. */
static int get_session_record(struct sessions *s, struct inode *inode, struct srec *ret_rec)
{
	_cleanup_buf_ struct buf value = {0};
	int r = session_record_get_at(s->core, inode->container, RECORD_SESSION, inode->at, &value);
	return r < 0 ? r : srec_decode(value.data, value.len, ret_rec);
}

static int put_text(struct buf *out, const char *text)
{
	return *text ? buf_append(out, text, strlen(text)) : -ENODATA;
}

static int message_id(struct sessions *s, struct inode *inode, uint32_t number, struct buf *out)
{
	_cleanup_srec_ struct srec rec = {0};
	char text[UUID_LEN + 1];
	uint8_t id[16];

	int r = get_session_record(s, inode, &rec);
	if (r < 0)
		return r;
	uuid_of_message(rec.id, number, id);
	uuid_format(id, text);
	return put_text(out, text);
}

/* Links or blocks of code, counted in the text as it is now. -ENODATA: it is not parsed (markdown.h). */
static int count(struct inode *inode, uint32_t header, const char *what, struct buf *out)
{
	_cleanup_buf_ struct buf text = {0};
	struct markdown *markdown;

	pthread_rwlock_rdlock(&inode->lock);
	uint64_t size = inode->rec.size > header ? inode->rec.size - header : 0;
	int r = size > MARKDOWN_MAX ? -EFBIG : buf_resize(&text, (size_t)size);
	ssize_t n = r < 0 ? r : data_read(inode, text.data, text.len, header);
	pthread_rwlock_unlock(&inode->lock);
	if (n >= 0)
		n = markdown_parse(text.data ? (const char *)text.data : "", (size_t)n, &markdown);
	if (n < 0)
		return n == -EFBIG ? -ENODATA : (int)n;
	struct markdown_counts counts = markdown_count(markdown);
	markdown_free(markdown);
	return buf_printf(out, "%u", strcmp(what, "links") == 0 ? counts.links : counts.code_blocks);
}

struct naming {
	uint64_t ino;
	uint32_t number;
};

static int look_at(void *arg, const struct core_dirent *entry)
{
	struct naming *naming = arg;

	if (entry->ino != naming->ino)
		return 0;
	naming->number = name_message_number(entry->name, strlen(entry->name));
	return naming->number ? -ECANCELED : 0; /* found, or another name of it */
}

/*
 * The number of a message in messages/archive/, 0 where @inode, a child of the directory @parent, is none. It is no
 * numbered directory, and a file does not know its name: the directory is searched.
 */
static uint32_t archived_number(struct sessions *s, const struct inode *inode, uint64_t parent)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct naming naming = {.ino = inode->ino};
	uint64_t slot = inode->ino & ~SNAPSHOT_INO_MASK;
	struct core_entry archive;

	if (inode_get(s->core, slot | parent, NULL, &dir) < 0)
		return 0;
	pthread_rwlock_rdlock(&dir->lock);
	uint64_t messages = slot | dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	if (session_dir_role(s, messages) != ROLE_MESSAGES ||
	        core_lookup(s->core, messages, ARCHIVE_NAME, &archive) < 0)
		return 0;
	core_forget(s->core, archive.ino, 1);
	if (archive.ino == dir->ino)
		(void)core_readdir(s->core, dir->ino, 0, false, look_at, &naming);
	return naming.number;
}

/* What is known of a message; of an archived one, which has no facts, as it is read. -ENODATA: it is none. */
static int find_message(struct sessions *s, struct inode *inode, struct message *ret_message, uint32_t *ret_number)
{
	char title[TITLE_AUTO_MAX + 1];

	pthread_rwlock_rdlock(&inode->lock);
	struct irec rec = inode->rec;
	int r = rec.role == ROLE_MESSAGE ? message_decode(inode->facts, ret_message) : -ENODATA;
	pthread_rwlock_unlock(&inode->lock);
	*ret_number = rec.number;
	if (rec.role != ROLE_PLAIN || !S_ISREG(rec.mode))
		return r == -ENOENT ? -ENODATA : r;
	*ret_number = archived_number(s, inode, rec.parent);
	if (!*ret_number)
		return -ENODATA;
	pthread_rwlock_rdlock(&inode->lock);
	rec = inode->rec;
	r = message_read(inode, &rec, ret_message, title);
	pthread_rwlock_unlock(&inode->lock);
	return r;
}

static int get_of_message(
        struct sessions *s, struct inode *inode, const char *name, struct buf *out)
{
	char text[32];
	struct message m;
	uint32_t number;

	int r = find_message(s, inode, &m, &number);
	if (r < 0)
		return r;
	if (strcmp(name, "name") == 0)
		return buf_append(out, text, name_of_message(number, text));
	if (strcmp(name, "number") == 0)
		return buf_printf(out, "%" PRIu32, number);
	if (strcmp(name, "size") == 0)
		return buf_printf(out, "%" PRIu64, m.size);
	if (strcmp(name, "links") == 0 || strcmp(name, "code_blocks") == 0)
		return count(inode, m.header, name, out);
	if (strcmp(name, "role") == 0)
		return put_text(out, message_role_name(m.role));
	if (strcmp(name, "tokens") == 0)
		return buf_printf(
		        out, "%s%" PRIu64, m.flags & MESSAGE_ESTIMATED ? "~" : "", m.tokens);
	if (strcmp(name, "agent") == 0)
		return put_text(out, m.agent);
	if (strcmp(name, "model") == 0)
		return put_text(out, m.model);
	if (strcmp(name, "id") == 0)
		return m.id[0] ? put_text(out, m.id) : message_id(s, inode, number, out);
	if (strcmp(name, "timestamp") != 0)
		return -ENODATA;
	timestamp_format(m.time, text);
	return put_text(out, text);
}

/* Why it did not come to its end. */
static int interrupted(struct sessions *s, struct inode *session, const struct srec *rec, struct buf *out)
{
	const struct transcript_range none = {0};
	unsigned why = rec->flags & SREC_INTERRUPTED ? INTERRUPTED_DAEMON : 0;
	struct transcript *t;

	if (!session->at) {
		int r = transcript_open(s, session->ino, &none, &t);
		if (r < 0)
			return r;
		why = t->interrupted;
		transcript_free(t);
	}
	return put_text(out, why & INTERRUPTED_DAEMON ? "daemon" : why ? "agent" : "");
}

static int get_of_session(
        struct sessions *s, struct inode *inode, const char *name, struct buf *out)
{
	_cleanup_srec_ struct srec rec = {0};
	char text[TITLE_AUTO_MAX + 1];

	int r = inode->at ? 0 : json_freshen(s, inode); /* title and counts may wait for a look at all messages */
	if (r == 0)
		r = get_session_record(s, inode, &rec);
	if (r < 0)
		return r;
	if (strcmp(name, "session_id") == 0) {
		uuid_format(rec.id, text);
		return put_text(out, text);
	}
	if (strcmp(name, "title") == 0)
		return put_text(out, srec_title(&rec, text));
	if (strcmp(name, "state") == 0)
		return put_text(out, state_name(rec.shown_state));
	if (strcmp(name, "writing") == 0)
		return !inode->at && writers_any(s, inode->container->id) ? buf_append(out, "true", 4) : -ENODATA;
	if (strcmp(name, "agent") == 0)
		return put_text(out, rec.agent ? rec.agent : "");
	if (strcmp(name, "interrupted") == 0)
		return interrupted(s, inode, &rec, out);
	if (strcmp(name, "last_activity") == 0) {
		timestamp_format(srec_activity(&rec), text);
		return put_text(out, text);
	}
	return strcmp(name, "message_count") == 0 ? buf_printf(out, "%" PRIu32, rec.messages)
	                                          : -ENODATA;
}

/* Of session.json.rejected, and of a copy of any of these, it is kept. */
static bool has_reason(const struct inode *inode)
{
	uint8_t role = inode->rec.role;

	return role == ROLE_CONTEXT || role == ROLE_AGENT || role == ROLE_SESSION_JSON;
}

static int get_reason(struct sessions *s, struct inode *inode, struct buf *out)
{
	_cleanup_srec_ struct srec rec = {0};

	if (inode->rec.role == ROLE_CONTEXT)
		return context_problem_of(inode, out);
	if (inode->rec.role == ROLE_AGENT)
		return agent_problem_of(inode, out);
	int r = get_session_record(s, inode, &rec);
	return r < 0 ? r : put_text(out, rec.broken ? rec.broken : "");
}

int session_getxattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name,
        struct buf *ret_value)
{
	_cleanup_inode_ struct inode *inode = NULL;
	const char *own = own_name(name);

	if (!own || (!is_one_of(own, derived) && strcmp(own, "reason") != 0))
		return core_getxattr(s->core, ino, name, ret_value);
	int r = inode_get(s->core, ino, NULL, &inode);
	if (r < 0)
		return r;
	ret_value->len = 0;
	if (strcmp(own, "reason") == 0)
		return has_reason(inode) ? get_reason(s, inode, ret_value)
					 : core_getxattr(s->core, ino, name, ret_value);
	if (!inode_is_dir(inode))
		return get_of_message(s, inode, own, ret_value);
	return inode->rec.role == ROLE_SESSION ? get_of_session(s, inode, own, ret_value)
	                                       : -ENODATA;
}

/* Whether @name of ours may be set or removed there: the reason of a rejected save is copied with
 * -X. */
static int check_own(struct sessions *s, uint64_t ino, const char *own, const void *value, size_t size)
{
	_cleanup_inode_ struct inode *inode = NULL;
	const struct property *p = property_find(own);
	int64_t number;
	int r = inode_get(s->core, ino, NULL, &inode);

	if (r < 0)
		return r;
	if (is_one_of(own, derived))
		return -EPERM;
	if (inode_is_dir(inode) && value && p && property_of_store(p) && ino != CORE_ROOT_INO)
		return -EINVAL; /* nobody would ask for it */
	if (inode_is_dir(inode))
		return p && (!value || property_parse(p, value, size, &number) == 0) ? 0 : -EINVAL;
	if (strcmp(own, "reason") != 0)
		return -EINVAL;
	return has_reason(inode) ? -EPERM : 0;
}

/* Policies are inherited, and rights decide what exports/ shows: what was derived is to be looked at again. */
static int derived_anew(struct sessions *s, uint64_t ino, const char *name, int r)
{
	_cleanup_inode_ struct inode *inode = NULL;
	bool rights = strncmp(name, "system.", 7) == 0;

	if (r < 0 || (!own_name(name) && !rights))
		return r;
	if (!rights)
		news_all(s);
	else if (inode_get(s->core, ino, NULL, &inode) == 0)
		container_stamp(inode->container);
	atomic_fetch_add(&s->names, 1);
	return r;
}

static void policies_changed(struct sessions *s)
{
	auto_policies_changed(s);
	lifecycle_all(s);
}

int session_setxattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name,
        const void *value, size_t size, int flags)
{
	const char *own = own_name(name);
	int r = snapshots_refuse(ino);
	if (r == 0 && own)
		r = check_own(s, ino, own, value, size);
	if (r == 0)
		r = derived_anew(s, ino, name, core_setxattr(s->core, who, ino, name, value, size, flags));
	if (r == 0 && own)
		policies_changed(s);
	return r;
}

int session_removexattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name)
{
	const char *own = own_name(name);
	int r = snapshots_refuse(ino);
	if (r == 0 && own)
		r = check_own(s, ino, own, NULL, 0);
	if (r == 0)
		r = derived_anew(s, ino, name, core_removexattr(s->core, who, ino, name));
	if (r == 0 && own)
		policies_changed(s);
	return r;
}
