/*
 * unlock.h: the options by which every verb is given a store's secrets, and what they mean.
 */
#ifndef SCRIBEFS_TOOLS_UNLOCK_H
#define SCRIBEFS_TOOLS_UNLOCK_H

#include "kv/keyring.h"
#include "tools/options.h"
#include "tools/passphrase.h"

/* What opens a store: at most one of them. */
struct unlock_options {
	const char *passphrase_file, *passphrase_command, *key_file, *recovery_key_file;
	bool recovery_key; /* asked for on the terminal */
};
/* Rows for the option table of a verb that opens a store. */
#define UNLOCK_SPECS(options)                                                                      \
	{"passphrase-file", 0, OPTION_TEXT, &(options)->passphrase_file},                          \
		{"passphrase-command", 0, OPTION_TEXT, &(options)->passphrase_command},            \
		{"key-file", 0, OPTION_TEXT, &(options)->key_file},                                \
		{"recovery-key-file", 0, OPTION_TEXT, &(options)->recovery_key_file},              \
	{                                                                                          \
		"recovery-key", 0, OPTION_FLAG, &(options)->recovery_key                           \
	}
/* Their text in a verb's help. */
#define UNLOCK_HELP                                                                                \
	"Secrets (one of them; else a systemd credential, else the terminal is asked):\n"          \
	"  --passphrase-file F     the passphrase is in F ('-': standard input)\n"                 \
	"  --passphrase-command C  the shell command C prints the passphrase\n"                    \
	"  --key-file F            the key file F\n"                                               \
	"  --recovery-key          ask for the recovery key on the terminal\n"                     \
	"  --recovery-key-file F   the recovery key is in F ('-': standard input)\n"

/* A new secret: at most one of them. */
struct unlock_new_options {
	const char *passphrase_file, *passphrase_command;
	const char *key_file;	  /* must exist */
	const char *new_key_file; /* is made where it does not */
};

/* A secret in locked memory and what the keyring is to do with it. Zero-initialised is empty. */
struct unlock {
	struct kv_unlock kv; /* .secret points into .secret below */
	struct secret secret;
	const char *made; /* the key file that was made for this, or NULL */
};
void unlock_release(struct unlock *unlock);
#define _cleanup_unlock_ _cleanup_(unlock_release)

/*
 * The secret that is to open @store, whose slots are @info. -EINVAL: the options contradict each other;
 * another -errno. One line was printed then.
 */
int unlock_get(const struct command *command, const struct unlock_options *options,
	const char *store, const struct keyring_info *info, struct unlock *ret_unlock);

/*
 * The secret of a new slot; @options empty: a passphrase, asked for twice on the terminal. Errors as
 * above. A key file that was made stays unless unlock_undo() is called.
 */
int unlock_get_new(const struct command *command, const struct unlock_new_options *options,
	const char *store, struct unlock *ret_unlock);
/* Removes the key file that unlock_get_new() made, after the keyring did not take it. */
void unlock_undo(const struct unlock *unlock);

#endif
