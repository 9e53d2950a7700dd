/*
 * rename.c: what the rules add to rename and link: nothing becomes what it was not by being moved,
 * except files within their session, which become or cease to be a message or session.json.
 */
#include "fs/session/auto.h"
#include "fs/session/lifecycle.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"

#include <linux/fs.h>

struct move {
	struct sessions *s;
	uint8_t child_role, victim_role; /* at their new names */
	bool saved;                      /* session.json is another file now */
	bool kept;                       /* version_keep() was called */
	bool trouble;                    /* a reason for a snapshot at once */
	bool renamed;                    /* a user, workflow or session has another name now */
	struct inode *taken[2];
	const struct rename_expected *expected; /* the daemon's own */
	bool workflow;                          /* one has another place now */
};

static mode_t type_of(const struct inode *inode)
{
	return inode->rec.mode & S_IFMT;
}

/* What @inode would be as @name in @dir. -EPERM, -EXDEV. */
static int plan_move(
        struct inode *inode, struct inode *dir, const char *name, size_t len, uint8_t *ret_role)
{
	uint8_t parent = dir->rec.role;
	int r = rules_check_name(parent, name, len, type_of(inode));

	if (r < 0)
		return r;
	if (rules_is_next(parent, name))
		return -EXDEV;
	*ret_role = rules_role(parent, name, len, type_of(inode));
	if (*ret_role == inode->rec.role)
		return 0;
	/* the role of a file is what its name says; that of a directory is for life */
	return S_ISREG(type_of(inode)) && inode->container == dir->container ? 0 : -EXDEV;
}

static int rename_plan(struct op *op, void *arg)
{
	struct move *m = arg;
	m->taken[0] = m->taken[1] = NULL;
	m->renamed = m->saved = m->trouble = m->workflow = false;
	if (m->expected && op->child->ino != m->expected->ino)
		return -ENOENT;
	int r = plan_move(op->child, op->dir2, op->name2, op->name2_len, &m->child_role);
	if (r == 0 && op->rename_flags & RENAME_EXCHANGE && op->victim)
		r = plan_move(op->victim, op->dir, op->name, op->name_len, &m->victim_role);
	return r;
}

/* The file is now @name in @dir. */
static int arrive(struct op *op, struct move *m, struct inode *dir, const char *name, size_t len,
        struct inode *file, uint8_t role, struct srec *rec)
{
	uint32_t number = name_message_number(name, len);
	struct irec *irec = op_stage(op, file);
	bool step = false;
	int r = 0;

	if (dir->rec.role == ROLE_MESSAGES) {
		rec->flags &= (uint16_t)~SREC_MESSAGES_AUTO;
		srec_number_used(rec, number, role == ROLE_MESSAGE);
	}
	if (role == ROLE_MESSAGE) {
		r = take_message(op, file, number, rec);
	} else if (role == ROLE_SESSION_JSON) {
		_cleanup_inode_ struct inode *session = inode_ref(dir);
		irec->role = role;
		m->saved = true;
		r = save_take(op, m->s, session, file, rec);
	} else if (role == ROLE_AGENT) {
		irec->role = role;
		r = agent_take(op, file, rec);
	} else if (role == ROLE_CONTEXT) {
		irec->role = role;
		r = context_take(op, file, rec, &step);
	}
	m->trouble |= step || rec->trouble;
	if (role != ROLE_PLAIN)
		m->taken[m->taken[0] ? 1 : 0] = file;
	return r;
}

/*
 * What an editor renames over a message is that message still: born when it was, or each correction would move its
 * time to now. A time that somebody set, as rsync does, is the file's own.
 */
static void keep_birth(struct op *op, struct inode *file, struct inode *old)
{
	struct irec *irec = op_stage(op, file);
	const struct irec *was = op_stage(op, old);
	struct message m;

	if (!irec || !was || irec->role == ROLE_MESSAGE || was->role != ROLE_MESSAGE || irec->flags & INODE_MTIME_SET)
		return;
	struct timespec birth = was->btime;
	if (message_decode(op_facts(op, old), &m) == 0 && !(m.flags & MESSAGE_TIMED) && m.time < timestamp_ms(&birth))
		birth = timestamp_from_ms(m.time);
	if (timestamp_ms(&birth) < timestamp_ms(&irec->btime))
		irec->btime = birth;
}

