/* `scribefs key`: the secrets that open a store. Works while it is mounted. */
#include "kv/backup/backup.h"
#include "kv/keyring.h"
#include "kv/log.h"
#include "tools/backup_place.h"
#include "tools/options.h"
#include "tools/slots.h"
#include "tools/store_error.h"
#include "tools/unlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct key_options {
	const char *store;
	const char *slot; /* the argument or --slot */
	const char *label;
	bool json, new_recovery_key;
	struct unlock_options unlock;
	struct unlock_new_options added;
};

#define NEW_SPECS(o)                                                                               \
	{"new-passphrase-file", 0, OPTION_TEXT, &(o)->added.passphrase_file},                      \
		{"new-passphrase-command", 0, OPTION_TEXT, &(o)->added.passphrase_command},        \
	{                                                                                          \
		"new-key-file", 0, OPTION_TEXT, &(o)->added.new_key_file                           \
	}

/* Standard input can be read once. */
static bool stdin_twice(const struct key_options *o)
{
	unsigned n = 0;
	const char *const files[] = {o->unlock.passphrase_file, o->unlock.recovery_key_file,
		o->unlock.key_file, o->added.passphrase_file};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		n += files[i] && !strcmp(files[i], "-");
	return n > 1;
}

/* The slot's number from the command line, -1 if none is given. -EINVAL after one line. */
static int slot_number(const struct command *self, const struct key_options *o, int *ret_slot)
{
	uint64_t number;
	*ret_slot = -1;
	if (!o->slot)
		return 0;
	if (options_number(o->slot, KEYRING_SLOTS - 1, &number) < 0)
		return options_wrong(self, "a slot is a number from 0 to %d, not '%s'",
			KEYRING_SLOTS - 1, o->slot);
	*ret_slot = (int)number;
	return 0;
}

/* What opens the store. 0, or the exit status after one line. */
static int open_with(const struct command *self, const struct key_options *o,
	struct unlock *ret_unlock)
{
	struct keyring_info info;
	if (stdin_twice(o)) {
		options_wrong(self, "only one secret can come from standard input");
		return STATUS_USAGE;
	}
	if (store_read_info(o->store, &info) < 0)
		return STATUS_FAILED;
	int r = unlock_get(self, &o->unlock, o->store, &info, ret_unlock);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	return STATUS_DONE;
}

static int key_list(const struct command *self, struct key_options *o)
{
	struct keyring_info info;
	if (store_read_info(o->store, &info) < 0)
		return STATUS_FAILED;
	_cleanup_(report_freep) struct report *report = report_new();
	if (report)
		slots_report(report, &info);
	if (!report || report_print(report, o->json) < 0)
		return store_failed(o->store, 0, -ENOMEM);
	return STATUS_DONE;
}

static int failed_slots(const struct key_options *o, const struct unlock *opener,
	const struct unlock *added, int error)
{
	if (error == -ENOSPC)
		log_error("no slot is free (or no room on the disk); remove one with 'scribefs key "
			  "remove'");
	else if (error == -EPERM)
		log_error("the last slot cannot be removed: nothing would open %s; add another first",
			o->store);
	else if (error == -EINVAL && added)
		store_failed(o->store, added->kv.type, error);
	else
		store_failed(o->store, opener->kv.type, error);
	return STATUS_FAILED;
}

/* Backups are opened by what opens the store: neither more nor less. @opener opened it before the change. */
static int update_backups(const struct key_options *o, const struct unlock *opener)
{
	char **folders = NULL;
	size_t n = 0;
	int status = STATUS_DONE;
	int r = backup_folders(o->store, &folders, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		int one;
		do
			one = backup_update_slots(folders[i], o->store, &opener->kv);
		while (backup_place_busy(folders[i], one));
		if (one < 0) {
			log_error("the store's slots are changed, those of the backups in %s are not: %s", folders[i],
				one == -EKEYREJECTED ? "the secret does not open them" : strerror(-one));
			status = STATUS_FAILED;
		}
	}
	backup_folders_free(folders, n);
	return r < 0 ? failed_slots(o, opener, NULL, r) : status;
}

static int add_recovery(const struct key_options *o, const struct unlock *opener)
{
	char text[KEYRING_RECOVERY_TEXT];
	unsigned slot;
	int r = keyring_slot_add_recovery(
		o->store, &opener->kv, o->label ? o->label : "", text, &slot);
	if (r < 0)
		return failed_slots(o, opener, NULL, r);
	printf("Recovery key, shown only now; write it down:\n%s\n", text);
	explicit_bzero(text, sizeof text);
	return update_backups(o, opener);
}

