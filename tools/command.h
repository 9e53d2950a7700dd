/*
 * command.h: the verbs of `scribefs`, one file each (cmd_VERB.c), in one table (main.c).
 *
 * A verb reads its options with options.h, does its work, and reports a failure itself: one line on
 * standard error, what went wrong and what to do (log_error()). Single-threaded; may use kv/ and
 * fs/fuse's headers.
 */
#ifndef SCRIBEFS_TOOLS_COMMAND_H
#define SCRIBEFS_TOOLS_COMMAND_H

enum status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct command {
	const char *name;
	const char *usage;   /* what follows `scribefs NAME` */
	const char *summary; /* one line */
	const char *help;    /* the options and what else --help tells, lines that end in \n */
	int (*run)(const struct command *command, int argc, char **argv); /* argv[0] is the verb */
};

extern const struct command cmd_backup, cmd_cleanup, cmd_context, cmd_diff, cmd_fork, cmd_fsck, cmd_get, cmd_help,
	cmd_import, cmd_inherit, cmd_init, cmd_key, cmd_mount, cmd_new, cmd_restore, cmd_resume, cmd_set, cmd_snapshot,
	cmd_status, cmd_umount;

/* All verbs, in the order in which help lists them; a NULL ends it. */
extern const struct command *const commands[];

/* The verb of that name, or NULL after one line that suggests the nearest. */
const struct command *command_find(const char *name);
/* What `scribefs NAME --help` prints, on standard output. */
void command_print_help(const struct command *command);

#endif
