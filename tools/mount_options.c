#include "tools/mount_options.h"

#include "kv/log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Words that switch something on or off; the last one counts. */
static const struct {
	const char *word;
	size_t offset; /* of the bool in struct mount_options */
	bool value;
} switches[] = {
	{"ro", offsetof(struct mount_options, read_only), true},
	{"rw", offsetof(struct mount_options, read_only), false},
	{"allow_other", offsetof(struct mount_options, allow_other), true},
	{"allow_root", offsetof(struct mount_options, allow_root), true},
	{"sync", offsetof(struct mount_options, sync), true},
	{"async", offsetof(struct mount_options, sync), false},
	{"nosuid", offsetof(struct mount_options, nosuid), true},
	{"suid", offsetof(struct mount_options, nosuid), false},
	{"nodev", offsetof(struct mount_options, nodev), true},
	{"dev", offsetof(struct mount_options, nodev), false},
	{"noexec", offsetof(struct mount_options, noexec), true},
	{"exec", offsetof(struct mount_options, noexec), false},
	{"noatime", offsetof(struct mount_options, noatime), true},
	{"atime", offsetof(struct mount_options, noatime), false},
	{"relatime", offsetof(struct mount_options, noatime), false},
};

/* mount(8), fstab and systemd speak to each other with these. */
static const char *const ignored[] = {
	"defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail",
	"diratime", "nodiratime",
};
static const char *const ignored_prefixes[] = {"x-", "X-", "comment=", "user=", "uhelper=", "helper="};

static bool is_ignored(const char *word)
{
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		if (!strcmp(word, ignored[i]))
			return true;
	for (size_t i = 0; i < sizeof ignored_prefixes / sizeof ignored_prefixes[0]; i++)
		if (!strncmp(word, ignored_prefixes[i], strlen(ignored_prefixes[i])))
			return true;
	return false;
}

static bool take_switch(const char *word, struct mount_options *options)
{
	for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
		if (strcmp(word, switches[i].word))
			continue;
		*(bool *)((char *)options + switches[i].offset) = switches[i].value;
		return true;
	}
	return false;
}

static int take_level(const struct command *command, const char *value,
	struct mount_options *options)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(value, names[i])) {
			options->log_level = (int)i;
			return 0;
		}
	return options_wrong(command, "-o log= is error, warning, info or debug, not '%s'", value);
}

static int take_target(const struct command *command, const char *value,
	struct mount_options *options)
{
	if (strcmp(value, "syslog") && strcmp(value, "stderr"))
		return options_wrong(command, "-o log_to= is syslog or stderr, not '%s'", value);
	options->log_target = value;
	return 0;
}

static int take_cache(const struct command *command, const char *value,
	struct mount_options *options)
{
	uint64_t bytes;
	if (options_size(value, &bytes) < 0 || bytes < (1u << 20) || bytes > SIZE_MAX)
		return options_wrong(command, "-o cache= is 1M or more, not '%s'", value);
	options->cache_bytes = (size_t)bytes;
	return 0;
}

static int take_names(const struct command *command, const char *value, struct mount_options *options)
{
	uint64_t names;
	if (options_number(value, UINT32_MAX, &names) < 0 || names < 1000)
		return options_wrong(command, "-o names= is a number, 1000 or more, not '%s'", value);
	options->names = (size_t)names;
	return 0;
}

static int take_backup_dir(const struct command *command, const char *value, struct mount_options *options)
{
	if (options->backup_dirs_n == MOUNT_BACKUP_DIRS || *value != '/')
		return options_wrong(command, "-o backup_dir= is an absolute path, up to %d times, not '%s'",
			MOUNT_BACKUP_DIRS, value);
	options->backup_dirs[options->backup_dirs_n++] = value;
	return 0;
}

/* The value, if @word is "name=value". */
static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);
	return !strncmp(word, name, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static int take_word(const struct command *command, const char *word,
	struct mount_options *options, struct unlock_options *unlock)
{
	const char *value;
	if (!*word || take_switch(word, options) || is_ignored(word))
		return 0;
	if ((value = value_of(word, "log")))
		return take_level(command, value, options);
	if ((value = value_of(word, "log_to")))
		return take_target(command, value, options);
	if ((value = value_of(word, "cache")))
		return take_cache(command, value, options);
	if ((value = value_of(word, "names")))
		return take_names(command, value, options);
	if ((value = value_of(word, "backup_dir")))
		return take_backup_dir(command, value, options);
	if ((value = value_of(word, "fsname")))
		options->fsname = value;
	else if ((value = value_of(word, "passphrase_file")))
		unlock->passphrase_file = value;
	else if ((value = value_of(word, "passphrase_command")))
		unlock->passphrase_command = value;
	else if ((value = value_of(word, "key_file")))
		unlock->key_file = value;
	else if ((value = value_of(word, "recovery_key_file")))
		unlock->recovery_key_file = value;
	else if (!strcmp(word, "remount"))
		return options_wrong(command, "-o remount does not exist; unmount and mount again");
	else
		return options_wrong(command, "no mount option '%s'", word);
	return 0;
}

/* Ends the first word of @p in place, its backslashes taken off; returns where the next begins, or NULL. */
static char *cut_word(char *p)
{
	char *to = p;
	for (; *p && *p != ','; p++) {
		if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
			p++;
		*to++ = *p;
	}
	char *next = *p ? p + 1 : NULL;
	*to = 0;
	return next;
}

int mount_options_parse(const struct command *command, char *list,
	struct mount_options *ret_options, struct unlock_options *ret_unlock)
{
	struct mount_options options = *ret_options;
	struct unlock_options unlock = *ret_unlock;
	for (char *word = list, *next; word; word = next) {
		next = cut_word(word);
		int r = take_word(command, word, &options, &unlock);
		if (r < 0)
			return r;
	}
	if (options.allow_other && options.allow_root)
		return options_wrong(command, "-o allow_other and -o allow_root exclude each other");
	*ret_options = options;
	*ret_unlock = unlock;
	return 0;
}
