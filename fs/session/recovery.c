/*
 * recovery.c: recovery ids, RECOVERY-YYMMDD-NNN-HHMMSS: which snapshot is meant, in a form that people pass on.
 *
 * Date and time (UTC) are the snapshot's. NNN is the session's number, of SESSION-YYMMDD-NNN; where a place has no such
 * name, or is no more, three digits of its container's number, which it keeps for life. Of two snapshots of one place
 * in one second the id means the newer.
 */
#include "fs/session/session_internal.h"

#include <stdio.h>

#define PREFIX "RECOVERY-"

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

/* A directory does not know its own name: the one that holds it is searched. */
static uint32_t number_of(struct sessions *s, const struct snapshot_info *info)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct naming naming = {.ino = info->place};

	if (!info->removed && inode_get(s->core, info->place, NULL, &dir) == 0 && dir->rec.role == ROLE_SESSION) {
		pthread_rwlock_rdlock(&dir->lock);
		uint64_t parent = dir->rec.parent;
		pthread_rwlock_unlock(&dir->lock);
		(void)core_readdir(s->core, parent, 0, false, look_at, &naming);
	}
	return naming.number ? naming.number : (uint32_t)(info->place >> 8) % 1000;
}

/* Without the number, which costs more: two parts around it. */
static void format_time(const struct snapshot_info *info, char ret_date[8], char ret_time[8])
{
	struct tm tm;

	gmtime_r(&info->taken.tv_sec, &tm);
	if (strftime(ret_date, 8, "%y%m%d", &tm) == 0 || strftime(ret_time, 8, "%H%M%S", &tm) == 0)
		ret_date[0] = ret_time[0] = '\0';
}

void session_recovery_id(struct sessions *s, const struct snapshot_info *info, char ret_id[RECOVERY_ID])
{
	char date[8], time[8];

	format_time(info, date, time);
	snprintf(ret_id, RECOVERY_ID, PREFIX "%s-%03u-%s", date, number_of(s, info), time);
}

struct finding {
	struct sessions *s;
	const char *id;
	const struct cred *owner; /* not NULL: only those of places that are no more and were this one's; root: all */
	struct snapshot_info found; /* id 0: none yet */
};

static bool was_owned(struct sessions *s, const struct cred *who, const struct snapshot_info *info)
{
	struct stat st;
	return core_getattr(s->core, info->root, &st, NULL) == 0 && (who->uid == 0 || who->uid == st.st_uid);
}

static int compare(void *arg, const struct snapshot_info *info)
{
	struct finding *f = arg;
	char id[RECOVERY_ID], date[8], time[8];
	size_t len = strlen(f->id);

	if (f->owner && !info->removed)
		return 0;
	format_time(info, date, time);
	if (strncmp(f->id + strlen(PREFIX), date, 6) != 0 || strcmp(f->id + len - 6, time) != 0)
		return 0;
	session_recovery_id(f->s, info, id);
	if (strcmp(id, f->id) == 0 && (!f->owner || was_owned(f->s, f->owner, info)))
		f->found = *info;
	return 0;
}

static int find(struct finding *f, uint64_t place, struct snapshot_info *ret_info)
{
	if (strncmp(f->id, PREFIX, strlen(PREFIX)) != 0 || strlen(f->id) < strlen(PREFIX) + 17)
		return -ENOENT;
	int r = snapshot_list(f->s->core, place, 0, compare, f);
	if (r < 0)
		return r;
	if (!f->found.id)
		return -ENOENT;
	*ret_info = f->found;
	return 0;
}

int session_recovery_find(struct sessions *s, uint64_t place, const char *id, struct snapshot_info *ret_info)
{
	struct finding f = {.s = s, .id = id};
	return find(&f, place, ret_info);
}

int session_removed_find(struct sessions *s, const struct cred *who, const char *id, struct snapshot_info *ret_info)
{
	struct finding f = {.s = s, .id = id, .owner = who};
	return find(&f, 0, ret_info);
}
