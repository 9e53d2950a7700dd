/*
 * title.h: UTF-8, and a session's automatic title. Pure functions, any thread.
 */
#ifndef SCRIBEFS_FS_SESSION_TITLE_H
#define SCRIBEFS_FS_SESSION_TITLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TITLE_POINTS 50 /* code points of an automatic title, without the dots */
#define TITLE_AUTO_MAX (TITLE_POINTS * 4 + 3)

/* Bytes of the well-formed sequence at @p (1 to 4), 0 where there is none. Needs @len > 0. */
unsigned utf8_length(const char *p, size_t len);
bool utf8_valid(const char *p, size_t len);

/*
 * The first line of @text that is not blank, without blanks around it, cut to TITLE_POINTS code
 * points
 * ("..." then follows). What is no UTF-8 becomes U+FFFD, control characters become spaces. Empty
 * where there is no such line. NUL-terminated.
 */
void title_of_text(const char *text, size_t len, char ret_title[TITLE_AUTO_MAX + 1]);
/* "Chat " and the first eight characters of the session's id. */
void title_of_id(const uint8_t session[16], char ret_title[TITLE_AUTO_MAX + 1]);

#endif
