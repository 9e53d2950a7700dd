/*
 * options.h: the command line of a verb, read from a table. The only user of getopt_long().
 */
#ifndef SCRIBEFS_TOOLS_OPTIONS_H
#define SCRIBEFS_TOOLS_OPTIONS_H

#include "tools/command.h"

#include <stdint.h>

enum option_kind {
	OPTION_FLAG, /* bool *: set to true */
	OPTION_TEXT, /* const char **: the argument; the last one counts */
	OPTION_LIST, /* struct buf *: the arguments, joined by commas, no NUL at the end */
};

#define OPTIONS_MAX 24 /* rows of a table */

/* One row; a row without name ends the table. */
struct option_spec {
	const char *name; /* without the dashes */
	char letter;	  /* the short form, 0: none */
	enum option_kind kind;
	void *target;
};

/*
 * Reads the options of @command from @argv (whose first is the verb), and moves the other arguments,
 * @min to @max of them, to the front of @argv; @ret_n gets their number. --help and -h are understood.
 * 0; 1: help was asked for and given; -EINVAL after one line on standard error.
 */
int options_parse(const struct command *command, int argc, char **argv,
	const struct option_spec *specs, int min, int max, int *ret_n);

/* One line about a wrong command line, which ends in where to look. Returns -EINVAL. */
int options_wrong(const struct command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A whole decimal number of at most @max. 0 or -EINVAL. */
int options_number(const char *text, uint64_t max, uint64_t *ret_number);
/* A number of bytes: decimal digits and K, M or G (powers of 1024) or nothing. 0 or -EINVAL. */
int options_size(const char *text, uint64_t *ret_bytes);

#endif
