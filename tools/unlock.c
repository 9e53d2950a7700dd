#include "tools/unlock.h"

#include "kv/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

void unlock_release(struct unlock *unlock)
{
	secret_release(&unlock->secret);
	*unlock = (struct unlock){0};
}

static int fill(struct unlock *unlock, enum keyring_slot_type type)
{
	unlock->kv = (struct kv_unlock){
		.type = type, .secret = unlock->secret.data, .secret_len = unlock->secret.len};
	return 0;
}

static int from_file(const char *path, enum keyring_slot_type type, struct unlock *ret_unlock)
{
	int r = secret_from_file(path, type != KEYRING_KEY_FILE, &ret_unlock->secret);
	return r < 0 ? r : fill(ret_unlock, type);
}

static int from_command(const char *command, struct unlock *ret_unlock)
{
	int r = secret_from_command(command, &ret_unlock->secret);
	return r < 0 ? r : fill(ret_unlock, KEYRING_PASSPHRASE);
}

/* systemd hands a unit its secrets as files in a directory that only the unit sees. 1: there was one. */
static int from_credential(struct unlock *ret_unlock)
{
	static const struct {
		const char *name;
		enum keyring_slot_type type;
	} credentials[] = {
		{"scribefs.passphrase", KEYRING_PASSPHRASE},
		{"scribefs.keyfile", KEYRING_KEY_FILE},
	};
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	if (!dir)
		return 0;
	for (size_t i = 0; i < sizeof credentials / sizeof credentials[0]; i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof path, "%s/%s", dir, credentials[i].name) >= (int)sizeof path)
			return 0;
		if (access(path, F_OK) < 0)
			continue;
		int r = from_file(path, credentials[i].type, ret_unlock);
		return r < 0 ? r : 1;
	}
	return 0;
}

static bool has_slot(const struct keyring_info *info, enum keyring_slot_type type)
{
	for (unsigned i = 0; i < info->slots; i++)
		if (info->slot[i].type == type)
			return true;
	return false;
}

static int from_terminal(const char *store, const char *what, enum keyring_slot_type type,
	struct unlock *ret_unlock)
{
	char prompt[PATH_MAX + 64];
	snprintf(prompt, sizeof prompt, "%s for %s", what, store);
	int r = secret_from_terminal(prompt, &ret_unlock->secret);
	if (r == -ENOTTY)
		log_error("there is no terminal to ask on; use --passphrase-file, "
			  "--passphrase-command or --key-file");
	return r < 0 ? r : fill(ret_unlock, type);
}

int unlock_get(const struct command *command, const struct unlock_options *o, const char *store,
	const struct keyring_info *info, struct unlock *ret_unlock)
{
	if (!!o->passphrase_file + !!o->passphrase_command + !!o->key_file +
			!!o->recovery_key_file + o->recovery_key >
		1)
		return options_wrong(command, "more than one secret is given to open the store");
	if (o->passphrase_file)
		return from_file(o->passphrase_file, KEYRING_PASSPHRASE, ret_unlock);
	if (o->passphrase_command)
		return from_command(o->passphrase_command, ret_unlock);
	if (o->key_file)
		return from_file(o->key_file, KEYRING_KEY_FILE, ret_unlock);
	if (o->recovery_key_file)
		return from_file(o->recovery_key_file, KEYRING_RECOVERY, ret_unlock);
	if (o->recovery_key)
		return from_terminal(store, "Recovery key", KEYRING_RECOVERY, ret_unlock);
	int r = from_credential(ret_unlock);
	if (r)
		return r < 0 ? r : 0;
	if (!has_slot(info, KEYRING_PASSPHRASE)) {
		log_error("%s has no passphrase; give its key file with --key-file", store);
		return -ENOKEY;
	}
	return from_terminal(store, "Passphrase", KEYRING_PASSPHRASE, ret_unlock);
}

static int ask_twice(const char *store, struct unlock *ret_unlock)
{
	_cleanup_passphrase_ struct secret again = {0};
	int r = from_terminal(store, "New passphrase", KEYRING_PASSPHRASE, ret_unlock);
	if (r < 0)
		return r;
	if (!ret_unlock->secret.len) {
		log_error("an empty passphrase protects nothing; nothing was changed");
		return -ECANCELED;
	}
	r = secret_from_terminal("The same again", &again);
	if (r < 0)
		return r;
	if (!secret_equal(&ret_unlock->secret, &again)) {
		log_error("the two differ; nothing was changed, try again");
		return -ECANCELED;
	}
	return 0;
}

static int make_key_file(const char *path, struct unlock *ret_unlock)
{
	int r = secret_make_file(path, KEYRING_KEY_FILE_BYTES, &ret_unlock->secret);
	if (r == -EEXIST)
		return from_file(path, KEYRING_KEY_FILE, ret_unlock);
	if (r < 0) {
		log_error("cannot make the key file %s: %s", path, strerror(-r));
		return r;
	}
	ret_unlock->made = path;
	return fill(ret_unlock, KEYRING_KEY_FILE);
}

int unlock_get_new(const struct command *command, const struct unlock_new_options *o,
	const char *store, struct unlock *ret_unlock)
{
	if (!!o->passphrase_file + !!o->passphrase_command + !!o->key_file + !!o->new_key_file > 1)
		return options_wrong(command, "more than one new secret is given");
	if (o->passphrase_file)
		return from_file(o->passphrase_file, KEYRING_PASSPHRASE, ret_unlock);
	if (o->passphrase_command)
		return from_command(o->passphrase_command, ret_unlock);
	if (o->key_file && access(o->key_file, F_OK) < 0 && errno == ENOENT && strcmp(o->key_file, "-") != 0) {
		log_error("there is no key file %s; --new-key-file makes it", o->key_file);
		return -ENOENT;
	}
	if (o->key_file)
		return from_file(o->key_file, KEYRING_KEY_FILE, ret_unlock);
	if (o->new_key_file)
		return make_key_file(o->new_key_file, ret_unlock);
	return ask_twice(store, ret_unlock);
}

void unlock_undo(const struct unlock *unlock)
{
	if (unlock->made)
		unlink(unlock->made);
}
