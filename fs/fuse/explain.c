#include "fs/fuse/explain.h"
#include "fs/fuse/check.h"
#include "fs/fuse/mountinfo.h"

#include <sys/stat.h>

static const char *secret_name(enum keyring_slot_type type)
{
	switch (type) {
	case KEYRING_PASSPHRASE:
		return "passphrase";
	case KEYRING_KEY_FILE:
		return "key file";
	case KEYRING_RECOVERY:
		return "recovery key";
	}
	return "secret";
}

static const char *secret_fault(enum keyring_slot_type type)
{
	switch (type) {
	case KEYRING_PASSPHRASE:
		return "is empty";
	case KEYRING_KEY_FILE:
		return "must have 32 bytes to 64 KiB";
	case KEYRING_RECOVERY:
		return "has a typing error";
	}
	return "cannot be used";
}

static void explain_missing(const char *store)
{
	struct stat st;
	if (stat(store, &st) < 0)
		check_complain("there is no store at %s; make one with `scribefs init %s`", store, store);
	else
		check_complain("%s is not a store; make one in an empty directory with `scribefs init`",
			store);
}

static void explain_busy(const char *store)
{
	int holder = kv_holder(store);
	struct mountinfo mount;
	if (holder > 0)
		check_complain("%s is in use by process %d%s", store, holder,
			mountinfo_find_store(store, &mount) == 0
				? "; unmount it first"
				: ", not mounted: a command, or a daemon that writes its last changes; wait for it");
	else
		check_complain("%s is in use; try again", store);
}

/* Either the keyring or the engine's own files are no good: the first can be told without a secret. */
static void explain_damage(const char *store)
{
	struct keyring_info info;
	if (keyring_read_info(store, &info) == -EBADMSG)
		check_complain("the keyring of %s is damaged; put the copy from a backup in its place",
			store);
	else
		check_complain("the database of %s is damaged; run `scribefs fsck %s`", store, store);
}

void explain_threads(void)
{
	check_complain("cannot start threads: %s; raise the limit of processes (ulimit -u, pids.max, TasksMax=) or end "
		       "some", strerror(EAGAIN));
}

void explain_store(const char *store, enum keyring_slot_type type, int error)
{
	switch (error) {
	case -ENOENT:
		explain_missing(store);
		break;
	case -ENOTDIR:
		check_complain("%s is not a store but a file; name the store's directory", store);
		break;
	case -EBUSY:
		explain_busy(store);
		break;
	case -EKEYREJECTED:
		check_complain("wrong %s for %s; try again", secret_name(type), store);
		break;
	case -EINVAL:
		check_complain("the %s %s; give another one", secret_name(type), secret_fault(type));
		break;
	case -EBADMSG:
		explain_damage(store);
		break;
	case -EPROTONOSUPPORT:
		check_complain("%s was made by a newer scribefs; update this one", store);
		break;
	case -EOPNOTSUPP:
		check_complain("this processor has no AES instructions for the cipher of %s; use another "
			       "machine, or xchacha20-poly1305 for a new store",
			store);
		break;
	case -EROFS:
		check_complain("the disk of %s is read-only; mount with -o ro", store);
		break;
	case -ENOSPC:
		check_complain("the disk of %s is full; make room and try again", store);
		break;
	case -EAGAIN:
		explain_threads();
		break;
	case -EACCES:
	case -EPERM:
		check_complain("no permission on %s; run as its owner", store);
		break;
	default:
		check_complain("cannot use %s: %s", store, strerror(-error));
	}
}

void explain_older(const char *store, const struct kv_older *older)
{
	char day[32] = "earlier";
	struct tm tm;
	time_t when = older->when;
	if (localtime_r(&when, &tm))
		strftime(day, sizeof day, "on %Y-%m-%d at %H:%M:%S", &tm);
	check_complain("%s is older than when it was last seen here, %s: it is at commit %llu and was at %llu; "
		       "if you put an older copy there yourself, open it once with --accept-older, else restore a "
		       "newer one",
		store, day, (unsigned long long)older->sequence, (unsigned long long)older->seen);
}
