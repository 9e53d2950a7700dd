/*
 * log.h: one line for the operator, to standard error or syslog.
 *
 * Never content, names of sessions, queries or keys. Used at the FUSE boundary, in main, in the tools
 * and where a library's error string is freed; everything else returns errors. Any layer may include
 * it; the functions may be called from any thread.
 */
#ifndef SCRIBEFS_KV_LOG_H
#define SCRIBEFS_KV_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_SILENT = -1, LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Once, before threads start: lines up to @max go out, to syslog if @use_syslog. */
void log_setup(enum log_level max, int use_syslog);
/* One line; no trailing newline in @fmt. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Before threads start: the last error goes to @line (@size bytes, NUL-terminated), too, for a tool that also tells it
 * in another form. @line lives on.
 */
void log_keep(char *line, size_t size);

/* Control characters become blanks: a name must not break a line, nor tell a terminal anything. */
void log_clean(char *text);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