static int key_add(const struct command *self, struct key_options *o)
{
	const struct unlock_new_options *added = &o->added;
	if (o->new_recovery_key &&
		(added->passphrase_file || added->passphrase_command || added->new_key_file)) {
		options_wrong(self, "more than one new secret is given");
		return STATUS_USAGE;
	}
	_cleanup_unlock_ struct unlock opener = {0}, new_secret = {0};
	int status = open_with(self, o, &opener);
	if (status)
		return status;
	if (o->new_recovery_key)
		return add_recovery(o, &opener);
	int r = unlock_get_new(self, added, o->store, &new_secret);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	unsigned slot;
	r = keyring_slot_add(
		o->store, &opener.kv, &new_secret.kv, o->label ? o->label : "", &slot);
	if (r < 0) {
		unlock_undo(&new_secret);
		return failed_slots(o, &opener, &new_secret, r);
	}
	printf("slot %u\n", slot);
	return update_backups(o, &opener);
}

static int key_remove(const struct command *self, struct key_options *o)
{
	int slot;
	if (slot_number(self, o, &slot) < 0)
		return STATUS_USAGE;
	_cleanup_unlock_ struct unlock opener = {0};
	int status = open_with(self, o, &opener);
	if (status)
		return status;
	int r = keyring_slot_remove(o->store, &opener.kv, (unsigned)slot);
	if (r == -ENOENT) {
		log_error("%s has no slot %d; 'scribefs key list' tells which there are", o->store, slot);
		return STATUS_FAILED;
	}
	return r < 0 ? failed_slots(o, &opener, NULL, r) : update_backups(o, &opener);
}

static int key_change(const struct command *self, struct key_options *o)
{
	int slot;
	if (slot_number(self, o, &slot) < 0)
		return STATUS_USAGE;
	_cleanup_unlock_ struct unlock opener = {0}, new_secret = {0};
	int status = open_with(self, o, &opener);
	if (status)
		return status;
	int r = unlock_get_new(self, &o->added, o->store, &new_secret);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	r = keyring_slot_change(o->store, &opener.kv, slot, &new_secret.kv);
	if (r < 0)
		unlock_undo(&new_secret);
	if (r == -ENOENT) {
		log_error("%s has no slot %d; 'scribefs key list' tells which there are", o->store, slot);
		return STATUS_FAILED;
	}
	return r < 0 ? failed_slots(o, &opener, &new_secret, r) : update_backups(o, &opener);
}

static const struct {
	const char *name;
	int arguments; /* STORE, and SLOT */
	int (*run)(const struct command *self, struct key_options *options);
} actions[] = {
	{"list", 1, key_list},
	{"add", 1, key_add},
	{"remove", 2, key_remove},
	{"change", 1, key_change},
};

static int run_key(const struct command *self, int argc, char **argv)
{
	struct key_options o = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &o.json},
		{"label", 0, OPTION_TEXT, &o.label},
		{"slot", 0, OPTION_TEXT, &o.slot},
		{"new-recovery-key", 0, OPTION_FLAG, &o.new_recovery_key},
		NEW_SPECS(&o),
		UNLOCK_SPECS(&o.unlock),
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 3, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[0], actions[i].name))
			continue;
		if (n != 1 + actions[i].arguments) {
			options_wrong(self, "'key %s' takes %s", argv[0],
				actions[i].arguments == 1 ? "STORE" : "STORE SLOT");
			return STATUS_USAGE;
		}
		o.store = argv[1];
		if (actions[i].arguments == 2)
			o.slot = argv[2];
		return actions[i].run(self, &o);
	}
	options_wrong(self, "no 'key %s'; there are list, add, remove and change", argv[0]);
	return STATUS_USAGE;
}

const struct command cmd_key = {
	.name = "key",
	.usage = "list|add|remove|change STORE …",
	.summary = "list or change the secrets that open STORE, mounted or not",
	.help = "  scribefs key list STORE [--json]\n"
		"  scribefs key add STORE [NEW] [--label L] [SECRET]\n"
		"  scribefs key remove STORE SLOT [SECRET]\n"
		"  scribefs key change STORE [NEW] [--slot N] [SECRET]\n\n"
		"A store has up to 16 slots; the secret of any one opens it. A change touches no data.\n\n"
		"NEW, the secret that is added (one of them; else a passphrase is asked for, twice):\n"
		"  --new-passphrase-file F     the new passphrase is in F ('-': standard input)\n"
		"  --new-passphrase-command C  the shell command C prints it\n"
		"  --new-key-file F            the key file F, which is made where it does not exist\n"
		"  --new-recovery-key          (add only) a recovery key, printed once\n"
		"Options:\n"
		"  --label L               a name for the slot, up to 64 bytes; it is not encrypted\n"
		"  --slot N                change slot N; else the one that the given secret opens\n"
		"  --json                  print the list as JSON\n" UNLOCK_HELP,
	.run = run_key,
};
