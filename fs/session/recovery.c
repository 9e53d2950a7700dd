/*
 * recovery.c: recovery ids, RECOVERY-YYMMDD-NNN-HHMMSS: which snapshot is meant, in a form that people pass on.
 *
 * NNN is the number that the session had when the snapshot was taken, that of SESSION-YYMMDD-NNN; for a place without
 * such a name three digits of its container's number. Date and time (UTC) are the snapshot's, or, where another of the
 * store has that second and number, the next second that is free. Both are stored with the snapshot (core), so an id
 * is one snapshot's and stays its, whatever becomes of the place.
 */
#include "fs/session/session_internal.h"

#include <stdio.h>

#define PREFIX "RECOVERY-"

/* ---- the session's number --------------------------------------------------------------------- */

struct naming {
	uint64_t ino;
	uint32_t number; /* 0: no session's */
};

static int look_at(void *arg, const struct core_dirent *entry)
{
	struct naming *n = arg;
	uint32_t day;

	if (entry->ino != n->ino || entry->name[0] == '.')
		return 0;
	n->number = ids_session_number(entry->name, strlen(entry->name), &day);
	return -ECANCELED; /* found */
}

void recovery_named(struct container *session, const char *name, size_t len)
{
	struct session_memory *memory = memory_of(session);
	uint32_t day;

	if (!memory)
		return;
	memory->number = ids_session_number(name, len, &day);
	memory->numbered = true;
}

static bool is_numbered(struct container *c, uint32_t *ret_number)
{
	const struct session_memory *memory;
	bool numbered;

	pthread_rwlock_rdlock(&c->lock);
	memory = c->session;
	numbered = memory && memory->numbered;
	if (numbered)
		*ret_number = memory->number;
	pthread_rwlock_unlock(&c->lock);
	return numbered;
}

uint32_t recovery_number(struct sessions *s, struct inode *dir)
{
	struct naming naming = {.ino = dir->ino};
	struct session_memory *memory;
	uint64_t names = atomic_load(&s->names);
	uint32_t number;

	if (dir->rec.role != ROLE_SESSION)
		return 0;
	if (is_numbered(dir->container, &number))
		return number;
	/* A directory does not know its own name: the one that holds it is searched, once. */
	pthread_rwlock_rdlock(&dir->lock);
	uint64_t parent = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	(void)core_readdir(s->core, parent, 0, false, look_at, &naming);
	pthread_rwlock_wrlock(&dir->container->lock);
	memory = memory_of(dir->container);
	if (memory && !memory->numbered && names == atomic_load(&s->names)) {
		memory->number = naming.number;
		memory->numbered = true;
	}
	pthread_rwlock_unlock(&dir->container->lock);
	return naming.number;
}

/* ---- ids -------------------------------------------------------------------------------------- */

void session_recovery_id(const struct snapshot_info *info, char ret_id[RECOVERY_ID])
{
	time_t second = (time_t)info->second;
	char date[8], time[8];
	struct tm tm;

	gmtime_r(&second, &tm);
	if (strftime(date, sizeof date, "%y%m%d", &tm) == 0 || strftime(time, sizeof time, "%H%M%S", &tm) == 0)
		date[0] = time[0] = '\0';
	snprintf(ret_id, RECOVERY_ID, PREFIX "%s-%03u-%s", date, info->number, time);
}

/* So many digits, and what follows them. */
static const char *read_digits(const char *text, unsigned digits, char then, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < digits; i++, text++) {
		if (*text < '0' || *text > '9')
			return NULL;
		value = value * 10 + (uint32_t)(*text - '0');
	}
	*ret_value = value;
	return *text == then ? text + (then != '\0') : NULL;
}

/* Whose text it is: the one that session_recovery_id() would make of these two. */
static bool parse(const char *id, uint32_t *ret_number, int64_t *ret_second)
{
	struct snapshot_info again = {0};
	char text[RECOVERY_ID];
	uint32_t date, time;
	const char *at = id;

	if (strncmp(at, PREFIX, strlen(PREFIX)) != 0)
		return false;
	at = read_digits(at + strlen(PREFIX), 6, '-', &date);
	size_t digits = at ? strspn(at, "0123456789") : 0;
	if (digits < 3 || digits > 9)
		return false;
	at = read_digits(at, (unsigned)digits, '-', &again.number);
	if (!at || !read_digits(at, 6, '\0', &time))
		return false;
	struct tm tm = {.tm_year = 100 + (int)(date / 10000), .tm_mon = (int)(date / 100 % 100) - 1,
	        .tm_mday = (int)(date % 100), .tm_hour = (int)(time / 10000), .tm_min = (int)(time / 100 % 100),
	        .tm_sec = (int)(time % 100)};
	again.second = timegm(&tm);
	session_recovery_id(&again, text);
	*ret_number = again.number;
	*ret_second = again.second;
	return strcmp(text, id) == 0;
}

int session_recovery_find(struct sessions *s, uint64_t place, const char *id, struct snapshot_info *ret_info)
{
	struct snapshot_info info;
	uint32_t number;
	int64_t second;
	int r = parse(id, &number, &second) ? snapshot_numbered(s->core, number, second, &info) : -ENOENT;

	if (r < 0)
		return r;
	if (place && info.place != place)
		return -ENOENT;
	*ret_info = info;
	return 0;
}

int session_removed_find(struct sessions *s, const struct cred *who, const char *id, struct snapshot_info *ret_info)
{
	struct snapshot_info info;
	struct stat st;
	int r = session_recovery_find(s, 0, id, &info);

	if (r == 0 && (!info.removed || core_getattr(s->core, info.root, &st, NULL) < 0 ||
	                      (who->uid != 0 && who->uid != st.st_uid)))
		r = -ENOENT;
	if (r == 0)
		*ret_info = info;
	return r;
}
