/* brief_internal.h: what brief.c and brief_messages.c share. */
#ifndef SCRIBEFS_FS_SESSION_BRIEF_INTERNAL_H
#define SCRIBEFS_FS_SESSION_BRIEF_INTERNAL_H

#include "fs/core/cold.h"
#include "fs/session/brief.h"

struct session_walk {
	struct cold cold;
};

#endif
