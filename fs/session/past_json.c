/*
 * past_json.c: session.json in a snapshot. What the file holds is the last rendering, which may be older than
 * what the session's record said when the snapshot was taken (nobody had looked). So it is rendered when its
 * inode is loaded, from the records as they were; the same facts give the same bytes as then.
 *
 * Names of a workflow or a user above the place are not in the snapshot: today's would be shown. So a file that
 * nothing else speaks against is left as it is then; a session's own snapshot is taken after a rendering.
 */
#include "fs/core/snapshot.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"

int past_dir_above(struct inode *dir, struct inode **ret_parent)
{
	_cleanup_inode_ struct inode *present = NULL;
	struct core *core = dir->core;
	uint64_t parent = dir->rec.parent;

	if (dir->at && snapshot_is_dir(parent)) {
		int r = inode_get(core, snapshot_present_ino(dir->ino), NULL, &present);
		if (r < 0)
			return r;
		dir = present;
	}
	if (!dir->at) {
		pthread_rwlock_rdlock(&dir->lock);
		parent = dir->rec.parent;
		pthread_rwlock_unlock(&dir->lock);
	}
	return inode_get(core, parent, NULL, ret_parent);
}

static int name_of(struct inode *dir, char ret_name[CORE_NAME_MAX + 1])
{
	_cleanup_buf_ struct buf value = {0};
	int r = session_record_get_at(dir->core, dir->container, RECORD_NAME, dir->at, &value);

	if (r < 0)
		return r;
	if (value.len > CORE_NAME_MAX)
		return -EBADMSG;
	memcpy(ret_name, value.data, value.len);
	ret_name[value.len] = '\0';
	return 0;
}

/* *ret_covered: both names are the snapshot's. */
static int place_of(struct inode *session, struct place *ret_place, bool *ret_covered)
{
	_cleanup_inode_ struct inode *workflow = NULL, *user = NULL;
	int r = past_dir_above(session, &workflow);

	if (r == 0)
		r = name_of(workflow, ret_place->workflow_name);
	if (r == 0)
		r = past_dir_above(workflow, &user);
	if (r == 0 && user->rec.role == ROLE_TRASH) {
		ret_place->trash = true;
		inode_put(workflow);
		workflow = steal_ptr(user);
		r = past_dir_above(workflow, &user);
	}
	if (r == 0)
		r = name_of(user, ret_place->user_name);
	if (r == 0)
		*ret_covered = workflow->at && user->at;
	return r;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void show(struct inode *file, const struct srec *rec, struct buf *text)
{
	struct irec *irec = &file->rec;
	struct timespec changed = timestamp_from_ms(srec_last_change(rec));

	buf_release(&file->inline_data);
	file->inline_data = *text;
	*text = (struct buf){0};
	irec->body = INODE_INLINE;
	irec->size = file->inline_data.len;
	irec->mtime = timestamp_from_ms(rec->updated);
	if (changed.tv_sec > irec->ctime.tv_sec ||
	        (changed.tv_sec == irec->ctime.tv_sec && changed.tv_nsec > irec->ctime.tv_nsec))
		irec->ctime = changed;
}

static int render(struct sessions *s, struct inode *file, struct inode *session, struct srec *rec)
{
	struct op op = {.core = file->core};
	struct place place = {0};
	_cleanup_buf_ struct buf text = {0};
	char automatic[TITLE_AUTO_MAX + 1];
	struct snapshot_info info;
	struct moment moment = {.now = 0};
	struct shown shown;
	bool changed = false, covered = false;
	int r = snapshot_of_ino(file->core, file->ino, &info);

	op.now = info.taken;
	if (r == 0)
		r = place_of(session, &place, &covered);
	if (r == 0)
		r = policy_ages(s, session, &moment.ages);
	moment.now = timestamp_ms(&info.taken);
	/* The place of today is not where it lay then. */
	moment.trash = covered ? place.trash : rec->shown_state == STATE_DELETED;
	if (r == 0 && !covered && !(rec->flags & (SREC_CHANGED | SREC_RECOUNT | SREC_FILE_STALE)))
		return 0;
	if (r == 0 && rec->flags & SREC_RECOUNT)
		r = recount(&op, session, rec);
	if (r == 0)
		r = json_settle(&op, session->container->domain, rec, &place, &moment, &shown, &changed);
	if (r < 0 || !changed)
		return r;
	shown.title = srec_title(rec, automatic);
	r = render_session(rec, &place, &shown, &text);
	if (r == 0)
		show(file, rec, &text);
	return r;
}

int past_json_loaded(void *arg, struct inode *file)
{
	_cleanup_inode_ struct inode *session = NULL;
	_cleanup_buf_ struct buf value = {0};
	_cleanup_srec_ struct srec rec = {0};
	struct timespec updated;
	int r;

	if (file->rec.role != ROLE_SESSION_JSON)
		return 0;
	r = session_record_get_at(file->core, file->container, RECORD_SESSION, file->at, &value);
	if (r == 0)
		r = srec_decode(value.data, value.len, &rec);
	if (r == 0)
		r = inode_get(file->core, file->rec.parent, NULL, &session);
	if (r < 0)
		return 0; /* the file itself is good */
	/* Somebody was about to save: what they had written is what is in it. */
	updated = timestamp_from_ms(rec.updated);
	if (same_time(&updated, &file->rec.mtime))
		(void)render(arg, file, session, &rec);
	return 0;
}
