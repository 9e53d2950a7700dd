/*
 * make.c: what the rules add to making: roles, containers, a session's pair and record, numbers of
 * messages.
 */
#include "fs/core/acl.h"
#include "fs/session/auto.h"
#include "fs/session/lifecycle.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

#include <fcntl.h>
#include <stdio.h>

#define NUMBER_MAX 999999999u

static int load(struct op *op, struct make *m)
{
	if (m->have_rec)
		return 0;
	int r = json_load(op, m->s, op->dir->container, &m->rec);
	m->have_rec = r == 0;
	return r;
}

static int plan_next(struct op *op, struct make *m)
{
	if (!m->create)
		return -EPERM;
	int r = load(op, m);
	if (r < 0)
		return r;
	if (m->rec.number_high >= NUMBER_MAX)
		return -ENOSPC;
	op->name_len = name_of_message(m->rec.number_high + 1, op->name_buf);
	op->name = op->name_buf;
	return 0;
}

/* session_new(): the next name of today. */
static int plan_numbered(struct op *op, struct make *m)
{
	_cleanup_(container_putp) struct container *user = NULL;
	uint32_t number, day;
	struct tm tm;

	gmtime_r(&op->now.tv_sec, &tm);
	day = (uint32_t)((tm.tm_year % 100) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
	int r = place_user_of(op, op->dir, &user);
	if (r == 0)
		r = ids_get_day(op, user, day, &number);
	if (r < 0)
		return r;
	if (number >= 99999999)
		return -ENOSPC;
	op->name_len = (size_t)snprintf(op->name_buf, 32, "SESSION-%06u-%03u", day, number + 1);
	op->name = op->name_buf;
	memcpy(m->name, op->name_buf, op->name_len + 1);
	return 0;
}

static void release(struct make *m)
{
	srec_release(&m->rec);
	m->rec = (struct srec){0};
	m->have_rec = false;
}

int make_plan(struct op *op, void *arg)
{
	struct make *m = arg;
	uint8_t role = op->dir->rec.role;

	release(m); /* of an earlier try */
	int r = rules_check_name(role, op->name, op->name_len, m->type);
	if (r == 0 && rules_is_next(role, op->name))
		r = plan_next(op, m);
	else if (r == 0 && m->numbered)
		r = role == ROLE_WORKFLOW ? plan_numbered(op, m) : -EINVAL;
	if (r == 0 && role == ROLE_MESSAGES)
		r = load(op, m);
	if (r < 0)
		return r;
	op->role = rules_role(role, op->name, op->name_len, m->type);
	if (op->role == ROLE_USER || op->role == ROLE_WORKFLOW || op->role == ROLE_SESSION)
		op->container_kind = op->role;
	op->new_domain = op->role == ROLE_USER;
	if (op->new_domain)
		op->who.umask |= 077; /* as with home folders: only a chmod or a default ACL lets others in */
	if (op->role == ROLE_MESSAGES)
		op->inode_flags |= INODE_NUMBERED;
	return 0;
}

/* A part of the pair: owner, group and rights as the session has them. */
static int make_part(struct op *op, struct inode *session, const char *name, mode_t mode,
        uint8_t role, uint8_t flags)
{
	const struct irec *like = op_stage(op, session);
	struct inode *part;
	mode_t kept = S_ISDIR(mode) ? 0777 | S_ISGID : 0666, umask = op->who.umask;

	int r = op_new_inode(op, session->container, mode | (like->mode & kept), role, &part);
	if (r < 0)
		return r;
	struct irec *rec = op_stage(op, part);
	rec->uid = like->uid;
	rec->gid = like->gid;
	rec->flags |= flags;
	/* Nobody asked for them, so nobody else gets in, unless a default ACL lets others. */
	op->who.umask |= 077;
	r = acl_inherit(op, session, part, rec->mode);
	op->who.umask = umask;
	return r < 0 ? r : op_add_entry(op, session, name, strlen(name), part);
}

/* Ids, and the highest number of the day, in the user's container. */
static int put_ids(struct op *op, const struct srec *rec)
{
	_cleanup_(container_putp) struct container *user = NULL;
	uint32_t day, number = ids_session_number(op->name, op->name_len, &day);

	int r = place_user_of(op, op->dir, &user);
	if (r == 0)
		r = ids_put(op, user, rec->id, op->child->container->id);
	if (r == 0 && number)
		r = ids_raise_day(op, user, day, number);
	return r;
}

static int make_session(struct op *op, struct make *m)
{
	struct container *c = op->child->container;
	struct session_memory *memory = memory_of(c);
	_cleanup_srec_ struct srec rec = {0};
	bool trash;

	if (!memory)
		return -ENOMEM;
	int r = make_part(op, op->child, "messages", S_IFDIR, ROLE_MESSAGES, INODE_NUMBERED);
	if (r == 0)
		r = make_part(op, op->child, JSON_NAME, S_IFREG, ROLE_SESSION_JSON, 0);
	if (r < 0)
		return r;
	uuid_random(rec.id);
	rec.created = rec.updated = rec.changed = timestamp_ms(&op->now);
	rec.activity = ACTIVITY_NONE;
	rec.epoch = m->s->epoch;
	rec.flags = SREC_MESSAGES_AUTO | SREC_JSON_AUTO | SREC_CHANGED;
	r = place_in_trash(op, op->dir, &trash);
	if (r < 0)
		return r;
	rec.trashed = trash ? session_clock_most(m->s) : 0;
	maker_begin(m->s, memory, op->who.pid);
	memory->checked = true;
	recovery_named(c, op->name, op->name_len);
	lifecycle_grown(m->s, op->dir->container);
	if (m->title)
		r = srec_set(&rec.title, m->title);
	if (r == 0)
		r = put_ids(op, &rec);
	return r < 0 ? r : srec_store(op, c, &rec);
}

/* Something is made in messages/. */
static int make_in_messages(struct op *op, struct make *m)
{
	struct container *c = op->dir->container;
	uint32_t number = name_message_number(op->name, op->name_len);
	int r = 0;

	if (!number && !(m->rec.flags & SREC_MESSAGES_AUTO))
		return 0;
	m->rec.flags &= (uint16_t)~SREC_MESSAGES_AUTO;
	srec_number_used(&m->rec, number, op->role == ROLE_MESSAGE);
	if (op->role == ROLE_MESSAGE)
		r = take_message(op, op->child, number, &m->rec);
	lifecycle_grown(m->s, c);
	return r < 0 ? r : srec_store(op, c, &m->rec);
}

static int make_json(struct op *op)
{
	struct container *c = op->dir->container;
	_cleanup_srec_ struct srec rec = {0};

	op->child->untaken = true; /* until it is closed; nobody renders it meanwhile */
	int r = srec_load(op, c, &rec);
	if (r < 0)
		return r;
	rec.flags &= (uint16_t) ~(SREC_JSON_AUTO | SREC_JSON_GONE);
	return srec_store(op, c, &rec);
}

int make_also(struct op *op, void *arg)
{
	struct make *m = arg;

	maker_goes_on(m->s, op->dir->container, S_ISREG(m->type) ? op->child->ino : 0);
	if (op->dir->rec.role == ROLE_MESSAGES)
		return make_in_messages(op, m);
	switch (op->role) {
	case ROLE_USER:
	case ROLE_WORKFLOW:
		news_named(m->s, op->dir->ino, op->name, op->name_len);
		return place_put_name(op, op->child->container, op->name, op->name_len);
	case ROLE_SESSION:
		news_named(m->s, op->dir->ino, op->name, op->name_len);
		return make_session(op, m);
	case ROLE_SESSION_JSON:
		return make_json(op);
	default:
		return 0;
	}
}

static int make(struct make *m, const struct cred *who, uint64_t parent, const char *name,
        const struct core_make *what, struct core_entry *ret_entry)
{
	struct core_rule rule = {.plan = make_plan, .also = make_also, .arg = m};

	m->type = what->mode & S_IFMT;
	int r;

	do
		r = core_make(m->s->core, who, parent, name, what, &rule, ret_entry);
	while (r == -ENOSPC && auto_make_room(m->s));
	release(m);
	return r;
}

int session_make(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        const struct core_make *what, struct core_entry *ret_entry)
{
	struct make m = {.s = s};
	if (!snapshot_is_present(parent))
		return snapshots_make(s, who, parent, name, what, ret_entry);
	int r = maker_adopt(s, who, parent, name, what->mode);

	if (r > 0)
		return session_lookup(s, who, parent, name, ret_entry);
	return r < 0 ? r : make(&m, who, parent, name, what, ret_entry);
}

#define RACES_MAX 100

/* What is there is opened where that may be; it may be gone again before it is found. @*flags loses O_TRUNC if made. */
static int make_or_find(struct make *m, const struct cred *who, uint64_t parent, const char *name,
        const struct core_make *what, int *flags, struct core_entry *ret_entry)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < RACES_MAX; i++) {
		r = make(m, who, parent, name, what, ret_entry);
		if (r == 0)
			*flags &= ~O_TRUNC; /* it is empty, and needs no transaction to become so */
		if (r != -EEXIST || *flags & O_EXCL)
			break;
		r = session_lookup(m->s, who, parent, name, ret_entry);
	}
	return r;
}

