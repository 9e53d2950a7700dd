/* check_times.h: times that other tools keep in session.json. Internal, pure. */
#ifndef SCRIBEFS_FS_SESSION_CHECK_TIMES_H
#define SCRIBEFS_FS_SESSION_CHECK_TIMES_H

#include "fs/session/record.h"

/* Whether the session had started before it stopped, as far as it says both. */
bool check_times_in_order(const struct srec *rec);

#endif
