/*
 * check.h: what the session layer knows when a store is checked (fs/core/check.h): roles, the rows of
 * sessions, users and workflows, and what messages come to.
 *
 * Checked: a session's record against its messages (number, tokens, newest time, highest number, the
 * message that gives the title), its renderings, the rows of ids, of names and of days against the
 * sessions that there are. Mended: all of these; a session's record that is gone is made anew from its
 * messages and its last rendering. The file session.json follows at the next look at it. Told alone: a
 * session that stopped before it started.
 */
#ifndef SCRIBEFS_FS_SESSION_CHECK_H
#define SCRIBEFS_FS_SESSION_CHECK_H

#include "fs/core/check.h"

struct session_check;

/* One for any number of looks, one after the other. NULL: no memory. */
struct session_check *session_check_new(void);
void session_check_free(struct session_check *s);
DEFINE_CLEANUP(struct session_check *, session_check_free);
/* Valid as long as @s. */
const struct check_rules *session_check_rules(struct session_check *s);

#endif
