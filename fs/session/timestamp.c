#include "fs/session/timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MS_MIN (-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define MS_MAX 253402300799999   /* 9999-12-31T23:59:59.999Z */

int64_t timestamp_ms(const struct timespec *ts)
{
	if (ts->tv_sec > MS_MAX / 1000)
		return MS_MAX;
	if (ts->tv_sec < MS_MIN / 1000)
		return MS_MIN;
	return (int64_t)ts->tv_sec * 1000 + ts->tv_nsec / 1000000;
}

struct timespec timestamp_from_ms(int64_t ms)
{
	int64_t s = ms / 1000, rest = ms % 1000;
	if (rest < 0) {
		rest += 1000;
		s--;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = (long)rest * 1000000};
}

void timestamp_format(int64_t ms, char ret_text[TIMESTAMP_LEN + 1])
{
	ms = ms < MS_MIN ? MS_MIN : ms > MS_MAX ? MS_MAX : ms;
	struct timespec ts = timestamp_from_ms(ms);
	struct tm tm = {0};
	gmtime_r(&ts.tv_sec, &tm);
	char text[64];
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
	        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	        (int)(ts.tv_nsec / 1000000));
	memcpy(ret_text, text, TIMESTAMP_LEN);
	ret_text[TIMESTAMP_LEN] = '\0';
}

struct scan {
	const char *p, *end;
};

static bool scan_char(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool scan_number(struct scan *s, int digits, int *ret)
{
	int v = 0;
	for (int i = 0; i < digits; i++, s->p++) {
		if (s->p == s->end || *s->p < '0' || *s->p > '9')
			return false;
		v = v * 10 + (*s->p - '0');
	}
	*ret = v;
	return true;
}

static bool scan_fraction(struct scan *s, long *ret_ns)
{
	long ns = 0, unit = 100000000;
	const char *start = s->p;
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, unit /= 10)
		ns += (*s->p - '0') * unit;
	*ret_ns = ns;
	return s->p > start;
}

/* "Z", "+HH", "+HH:MM", "+HHMM" or nothing. */
static bool scan_zone(struct scan *s, int *ret_minutes)
{
	int hours = 0, minutes = 0;
	*ret_minutes = 0;
	while (scan_char(s, ' '))
		;
	if (s->p == s->end || scan_char(s, 'Z') || scan_char(s, 'z'))
		return true;
	bool west = *s->p == '-';
	if (!scan_char(s, '+') && !scan_char(s, '-'))
		return false;
	if (!scan_number(s, 2, &hours))
		return false;
	if (s->p < s->end) {
		scan_char(s, ':');
		if (!scan_number(s, 2, &minutes))
			return false;
	}
	if (hours > 23 || minutes > 59)
		return false;
	*ret_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
	return true;
}

static bool scan_clock(struct scan *s, struct tm *tm, long *ret_ns, int *ret_zone)
{
	if (!scan_char(s, 'T') && !scan_char(s, 't') && !scan_char(s, ' '))
		return false;
	while (scan_char(s, ' '))
		;
	if (!scan_number(s, 2, &tm->tm_hour) || !scan_char(s, ':') ||
	        !scan_number(s, 2, &tm->tm_min))
		return false;
	if (scan_char(s, ':')) {
		if (!scan_number(s, 2, &tm->tm_sec))
			return false;
		if (scan_char(s, '.') && !scan_fraction(s, ret_ns))
			return false;
	}
	return tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60 && scan_zone(s, ret_zone);
}

int timestamp_parse(const char *text, size_t len, struct timespec *ret_ts)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct scan s = {text, text + len};
	struct tm tm = {0};
	long ns = 0;
	int zone = 0, year, month;

	if (!scan_number(&s, 4, &year) || !scan_char(&s, '-') || !scan_number(&s, 2, &month) ||
	        !scan_char(&s, '-') || !scan_number(&s, 2, &tm.tm_mday))
		return -EINVAL;
	if (year < 1 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days[month - 1])
		return -EINVAL;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (month == 2 && tm.tm_mday == 29 && !leap)
		return -EINVAL;
	if (s.p < s.end && !scan_clock(&s, &tm, &ns, &zone))
		return -EINVAL;
	if (s.p != s.end)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*ret_ts = (struct timespec){.tv_sec = timegm(&tm) - (time_t)zone * 60, .tv_nsec = ns};
	return 0;
}