/* Regular files: names go and come within the one session that holds them. */
static int rename_files(struct op *op, struct move *m)
{
	struct container *c = op->dir->container;
	bool exchange = op->rename_flags & RENAME_EXCHANGE;
	_cleanup_srec_ struct srec rec = {0};

	int r = m->child_role == op->child->rec.role ? 0 : version_check(m->s, op, op->child, m->kept);
	if (r == 0 && op->victim && (!exchange || m->victim_role != op->victim->rec.role))
		r = version_check(m->s, op, op->victim, m->kept);
	if (r == 0)
		r = json_load(op, m->s, c, &rec);
	struct srec before = rec;
	if (r == 0 && op->victim && !exchange && m->child_role == ROLE_MESSAGE)
		keep_birth(op, op->child, op->victim);
	if (r == 0)
		r = remove_meaning(op, op->dir, op->name, op->name_len, op->child, &rec);
	if (m->expected) { /* it goes to messages/archive/, and is the session's still */
		rec.flags = before.flags | SREC_CHANGED | SREC_ARCHIVED;
		rec.title_number = before.title_number;
	}
	if (r == 0 && op->victim)
		r = remove_meaning(op, op->dir2, op->name2, op->name2_len, op->victim, &rec);
	if (r == 0)
		r = arrive(
		        op, m, op->dir2, op->name2, op->name2_len, op->child, m->child_role, &rec);
	if (r == 0 && exchange)
		r = arrive(
		        op, m, op->dir, op->name, op->name_len, op->victim, m->victim_role, &rec);
	return r < 0 ? r : srec_store(op, c, &rec);
}

/* Whether the session's record has anything to learn: most renames are of plain files. */
static bool concerns_record(const struct op *op, const struct move *m)
{
	return op->dir2->rec.role == ROLE_MESSAGES || m->child_role != ROLE_PLAIN ||
	       op->child->rec.role != ROLE_PLAIN ||
	       (op->victim && op->victim->rec.role != ROLE_PLAIN);
}

/* Into .trash, or out of it: the record has since when. */
static int note_trash(struct op *op, struct move *m, struct inode *session, struct inode *from, struct inode *to)
{
	_cleanup_srec_ struct srec rec = {0};
	bool was, is;
	int r = place_in_trash(op, from, &was);

	if (r == 0)
		r = place_in_trash(op, to, &is);
	if (r == 0)
		r = srec_load(op, session->container, &rec);
	if (r < 0) /* a damaged session can be moved */
		return r == -EBADMSG && !m->expected ? 0 : r;
	if (m->expected && (rec.activity != m->expected->activity || writers_any(m->s, session->container->id)))
		return -EBUSY;
	if (was == is)
		return 0;
	rec.trashed = is ? session_clock_most(m->s) : 0;
	if (is && rec.state == STATE_DELETED)
		rec.state = STATE_AUTO;
	srec_changed(&rec, &op->now);
	return srec_store(op, session->container, &rec);
}

/* A directory that is a container has another name or place. */
static int rename_container(struct op *op, struct move *m, struct inode *inode, struct inode *from,
        struct inode *dir, const char *name, size_t len)
{
	_cleanup_(container_putp) struct container *user = NULL;
	uint32_t day, number;
	int r = 0;

	switch (inode->rec.role) {
	case ROLE_WORKFLOW:
		m->workflow = from != dir;
		/* fall through */
	case ROLE_USER:
		r = place_put_name(op, inode->container, name, len);
		break;
	case ROLE_SESSION:
		number = ids_session_number(name, len, &day);
		if (number)
			r = place_user_of(op, dir, &user);
		if (number && r == 0)
			r = ids_raise_day(op, user, day, number);
		if (r == 0)
			r = note_trash(op, m, inode, from, dir);
		break;
	default:
		return 0;
	}
	m->renamed = true;
	news_named(m->s, dir->ino, name, len);
	return r;
}

/* With the locks held. The kernel keeps the moved name as long as it kept the old one. */
static void rename_published(struct op *op, void *arg)
{
	struct move *m = arg;
	const struct inode *to = op->dir2 ? op->dir2 : op->dir;
	for (int i = 0; i < 2; i++)
		if (m->taken[i])
			m->taken[i]->untaken = false;
	if (m->taken[0])
		auto_closed(m->s, op->dir->container, m->trouble);
	if (m->saved && m->s->changed)
		m->s->changed(m->s->changed_arg, container_root(op->dir->container), NULL);
	if (m->renamed) {
		atomic_fetch_add(&m->s->names, 1);
		if (op->child->rec.role == ROLE_SESSION)
			recovery_named(op->child->container, op->name2, op->name2_len);
		if (op->victim && op->victim->rec.role == ROLE_SESSION)
			recovery_named(op->victim->container, op->name, op->name_len);
	}
	if (m->workflow)
		lifecycle_all(m->s);
	if (to->rec.role == ROLE_MESSAGES || to->rec.role == ROLE_WORKFLOW)
		lifecycle_grown(m->s, to->container);
}

