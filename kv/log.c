#include "kv/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* Set once before threads start, read-only afterwards. */
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_syslog;
static char *log_kept;
static size_t log_kept_size;

void log_setup(enum log_level max, int use_syslog)
{
	log_max = max;
	log_syslog = use_syslog;
	if (use_syslog)
		openlog("scribefs", LOG_PID, LOG_DAEMON);
}

void log_keep(char *line, size_t size)
{
	log_kept = line;
	log_kept_size = size;
}

static int syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARNING:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
	case LOG_LEVEL_SILENT:
		break;
	}
	return LOG_DEBUG;
}

void log_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = ' ';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* C1, in UTF-8 */
			p[0] = p[1] = ' ';
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if (level > log_max)
		return;
	int saved = errno;
	char line[1024] = "scribefs: ";
	size_t start = strlen(line);
	va_list ap;
	va_start(ap, fmt);
	errno = saved; /* for %m */
	vsnprintf(line + start, sizeof line - start - 1, fmt, ap);
	va_end(ap);
	/* An error text of a library may hold several lines, too; the log's reader counts on one. */
	log_clean(line + start);
	if (log_kept && level == LOG_LEVEL_ERROR)
		snprintf(log_kept, log_kept_size, "%s", line + start);
	size_t len = strlen(line);
	if (log_syslog) {
		syslog(syslog_priority(level), "%s", line + start);
	} else {
		line[len++] = '\n';
		/* One write, so that lines of several threads do not mix. */
		ssize_t n = write(STDERR_FILENO, line, len);
		(void)n;
	}
	errno = saved;
}
