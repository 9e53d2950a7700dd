/* `scribefs init`: makes a new, empty store. */
#include "fs/fuse/hostpath.h"
#include "kv/keyring.h"
#include "kv/log.h"
#include "tools/options.h"
#include "tools/store_error.h"
#include "tools/unlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int make_store(const char *store, enum kv_cipher cipher, bool recovery,
	const struct unlock *unlock)
{
	struct keyring_init init = {.cipher = cipher, .first = unlock->kv, .recovery = recovery};
	char text[KEYRING_RECOVERY_TEXT];
	int r = keyring_create(store, &init, text);
	if (r == -ENOTEMPTY)
		log_error("%s is a directory with other files in it; name an empty or a new one", store);
	else if (r == -EEXIST)
		log_error("there is a store at %s already; nothing was changed", store);
	else if (r == -ENOENT)
		log_error("cannot make %s: the directory above it does not exist", store);
	else if (r < 0)
		store_failed(store, unlock->kv.type, r);
	if (r < 0) {
		unlock_undo(unlock);
		return STATUS_FAILED;
	}
	if (recovery)
		printf("Recovery key, shown only now; it opens the store when all else is lost, so "
		       "write it down:\n%s\n",
			text);
	explicit_bzero(text, sizeof text);
	if (unlock->made)
		log_info("the key file is %s; who has it can read the store", unlock->made);
	return STATUS_DONE;
}

static int run_init(const struct command *self, int argc, char **argv)
{
	struct unlock_new_options options = {0};
	const char *cipher_name = "xchacha20-poly1305";
	bool no_recovery = false;
	const struct option_spec specs[] = {
		{"cipher", 0, OPTION_TEXT, &cipher_name},
		{"passphrase-file", 0, OPTION_TEXT, &options.passphrase_file},
		{"passphrase-command", 0, OPTION_TEXT, &options.passphrase_command},
		{"key-file", 0, OPTION_TEXT, &options.key_file},
		{"new-key-file", 0, OPTION_TEXT, &options.new_key_file},
		{"no-recovery-key", 0, OPTION_FLAG, &no_recovery},
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	const char *store = argv[0];
	char walked[PATH_MAX];
	if (hostpath_resolve(store, walked) == -EPERM) {
		log_error(HOSTPATH_FOREIGN, walked);
		return STATUS_FAILED;
	}
	enum kv_cipher cipher;
	if (keyring_cipher_by_name(cipher_name, &cipher) < 0) {
		options_wrong(self, "no cipher '%s'", cipher_name);
		return STATUS_USAGE;
	}
	if (!keyring_cipher_available(cipher))
		return store_failed(store, 0, -EOPNOTSUPP);
	/* Before a secret is asked for: who typed one wants no refusal then. */
	struct keyring_info info;
	r = keyring_read_info(store, &info);
	if (r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		log_error("there is a store at %s already; nothing was changed", store);
		return STATUS_FAILED;
	}
	if (r != -ENOENT)
		return store_failed(store, 0, r);
	_cleanup_unlock_ struct unlock unlock = {0};
	r = unlock_get_new(self, &options, store, &unlock);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	return make_store(store, cipher, !no_recovery, &unlock);
}

const struct command cmd_init = {
	.name = "init",
	.usage = "STORE [OPTIONS]",
	.summary = "make a new, empty store in the directory STORE",
	.help = "Options:\n"
		"  --cipher NAME           xchacha20-poly1305 (the default) or aes-256-gcm, which\n"
		"                          needs a processor that has it, now and ever after\n"
		"  --no-recovery-key       make no recovery key; else it is printed, once\n"
		"The store's first secret (one of them; else a passphrase is asked for, twice):\n"
		"  --passphrase-file F     the passphrase is in F ('-': standard input)\n"
		"  --passphrase-command C  the shell command C prints the passphrase\n"
		"  --key-file F            the key file F, 32 bytes to 64 KiB, not guessable\n"
		"  --new-key-file F        as --key-file; F is made where it does not exist\n",
	.run = run_init,
};
