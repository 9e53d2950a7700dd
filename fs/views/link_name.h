/*
 * link_name.h: a session's title as a name in views/: one line without slashes, control characters and marks that
 * turn the direction of text, valid UTF-8, which begins with neither a dot nor a dash. Pure.
 */
#ifndef SCRIBEFS_FS_VIEWS_LINK_NAME_H
#define SCRIBEFS_FS_VIEWS_LINK_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define LINK_NAME_MAX 236 /* bytes: room for a place in front and a number behind */

/* Cut at a character. "untitled" where nothing is left. -ENOMEM. */
int link_name_of(const char *title, char ret_name[LINK_NAME_MAX + 1]);
/* The number N of a name that ends in " ~N", canonical; 0: it does not. */
uint32_t link_name_number(const char *name);

#endif
