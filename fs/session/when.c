#include "fs/session/when.h"

#include "fs/session/timestamp.h"

#include <errno.h>
#include <string.h>

#define DAY (24 * 60 * 60)
#define DATE_LEN 10 /* 2026-11-21 */
#define AGO_MAX 1000000000 /* units */

static const struct unit {
	const char *name;
	int64_t seconds;
} units[] = {{"s", 1}, {"sec", 1}, {"min", 60}, {"h", 60 * 60}, {"d", DAY}, {"w", 7 * DAY}};

static int parse_ago(const char *text, int64_t *ret_seconds)
{
	int64_t n = 0;
	const char *p = text;

	if (strcmp(text, "now") == 0 || strcmp(text, "yesterday") == 0) {
		*ret_seconds = text[0] == 'n' ? 0 : DAY;
		return 0;
	}
	for (; *p >= '0' && *p <= '9' && n < AGO_MAX; p++)
		n = n * 10 + (*p - '0');
	if (p == text)
		return -EINVAL;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(p, units[i].name) == 0) {
			*ret_seconds = n * units[i].seconds;
			return 0;
		}
	return -EINVAL;
}

int when_parse(const char *text, const struct timespec *now, struct timespec *ret_time)
{
	struct timespec time = *now;
	int64_t ago;
	int r = parse_ago(text, &ago);

	if (r == 0) {
		time.tv_sec -= ago;
		*ret_time = time;
		return 0;
	}
	r = timestamp_parse(text, strlen(text), &time);
	if (r < 0)
		return r;
	if (strlen(text) == DATE_LEN)
		time = (struct timespec){time.tv_sec + DAY - 1, 999999999};
	*ret_time = time;
	return 0;
}
