/* `scribefs help [VERB]`. */
#include "tools/command.h"
#include "tools/options.h"

#include <stdio.h>

void command_print_help(const struct command *command)
{
	printf("Usage: scribefs %s %s\n%s\n\n%s", command->name, command->usage, command->summary,
		command->help);
}

static void print_overview(void)
{
	printf("scribefs keeps chat and agent sessions as plain files in an encrypted store.\n\n"
	       "Usage: scribefs VERB …\n\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n'scribefs help VERB' tells its options, 'scribefs --version' the version.\n"
	       "Exit status: 0 done, 1 failed, 2 the command line was wrong.\n");
}

static int run_help(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	int n;
	int r = options_parse(self, argc, argv, specs, 0, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (n == 0) {
		print_overview();
		return STATUS_DONE;
	}
	const struct command *command = command_find(argv[0]);
	if (!command)
		return STATUS_USAGE;
	command_print_help(command);
	return STATUS_DONE;
}

const struct command cmd_help = {
	.name = "help",
	.usage = "[VERB]",
	.summary = "tell what the verbs are, or how one is used",
	.help = "",
	.run = run_help,
};