int session_create(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        mode_t mode, int flags, struct core_entry *ret_entry, struct file **ret_file)
{
	struct core_make what = {.mode = S_IFREG | (mode & 07777)};
	struct make m = {.s = s, .create = true};
	struct core_entry entry;

	int r = snapshots_refuse(parent);
	if (r == 0)
		r = maker_adopt(s, who, parent, name, what.mode);
	if (r > 0) {
		flags &= ~O_TRUNC; /* there is nothing in it */
		r = core_lookup(s->core, parent, name, &entry);
	} else if (r == 0) {
		r = make_or_find(&m, who, parent, name, &what, &flags, &entry);
	}
	if (r < 0)
		return r;
	r = session_file_open(s, who, entry.ino, flags & ~(O_CREAT | O_EXCL), ret_file);
	if (r < 0) {
		core_forget(s->core, entry.ino, 1);
		return r;
	}
	uint8_t role = session_dir_role(s, parent);
	entry.fleeting_name =
	        rules_is_next(role, name) || role == ROLE_SESSION; /* see session_lookup() */
	*ret_entry = entry;
	return 0;
}

int session_new(struct sessions *s, const struct cred *who, uint64_t workflow, const char *title,
        char ret_name[32], struct core_entry *ret_entry)
{
	struct core_make what = {.mode = S_IFDIR | 0777};
	struct make m = {.s = s, .title = title, .numbered = true, .name = ret_name};

	int r = snapshots_refuse(workflow);
	if (r == 0)
		r = make(&m, who, workflow, "SESSION-", &what, ret_entry);
	if (r == 0 && s->changed)
		s->changed(s->changed_arg, workflow, NULL); /* the kernel did not ask for it */
	return r;
}
