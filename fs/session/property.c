#include "fs/session/property.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define COUNT_MAX 999999999

static const struct property properties[] = {
	{"autosnapshot", PROPERTY_DURATION, "30s", "a changed session gets a snapshot at most this often"},
	{"keep", PROPERTY_COUNT, "5", "the newest of a session's automatic snapshots that stay"},
	{"keep_hourly", PROPERTY_COUNT, "24", "and of those one an hour, for so many hours"},
	{"keep_daily", PROPERTY_COUNT, "30", "and one a day, for so many days"},
	{"user_autosnapshot", PROPERTY_DURATION, "15min", "a changed user gets a snapshot at most this often"},
	{"user_keep", PROPERTY_COUNT, "4", "the newest of a user's automatic snapshots that stay"},
	{"user_keep_hourly", PROPERTY_COUNT, "24", "and of those one an hour, for so many hours"},
	{"user_keep_daily", PROPERTY_COUNT, "30", "and one a day, for so many days"},
	{"store_autosnapshot", PROPERTY_DURATION, "15min", "of users/: the store gets a snapshot at most this often"},
	{"store_keep", PROPERTY_COUNT, "4", "the newest of the store's automatic snapshots that stay"},
	{"store_keep_hourly", PROPERTY_COUNT, "24", "and of those one an hour, for so many hours"},
	{"store_keep_daily", PROPERTY_COUNT, "30", "and one a day, for so many days"},
	{"idle", PROPERTY_DURATION, "1h", "a session without a message for so long is idle"},
	{"archive", PROPERTY_DURATION, "30d", "and for so long archived"},
	{"trash", PROPERTY_DURATION, "30d", "what lies in .trash for so long is deleted; none: never"},
	{"cleanup_after", PROPERTY_DURATION, "none", "a session without a message for so long goes to .trash"},
	{"max_sessions", PROPERTY_COUNT, "0", "more of a workflow's sessions, oldest first, go to .trash; 0: no limit"},
	{"max_messages", PROPERTY_COUNT, "0", "more messages, oldest first, go to messages/archive/; 0: no limit"},
	{"memory_size", PROPERTY_COUNT, "50", "the messages in memory.json at most"},
	{"memory_tokens", PROPERTY_COUNT, "8000", "and their tokens"},
	{"backup", PROPERTY_DURATION, "none", "of users/: the store is backed up at most this often"},
	{"backup_keep", PROPERTY_COUNT, "7", "of users/: the newest of these backups that stay"},
};
#define PROPERTIES (sizeof properties / sizeof *properties)

const struct property *property_at(size_t i)
{
	return i < PROPERTIES ? &properties[i] : NULL;
}

const struct property *property_find(const char *name)
{
	for (size_t i = 0; i < PROPERTIES; i++)
		if (strcmp(properties[i].name, name) == 0)
			return &properties[i];
	return NULL;
}

/* Digits at the start of @text; their number, 0 if there are none or too many. */
static size_t number(const char *text, size_t len, int64_t *ret_value)
{
	size_t n = 0;
	int64_t value = 0;
	for (; n < len && text[n] >= '0' && text[n] <= '9'; n++) {
		value = value * 10 + (text[n] - '0');
		if (value > COUNT_MAX)
			return 0;
	}
	*ret_value = value;
	return n;
}

static int duration(const char *text, size_t len, int64_t *ret_value)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
		{"w", 604800000}};
	int64_t n;
	if (len == 4 && memcmp(text, "none", 4) == 0) {
		*ret_value = 0;
		return 0;
	}
	size_t digits = number(text, len, &n);
	if (digits == 0)
		return -EINVAL;
	if (digits == len) { /* seconds, where it is no 0 */
		*ret_value = n * 1000;
		return 0;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strlen(units[i].name) == len - digits && memcmp(text + digits, units[i].name, len - digits) == 0) {
			*ret_value = n * units[i].ms;
			return 0;
		}
	return -EINVAL;
}

int property_parse(const struct property *p, const void *text, size_t len, int64_t *ret_value)
{
	int64_t value;
	if (len == 0 || len >= PROPERTY_TEXT)
		return -EINVAL;
	if (p->kind == PROPERTY_DURATION)
		return duration(text, len, ret_value);
	if (number(text, len, &value) != len)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

bool property_of_store(const struct property *p)
{
	return strncmp(p->name, "store_", 6) == 0 || strcmp(p->name, "backup") == 0 ||
	       strcmp(p->name, "backup_keep") == 0;
}

int64_t property_fallback(const struct property *p)
{
	int64_t value = 0;
	property_parse(p, p->fallback, strlen(p->fallback), &value);
	return value;
}
