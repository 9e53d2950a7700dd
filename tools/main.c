/* The program `scribefs`: finds the verb and runs it. */
#include "tools/command.h"

#include "fs/fuse/watch.h"
#include "kv/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

const struct command *const commands[] = {
	&cmd_init,
	&cmd_mount,
	&cmd_umount,
	&cmd_new,
	&cmd_import,
	&cmd_status,
	&cmd_key,
	&cmd_snapshot,
	&cmd_restore,
	&cmd_diff,
	&cmd_context,
	&cmd_resume,
	&cmd_fork,
	&cmd_cleanup,
	&cmd_backup,
	&cmd_set,
	&cmd_get,
	&cmd_inherit,
	&cmd_fsck,
	&cmd_help,
	NULL,
};

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's distance; what is longer than a verb can be is far from all. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 16 };
	size_t la = strlen(a), lb = strlen(b), row[LONGEST + 1];
	if (la > LONGEST || lb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

const struct command *command_find(const char *name)
{
	const char *nearest = NULL;
	size_t best = 3; /* two mistakes are a typo, three another word */
	for (size_t i = 0; commands[i]; i++) {
		if (!strcmp(name, commands[i]->name))
			return commands[i];
		size_t d = distance(name, commands[i]->name);
		if (d < best) {
			best = d;
			nearest = commands[i]->name;
		}
	}
	if (nearest)
		log_error("no verb '%s'; did you mean 'scribefs %s'?", name, nearest);
	else
		log_error("no verb '%s'; 'scribefs help' lists them", name);
	return NULL;
}

/* Several verbs hold secrets, and no core file may. */
static void refuse_core_dumps(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

int main(int argc, char **argv)
{
	refuse_core_dumps();
	if (argc > 0 && strcmp(argv[0], WATCH_NAME) == 0)
		return watch_main(argc, argv);
	log_setup(LOG_LEVEL_INFO, 0);
	if (argc < 2) {
		log_error("which verb? 'scribefs help' lists them");
		return STATUS_USAGE;
	}
	const char *name = argv[1];
	if (!strcmp(name, "--version")) {
		printf("scribefs %s\n", SCRIBEFS_VERSION);
		return STATUS_DONE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	const struct command *command = command_find(name);
	if (!command)
		return STATUS_USAGE;
	int status = command->run(command, argc - 1, argv + 1);
	/* A full disk or a closed pipe must not look like success to who reads our output. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_error("cannot write to standard output: %m");
		return status ? status : STATUS_FAILED;
	}
	return status;
}
