/*
 * state.h: what a session's state is: active, idle and archived follow from its activity and the policies `idle` and
 * `archive`, deleted from where it lies, unless the user has set another. Computed when somebody asks, so that nothing
 * is written when an hour passes. Pure functions, any thread. Times are ms since 1970 and come from the caller.
 */
#ifndef SCRIBEFS_FS_SESSION_STATE_H
#define SCRIBEFS_FS_SESSION_STATE_H

#include "fs/session/record.h"

#define TIME_NEVER INT64_MAX
#define RESTORED_HOLDS_MS 3600000 /* what a restored session.json said is shown for so long, though time has gone on */

/* The policies: ms without a message, 0: never. */
struct ages {
	int64_t idle, archive;
};
enum session_state state_at(const struct ages *ages, int64_t activity, int64_t now);
/* When it came to be so (active: INT64_MIN), and when it changes by time alone (TIME_NEVER). */
int64_t state_since(const struct ages *ages, int64_t activity, int64_t now);
int64_t state_until(const struct ages *ages, int64_t activity, int64_t now);

/* What a state depends on beside the record. */
struct moment {
	struct ages ages;
	int64_t now;
	bool trash; /* the session lies in .trash */
};
/* The newest message's time, creation's where there is none. */
int64_t srec_activity(const struct srec *rec);
/* When anything of it changed: a message, the record, or its state by time. */
int64_t srec_last_change(const struct srec *rec);
/* What time and place alone would say. */
uint8_t srec_automatic_state(const struct srec *rec, const struct moment *m);
/* What is shown. */
uint8_t srec_state(const struct srec *rec, const struct moment *m);
/* What would be shown if the session were what the claim says. */
uint8_t srec_claimed_state(const struct srec *rec, const struct moment *m);
/* When srec_state() became so by time alone; INT64_MIN: it did not. When it changes by time alone; TIME_NEVER. */
int64_t srec_state_since(const struct srec *rec, const struct moment *m);
int64_t srec_state_until(const struct srec *rec, const struct moment *m);

#endif
