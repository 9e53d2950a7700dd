/* check_times.h: times that other tools keep in session.json. Internal, pure. */
#ifndef SCRIBEFS_FS_SESSION_CHECK_TIMES_H
#define SCRIBEFS_FS_SESSION_CHECK_TIMES_H

#include "fs/session/record.h"

/* What is wrong with when it started and stopped, as far as it says so: no time, or the wrong order. NULL: nothing. */
const char *check_times_problem(const struct srec *rec);

#endif
