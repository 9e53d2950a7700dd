/*
 * find_derived.h: words that mean a session by what is derived from it: a link of views/, a folder or a document of
 * exports/, the `path` of an entry of sessions.json, a session_id. Each with @SNAPSHOT behind it as well.
 */
#ifndef SCRIBEFS_TOOLS_FIND_DERIVED_H
#define SCRIBEFS_TOOLS_FIND_DERIVED_H

#include <limits.h>

#define FIND_WORD (PATH_MAX + NAME_MAX + 2)

/*
 * 1: @word is one of these, @ret_word is the same by the path in users/ (a folder of exports/ above its sessions is the
 * one that it mirrors). 0: it is none. -errno after one line.
 */
int find_derived(const char *word, char ret_word[FIND_WORD]);

#endif
