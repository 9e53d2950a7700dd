/*
 * maker.c: the process that made a session does not see the untouched messages/ and session.json,
 * which it did not make: cp -a and copytree take the directory that they have just made to be
 * empty.
 *
 * That ends: who goes on living and wants to write a message must find messages/. A program that copies makes one
 * thing after the other, and makes what it has looked for at once. So it ends for good when nothing was made in the
 * session for QUIET_MS (and the file that was made last is not being written any more), or when the maker looks for a
 * part that he has looked for and not made RETRY_MS before.
 */
#include "fs/core/acl.h"
#include "fs/session/session_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_MS 5000
#define RETRY_MS 1000

static ssize_t read_proc(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return n;
}

pid_t maker_process(pid_t thread)
{
	char text[512];
	if (thread <= 0 || read_proc(thread, "status", text, sizeof text) < 0)
		return thread;
	const char *line = strstr(text, "\nTgid:");
	return line ? (pid_t)strtol(line + 6, NULL, 10) : thread;
}

int64_t maker_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether the process began before @made: numbers are used again. */
static bool is_older(pid_t process, int64_t made)
{
	char text[1024];
	if (read_proc(process, "stat", text, sizeof text) < 0)
		return false;
	const char *p = strrchr(text, ')'); /* the name before may contain anything */
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return false;
	int64_t start =
	        (int64_t)(strtoull(p, NULL, 10) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
	return start <= made;
}

static int64_t maker_now(struct sessions *s)
{
	return maker_clock() + atomic_load(&s->clock_shift);
}

void maker_begin(struct sessions *s, struct session_memory *memory, pid_t thread)
{
	memory->maker = maker_process(thread);
	memory->made = maker_clock();
	memory->untouched = SREC_MESSAGES_AUTO | SREC_JSON_AUTO;
	memory->busy = maker_now(s);
}

static bool is_pending(const struct session_memory *m)
{
	return m && m->maker && m->untouched;
}

void maker_goes_on(struct sessions *s, struct container *c, uint64_t file)
{
	struct session_memory *m = c->session;

	if (!is_pending(m))
		return;
	m->busy = maker_now(s);
	m->making = file ? file : m->making;
}

void maker_closed(struct sessions *s, struct inode *file)
{
	struct container *c = file->container;
	const struct session_memory *m;

	pthread_rwlock_rdlock(&c->lock);
	m = c->session;
	bool concerned = is_pending(m) && m->making == file->ino;
	pthread_rwlock_unlock(&c->lock);
	if (!concerned)
		return;
	pthread_rwlock_wrlock(&c->lock);
	((struct session_memory *)c->session)->busy = maker_now(s);
	pthread_rwlock_unlock(&c->lock);
}

/* Whether nobody copies anything in there any more. */
static bool is_quiet(struct sessions *s, const struct session_memory *m)
{
	_cleanup_inode_ struct inode *making = NULL;

	if (maker_now(s) < m->busy + QUIET_MS)
		return false;
	making = m->making ? inode_peek(s->core, m->making) : NULL;
	return !making || making->data.writers == 0;
}

static unsigned hidden_for(const struct cred *who, pid_t maker, int64_t made, unsigned untouched)
{
	if (who->pid <= 0 || !maker || !untouched)
		return 0;
	if (who->pid != maker && maker_process(who->pid) != maker)
		return 0;
	return is_older(maker, made) ? untouched : 0;
}

/* It is gone, or sees all from now on, so the names may be kept like any others. */
static struct session_memory forget_maker(struct container *c, pid_t maker)
{
	struct session_memory m = {0};

	pthread_rwlock_wrlock(&c->lock);
	if (c->session) {
		struct session_memory *memory = c->session;
		if (memory->maker == maker)
			memory->maker = 0;
		m = *memory;
	}
	pthread_rwlock_unlock(&c->lock);
	return m;
}

unsigned maker_hidden(
        struct sessions *s, const struct cred *who, struct inode *dir, unsigned *ret_pending)
{
	struct container *c = dir->container;
	struct session_memory m = {0};

	pthread_rwlock_rdlock(&c->lock);
	if (c->session)
		m = *(struct session_memory *)c->session;
	pthread_rwlock_unlock(&c->lock);
	if (is_pending(&m) && ((kill(m.maker, 0) < 0 && errno == ESRCH) || is_quiet(s, &m)))
		m = forget_maker(c, m.maker);
	*ret_pending = m.maker ? m.untouched : 0;
	return hidden_for(who, m.maker, m.made, m.untouched);
}

bool maker_misses(struct sessions *s, struct inode *dir, unsigned part)
{
	struct container *c = dir->container;
	int64_t now = maker_now(s);
	bool misses = true;

	pthread_rwlock_wrlock(&c->lock);
	struct session_memory *m = c->session;
	if (m && m->missed != part) {
		m->missed = part;
		m->missed_since = now;
	} else if (m && now >= m->missed_since + RETRY_MS) {
		m->maker = 0;
		misses = false;
	}
	pthread_rwlock_unlock(&c->lock);
	return misses;
}

/* What mkdir or create would have made: owner, group and mode as the caller asks. */
static int own(struct op *op, struct inode *dir, struct inode *child, mode_t mode)
{
	const struct irec *like = op_stage(op, dir);
	struct irec *rec = op_stage(op, child);

	rec->mode = (uint32_t)(mode & (S_IFMT | 07777));
	rec->uid = op->who.uid;
	rec->gid = op->who.gid;
	if (like->mode & S_ISGID) {
		rec->gid = like->gid;
		if (S_ISDIR(mode))
			rec->mode |= S_ISGID;
	}
	rec->atime = rec->mtime = rec->ctime = rec->btime = op->now;
	return acl_inherit(op, dir, child, rec->mode);
}

static int adopt_file(struct op *op, struct inode *dir, struct inode *old, mode_t mode, uint64_t *ret_file)
{
	struct inode *file;
	int r = op_new_inode(op, dir->container, mode, ROLE_SESSION_JSON, &file);
	if (r < 0)
		return r;
	r = own(op, dir, file, mode);
	if (r == 0)
		r = op_replace_entry(op, dir, JSON_NAME, strlen(JSON_NAME), old, file);
	if (r == 0)
		r = op_drop_inode(op, old);
	file->untaken = true;
	*ret_file = file->ino;
	return r;
}

static int adopt_once(struct sessions *s, const struct cred *who, struct inode *dir,
        const char *name, mode_t mode)
{
	_cleanup_inode_ struct inode *child = NULL;
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_(op_end) struct op op;
	unsigned part = S_ISDIR(mode) ? SREC_MESSAGES_AUTO : SREC_JSON_AUTO;
	uint64_t file = 0;

	op_begin(&op, s->core, who);
	int r = op_lock(&op, &dir, 1);
	if (r == 0)
		r = srec_load(&op, dir->container, &rec);
	if (r < 0)
		return r;
	if (!(rec.flags & part))
		return 0;
	r = op_lookup(&op, dir, name, strlen(name), &child);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	rec.flags &= (uint16_t)~part;
	struct irec *irec = op_stage(&op, dir);
	op_touch_dir(&op, irec);
	if (S_ISDIR(mode))
		r = own(&op, dir, child, mode);
	else
		r = adopt_file(&op, dir, child, mode, &file);
	if (r == 0)
		r = srec_store(&op, dir->container, &rec);
	if (r == 0)
		r = op_commit(&op);
	if (r == 0)
		maker_goes_on(s, dir->container, file);
	return r < 0 ? r : 1;
}

int maker_adopt(
        struct sessions *s, const struct cred *who, uint64_t parent, const char *name, mode_t mode)
{
	bool messages = S_ISDIR(mode) && strcmp(name, "messages") == 0;
	unsigned pending;
	bool json = S_ISREG(mode) && strcmp(name, JSON_NAME) == 0;
	_cleanup_inode_ struct inode *dir = NULL;

	if (!messages && !json)
		return 0;
	int r = inode_get(s->core, parent, NULL, &dir);
	if (r < 0)
		return r;
	if (dir->rec.role != ROLE_SESSION ||
	        !(maker_hidden(s, who, dir, &pending) &
	                (messages ? SREC_MESSAGES_AUTO : SREC_JSON_AUTO)))
		return 0;
	return OP_RETRY(adopt_once(s, who, dir, name, mode));
}
