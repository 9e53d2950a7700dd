#include "tools/store_error.h"

#include "kv/kv.h"
#include "kv/log.h"
#include "tools/command.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *secret_name(enum keyring_slot_type type)
{
	switch (type) {
	case KEYRING_KEY_FILE:
		return "this key file";
	case KEYRING_RECOVERY:
		return "this recovery key";
	case KEYRING_PASSPHRASE:
		break;
	}
	return "this passphrase";
}

static void say_missing(const char *store)
{
	struct stat st;
	if (stat(store, &st) == 0)
		log_error("%s is no store: it has no keyring; make one with 'scribefs init' in an "
			  "empty directory",
			store);
	else
		log_error("no store at %s; make one with 'scribefs init %s'", store, store);
}

static void say_busy(const char *store)
{
	int holder = kv_holder(store);
	if (holder > 0)
		log_error("%s is in use by process %d; unmount it first", store, holder);
	else
		log_error("%s is in use by another process; unmount it first", store);
}

int store_failed(const char *store, enum keyring_slot_type type, int error)
{
	switch (-error) {
	case ENOENT:
		say_missing(store);
		break;
	case ENOTDIR:
		log_error("%s is no directory, so it is no store", store);
		break;
	case EBUSY:
		say_busy(store);
		break;
	case EKEYREJECTED:
		log_error("%s does not open %s; nothing was changed", secret_name(type), store);
		break;
	case EINVAL:
		log_error("%s cannot be used: %s", secret_name(type),
			type == KEYRING_RECOVERY   ? "it has a typing error"
			: type == KEYRING_KEY_FILE ? "a key file has 32 bytes to 64 KiB"
						   : "it is empty");
		break;
	case EBADMSG:
		log_error("the keyring of %s is damaged; put a copy of it back from a backup", store);
		break;
	case EPROTONOSUPPORT:
		log_error("%s has a format that this version does not know; use a newer scribefs", store);
		break;
	case EOPNOTSUPP:
		log_error("this processor cannot do AES-256-GCM; use xchacha20-poly1305");
		break;
	case EACCES:
	case EPERM:
		log_error("no permission on %s; use it as its owner", store);
		break;
	case EROFS:
		log_error("the disk of %s is read-only; mount it with -o ro", store);
		break;
	case ENOSPC:
		log_error("no room on the disk of %s; make some and try again", store);
		break;
	default:
		log_error("cannot use %s: %s", store, strerror(-error));
	}
	return STATUS_FAILED;
}

int store_read_info(const char *store, struct keyring_info *ret_info)
{
	int r = keyring_read_info(store, ret_info);
	if (r < 0)
		store_failed(store, 0, r);
	return r;
}