static int rename_also(struct op *op, void *arg)
{
	struct move *m = arg;
	bool exchange = op->rename_flags & RENAME_EXCHANGE;
	int r = rename_container(op, m, op->child, op->dir, op->dir2, op->name2, op->name2_len);

	if (r == 0 && op->victim && exchange)
		r = rename_container(op, m, op->victim, op->dir2, op->dir, op->name, op->name_len);
	if (r == 0 && op->victim && !exchange)
		r = remove_records(op, op->victim);
	op->published = rename_published;
	op->published_arg = m;
	if (r < 0 || op->dir->container != op->dir2->container)
		return r;
	return S_ISREG(type_of(op->child)) && concerns_record(op, m) ? rename_files(op, m) : 0;
}

/* A name that the maker of a session does not see cannot be in his way. */
static unsigned visible_flags(struct sessions *s, const struct cred *who, uint64_t parent,
        const char *name, unsigned flags)
{
	_cleanup_inode_ struct inode *dir = NULL;
	unsigned pending;

	if (!(flags & RENAME_NOREPLACE) || strcmp(name, JSON_NAME) != 0 ||
	        inode_get(s->core, parent, NULL, &dir) < 0 || dir->rec.role != ROLE_SESSION ||
	        !(maker_hidden(s, who, dir, &pending) & SREC_JSON_AUTO))
		return flags;
	return flags & ~(unsigned)RENAME_NOREPLACE;
}

int session_rename(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        uint64_t new_parent, const char *new_name, unsigned flags)
{
	struct move m = {.s = s};
	struct core_rule rule = {.plan = rename_plan, .also = rename_also, .arg = &m};

	if (!snapshot_is_present(parent) || !snapshot_is_present(new_parent))
		return snapshots_rename(s, parent, name, new_parent, new_name, flags);
	flags = visible_flags(s, who, new_parent, new_name, flags);
	int r = core_rename(s->core, who, parent, name, new_parent, new_name, flags, &rule);
	if (r == VERSION_UNHELD) {
		version_keep(s, parent);
		m.kept = true;
		r = core_rename(s->core, who, parent, name, new_parent, new_name, flags, &rule);
	}
	return r;
}

int rename_by_daemon(struct sessions *s, uint64_t parent, const char *name, uint64_t new_parent,
        const char *new_name, const struct rename_expected *expected)
{
	struct move m = {.s = s, .kept = true, .expected = expected};
	struct core_rule rule = {.plan = rename_plan, .also = rename_also, .arg = &m};

	return core_rename(s->core, &(struct cred){0}, parent, name, new_parent, new_name, RENAME_NOREPLACE, &rule);
}

/* ---- link ------------------------------------------------------------------------------------ */

static int link_plan(struct op *op, void *arg)
{
	struct move *m = arg;
	uint8_t parent = op->dir->rec.role;
	int r = rules_check_name(parent, op->name, op->name_len, type_of(op->child));

	m->taken[0] = m->taken[1] = NULL;
	m->saved = false;
	if (r < 0)
		return r;
	if (rules_is_next(parent, op->name) || op->child->container != op->dir->container)
		return -EXDEV;
	m->child_role = rules_role(parent, op->name, op->name_len, type_of(op->child));
	return 0;
}

static int link_also(struct op *op, void *arg)
{
	struct move *m = arg;
	_cleanup_srec_ struct srec rec = {0};

	maker_goes_on(m->s, op->dir->container, 0);
	if (m->child_role == ROLE_PLAIN && op->dir->rec.role != ROLE_MESSAGES)
		return 0;
	op->published = rename_published;
	op->published_arg = m;
	int r = srec_load(op, op->dir->container, &rec);
	if (r == 0)
		r = arrive(op, m, op->dir, op->name, op->name_len, op->child, m->child_role, &rec);
	return r < 0 ? r : srec_store(op, op->dir->container, &rec);
}

int session_link(struct sessions *s, const struct cred *who, uint64_t ino, uint64_t parent,
        const char *name, struct core_entry *ret_entry)
{
	struct move m = {.s = s};
	struct core_rule rule = {.plan = link_plan, .also = link_also, .arg = &m};
	int r = snapshots_refuse(parent);
	if (r == 0 && !snapshot_is_present(ino))
		r = -EXDEV;
	if (r == 0)
		r = core_link(s->core, who, ino, parent, name, &rule, ret_entry);
	if (r == 0 && m.saved)
		ret_entry->fleeting_name = true;
	return r;
}
