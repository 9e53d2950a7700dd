#include "tools/options.h"

#include "kv/buf.h"
#include "kv/log.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_VALUE = 256, HELP_VALUE = FIRST_VALUE + OPTIONS_MAX };

int options_wrong(const struct command *command, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_error("%s; see 'scribefs help %s'", text, command->name);
	return -EINVAL;
}

static int store(const struct option_spec *spec, const char *arg)
{
	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)spec->target = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)spec->target = arg;
		return 0;
	case OPTION_LIST:
		break;
	}
	struct buf *list = spec->target;
	return buf_printf(list, "%s%s", list->len ? "," : "", arg);
}

/* The tables for getopt_long(); a value of FIRST_VALUE + i stands for row i. Returns the number of rows. */
static size_t build_tables(const struct option_spec *specs, struct option *longs, char *shorts)
{
	size_t n = 0;
	*shorts++ = ':'; /* tells a missing argument from an unknown option */
	*shorts++ = 'h';
	for (; specs[n].name && n < OPTIONS_MAX; n++) {
		longs[n] = (struct option){.name = specs[n].name,
			.has_arg = specs[n].kind != OPTION_FLAG,
			.val = FIRST_VALUE + (int)n};
		if (specs[n].letter) {
			*shorts++ = specs[n].letter;
			if (specs[n].kind != OPTION_FLAG)
				*shorts++ = ':';
		}
	}
	*shorts = 0;
	longs[n] = (struct option){.name = "help", .val = HELP_VALUE};
	longs[n + 1] = (struct option){0};
	return n;
}

static const struct option_spec *find_row(const struct option_spec *specs, size_t n, int value)
{
	if (value >= FIRST_VALUE && value < FIRST_VALUE + (int)n)
		return &specs[value - FIRST_VALUE];
	for (size_t i = 0; i < n; i++)
		if (specs[i].letter && specs[i].letter == value)
			return &specs[i];
	return NULL;
}

int options_parse(const struct command *command, int argc, char **argv,
	const struct option_spec *specs, int min, int max, int *ret_n)
{
	struct option longs[OPTIONS_MAX + 2];
	char shorts[2 * OPTIONS_MAX + 3];
	size_t n = build_tables(specs, longs, shorts);
	opterr = 0;
	optind = 0; /* a whole new scan */
	for (;;) {
		int value = getopt_long(argc, argv, shorts, longs, NULL);
		if (value == -1)
			break;
		if (value == HELP_VALUE || value == 'h') {
			command_print_help(command);
			return 1;
		}
		if (value == ':')
			return options_wrong(command, "%s needs an argument", argv[optind - 1]);
		if (value == '?' && optopt > 0 && optopt < FIRST_VALUE)
			return options_wrong(command, "no option '-%c'", optopt);
		if (value == '?')
			return options_wrong(command, "cannot take '%s'", argv[optind - 1]);
		if (store(find_row(specs, n, value), optarg) < 0) {
			log_error("out of memory");
			return -EINVAL;
		}
	}
	int left = argc - optind;
	if (left < min)
		return options_wrong(command, "expected %s", command->usage);
	if (left > max)
		return options_wrong(command, "one argument too many, '%s'", argv[optind + max]);
	memmove(argv, argv + optind, (size_t)(left + 1) * sizeof *argv);
	*ret_n = left;
	return 0;
}

int options_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || *end || v > max)
		return -EINVAL;
	*ret_number = v;
	return 0;
}

int options_size(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}, {"k", 10}, {"m", 20}, {"g", 30}};
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (v > UINT64_MAX >> units[i].shift)
			return -EINVAL;
		*ret_bytes = v << units[i].shift;
		return 0;
	}
	return -EINVAL;
}
